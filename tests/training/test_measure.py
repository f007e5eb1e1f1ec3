"""The measurement: the same budget, the same episodes for everybody, and only work that was not done before."""

from pathlib import Path

import polars as pl
import pytest
import torch
from made_sweep import COLLECTION, MEASUREMENT, ROLES, TRAINING, asked

from training.learner import Learner
from training.measure import SCHEMA
from training.measure.run import measure
from training.measure.sweep import processes
from training.measure.trial import finish, threads
from training.train import train


@pytest.fixture(scope="module")
def learner() -> Learner:
    return train([COLLECTION["a"], COLLECTION["b"]], TRAINING, steps=MEASUREMENT.steps, seed=0)


@pytest.fixture(scope="module")
def results(learner: Learner, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return measure(*asked(tmp_path_factory.mktemp("store")), learner=learner, workers=1)


def test_the_results_have_every_row_once(results: pl.DataFrame) -> None:
    assert results.schema == SCHEMA
    subsets = {("a", "b"), ("b",), ("a",), ("c", "b"), ("a", "c")}
    expected = {(None, name, 0) for name in ("learner", "class_mean", "ridge", "knn")}
    expected |= {(subset, "learner", seed) for subset in subsets for seed in (0, 1)}
    for place, part in results.group_by("domain", "n_shot"):
        rows = [
            (subset and tuple(subset), name, seed) for subset, name, seed in part.select("subset", "learner", "seed").rows()
        ]
        assert sorted(rows, key=str) == sorted(expected, key=str), place
    assert set(results.select("domain", "n_shot").rows()) == {(d, s) for d in "de" for s in (1, 2)}
    assert results["accuracies"].list.len().unique().to_list() == [12]


def test_more_workers_give_the_same_figures(results: pl.DataFrame, learner: Learner, tmp_path: Path) -> None:
    assert measure(*asked(tmp_path), learner=learner, workers=2).equals(results)


def test_the_full_subset_is_the_training_with_the_measurements_budget(results: pl.DataFrame) -> None:
    main = results.filter(pl.col("subset").is_null(), learner="learner")["accuracies"].to_list()
    assert main == results.filter(pl.col("subset") == ["a", "b"], seed=0)["accuracies"].to_list()


def test_a_domain_alone_is_judged_on_every_other_one_too(learner: Learner, tmp_path: Path) -> None:
    found = measure(*asked(tmp_path, designs=["single"], seeds=1), learner=learner, workers=1)
    judged = found.filter(pl.col("subset") == ["c"])["domain"].unique(maintain_order=True).to_list()
    assert judged == ["d", "e", "a", "b"]


def test_no_training_stands_for_the_empty_subset(learner: Learner, tmp_path: Path) -> None:
    trial, plan = asked(tmp_path, designs=["shapley"], seeds=1)
    found = measure(trial, plan, learner=learner, workers=1)
    subsets = [tuple(subset) for subset in found["subset"].drop_nulls().unique(maintain_order=True)]
    assert sorted(subsets) == [(), ("a",), ("a", "b"), ("b",)]
    assert plan.designs["shapley"] == [(), ("a",), ("b",), ("a", "b")]


def test_a_held_out_domain_with_too_few_classes_is_told_before_any_training(learner: Learner, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"domain 'd': 6-way 1-shot episodes need 6 classes .* found 5 of 5"):
        measure(*asked(tmp_path, n_way=6), learner=learner, workers=1)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="at least one held-out domain"):
        asked(tmp_path, roles={"a": "train"})
    with pytest.raises(ValueError, match="at least one train domain"):
        asked(tmp_path, roles={**ROLES, "a": "spare", "b": "spare"})


def test_a_mistake_in_a_process_is_told(tmp_path: Path) -> None:
    trial, plan = asked(tmp_path, seeds=1, steps=1)
    (tmp_path / plan.jobs[0].key).write_text("in the way")
    with pytest.raises(OSError, match=plan.jobs[0].key), processes(trial, 2, finish) as do:
        do(plan.jobs[0])


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), threads(1):
        raise RuntimeError
    assert torch.get_num_threads() == before
