"""The measurement: which subsets, the same budget, the same episodes for everybody."""

import polars as pl
import pytest
import torch

from pipelines.params import Measurement
from pipelines.training_settings import Training
from training.collection import DomainTensors, unit_rows
from training.measure.design import subsets
from training.measure.run import SCHEMA, measure, threads
from training.train import train

TRAINING = Training(n_way=3, max_shot=2, n_query=2, batch=2, warmup=2, steps=4)
MEASUREMENT = Measurement(n_way=3, n_shots=[1, 2], n_query=4, episodes=12, steps=3)
ROLES = {"a": "train", "b": "train", "c": "spare", "d": "held_out", "e": "held_out"}


def domain(name: str) -> DomainTensors:
    generator = torch.Generator().manual_seed(ord(name))
    mean_C1D = torch.randn(5, 1, 16, generator=generator)
    features_ND = unit_rows((mean_C1D + torch.randn(5, 12, 16, generator=generator)).flatten(0, 1))
    class_N = torch.arange(5).repeat_interleave(12)
    return DomainTensors(name, features_ND, class_N, torch.arange(60), ("train",) * 60, tuple("vwxyz"))


@pytest.fixture(scope="module")
def collection() -> dict[str, DomainTensors]:
    return {name: domain(name) for name in ROLES}


@pytest.fixture(scope="module")
def results(collection: dict[str, DomainTensors]) -> pl.DataFrame:
    learner = train([collection["a"], collection["b"]], TRAINING, steps=4, seed=0)
    return measure(collection, ROLES, TRAINING, MEASUREMENT, learner=learner, workers=1)


def test_the_design_has_every_removal_and_replacement() -> None:
    found = subsets(["a", "b", "c"], ["s", "t"])
    assert [subset.name for subset in found] == [
        *("full", "without:a", "without:b", "without:c"),
        *("a->s", "a->t", "b->s", "b->t", "c->s", "c->t"),
    ]
    assert found[2].domains == ("a", "c")
    assert found[6].domains == ("a", "s", "c")
    assert (found[6].removed, found[6].added, found[6].kind) == ("b", "s", "replacement")
    assert [subset.kind for subset in subsets(["a"], [])] == ["full"]
    with pytest.raises(ValueError, match="at least one train domain"):
        subsets([], ["s"])
    with pytest.raises(ValueError, match="'s' is both train and spare"):
        subsets(["s"], ["s"])


def test_the_results_have_every_row_once(results: pl.DataFrame) -> None:
    assert results.schema == SCHEMA
    names = {"full", "without:a", "without:b", "a->c", "b->c"}
    expected = {("main", learner) for learner in ("learner", "class_mean", "ridge", "knn")} | {
        (name, "learner") for name in names
    }
    for place, part in results.group_by("domain", "n_shot"):
        assert set(part.select("subset", "learner").rows()) == expected, place
        assert part.height == len(expected)
    assert set(results.select("domain", "n_shot").rows()) == {(d, s) for d in "de" for s in (1, 2)}
    assert results["accuracies"].list.len().unique().to_list() == [12]


def test_a_row_is_paired_with_every_other(results: pl.DataFrame, collection: dict[str, DomainTensors]) -> None:
    """Changing who else is measured changes no row that stays."""
    roles = {**ROLES, "c": "unused"}
    learner = train([collection["a"], collection["b"]], TRAINING, steps=4, seed=0)
    fewer = measure(collection, roles, TRAINING, MEASUREMENT, learner=learner, workers=1)
    joined = fewer.join(results, on=["subset", "domain", "n_shot", "learner"], how="left")
    assert joined.height == fewer.height
    assert joined["accuracies"].to_list() == joined["accuracies_right"].to_list()


def test_more_workers_give_the_same_figures_and_progress(results: pl.DataFrame, collection: dict[str, DomainTensors]) -> None:
    learner = train([collection["a"], collection["b"]], TRAINING, steps=4, seed=0)
    told: list[tuple[int, int]] = []
    parallel = measure(
        collection, ROLES, TRAINING, MEASUREMENT, learner=learner, workers=2, progress=lambda n, of, name: told.append((n, of))
    )
    assert parallel.equals(results)
    assert told == [(n, 5) for n in range(1, 6)]


def test_the_full_subset_is_the_training_with_the_measurements_budget(
    results: pl.DataFrame, collection: dict[str, DomainTensors]
) -> None:
    again = train([collection["a"], collection["b"]], TRAINING, steps=MEASUREMENT.steps, seed=TRAINING.seed)
    found = measure(collection, {**ROLES, "c": "unused"}, TRAINING, MEASUREMENT, learner=again, workers=1)
    main = found.filter(pl.col("subset") == "main", pl.col("learner") == "learner")["accuracies"].to_list()
    assert main == results.filter(pl.col("subset") == "full")["accuracies"].to_list()


def test_a_held_out_domain_with_too_few_classes_is_told_before_any_training(collection: dict[str, DomainTensors]) -> None:
    learner = train([collection["a"]], TRAINING, steps=1, seed=0)
    wide = MEASUREMENT.model_copy(update={"n_way": 6})
    told: list[str] = []
    with pytest.raises(ValueError, match=r"domain 'd': 6-way 1-shot episodes need 6 classes .* found 5 of 5"):
        measure(collection, ROLES, TRAINING, wide, learner=learner, workers=1, progress=lambda n, of, name: told.append(name))
    assert told == []
    with pytest.raises(ValueError, match="at least one held-out domain"):
        measure(collection, {"a": "train"}, TRAINING, MEASUREMENT, learner=learner)


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), threads(1):
        raise RuntimeError
    assert torch.get_num_threads() == before
