"""Stage train on a small curated project: which weights become the learner, what is written beside, what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from curated import curated_project
from safetensors.torch import load_file

from pipelines.layout import Layout
from pipelines.params import Params, load_params
from pipelines.training_settings import Training
from training.about import calibrations_of, read_about
from training.train_stage import Trained, train_main

# a rate that is too high: the best weights are not the last
ASKED = {"steps": 12, "batch": 4, "n_way": 3, "max_shot": 1, "n_query": 2, "readout": "linear", "label_codes": "learnable"}
ASKED |= {"learning_rate": 0.3, "warmup": 0, "synthetic_share": 0.0}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path) -> Layout:
    return curated_project(tmp_path_factory.mktemp("stage") / "project", encoder_file)


def params(layout: Layout, **changes: Any) -> Params:
    return load_params(layout.params).model_copy(update={"training": Training(**ASKED | changes)})


def trained(layout: Layout, keep: str) -> tuple[Trained, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What came of a training, and the weights in the learner's file and in that of the best."""
    found = train_main(params(layout, keep=keep), layout)
    return found, load_file(layout.model), load_file(layout.best_model)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_learner_is_the_last_or_the_best_and_the_best_is_kept(layout: Layout) -> None:
    found, learner, best = trained(layout, "last")
    assert found.best_step < 12
    assert same(learner, found.last.state_dict())
    assert not same(learner, best)
    assert [read_about(path)["step"] for path in (layout.model, layout.best_model)] == [12, found.best_step]
    scores = [calibrations_of(read_about(path), path) for path in (layout.model, layout.best_model)]
    assert all(scores)
    assert scores[0] != scores[1]
    again, learner, best_again = trained(layout, "best")
    assert (again.best_step, again.best_accuracy) == (found.best_step, found.best_accuracy)
    assert same(learner, best)
    assert same(best_again, best)
    assert read_about(layout.model)["step"] == found.best_step
    assert layout.training_log.exists()
    assert layout.validation_log.read_text().startswith("step,domain,role,accuracy\n")
    assert not layout.checkpoint.parent.exists()
    assert not layout.live.exists()  # no DVC here
    assert not layout.boards.exists()


def test_tensorboard_is_written_where_it_is_asked_for(layout: Layout) -> None:
    train_main(params(layout, steps=2, tensorboard=True), layout)
    assert list(layout.boards.glob("events.*"))


def test_where_nothing_is_measured_the_last_is_the_best_and_no_best_can_be_asked_for(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    found = train_main(params(layout, steps=2, max_shot=5), layout)
    assert found.best_accuracy is None
    assert "passed over: pebbles" in capsys.readouterr().err
    assert same(load_file(layout.model), load_file(layout.best_model))
    with pytest.raises(ValueError, match=r"^training.keep: best needs a train domain"):
        train_main(params(layout, steps=2, max_shot=5, keep="best"), layout)
