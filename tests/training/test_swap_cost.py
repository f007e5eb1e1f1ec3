"""What a swap costs, from recorded times whose sums are known."""

from pathlib import Path

import pytest
from made_sweep import asked

from training.measure.run import TRAININGS, trainings_of
from training.measure.store import Store
from training.measure.trial import finish
from training.report.stage_times import StageTime
from training.report.swap_cost import Training, read_trainings, seconds_by_domain, swap_cost


def stage(group: str, domain: str, seconds: float, size: int) -> StageTime:
    return StageTime(f"{group}@{domain}".rstrip("@"), group, domain, seconds, size, "run", "2026-01-01T00:00:00")


STAGES = [
    stage("encoder", "", 10, 5),
    *(stage(group, domain, 2, 100) for domain in ("a", "b", "far") for group in ("download", "curate")),
    stage("collect", "", 1, 10),
    stage("train", "", 20, 1000),
    stage("measure", "", 999, 2000),  # of a rerun or of a first run: the trainings' own times are taken
    stage("report", "", 3, 4000),
]
TRAININGS_DONE = [Training(frozenset(subset), seconds) for subset, seconds in (("ab", 8), ("a", 6), ("b", 4), ("c", 2))]


def test_a_swap_costs_the_domain_the_shared_stages_and_the_trainings_that_hold_it() -> None:
    found = swap_cost(STAGES, TRAININGS_DONE, ["a", "b"], workers=2)
    seconds = (2 + 2) + 1 + 20 + ((8 + 6) / 2 + (8 + 4) / 2) / 2
    rebuild = 10 + 6 * 2 + 1 + 20 + 20 / 2
    assert found == {
        "seconds": seconds,
        "bytes": 200 + 10 + 1000 + 2000 + 4000,
        "stages": 6,
        "share_of_rebuild": pytest.approx(seconds / rebuild, abs=1e-4),
    }


def test_each_domain_has_the_cost_of_its_own_trainings() -> None:
    found = seconds_by_domain(STAGES, TRAININGS_DONE, ["a", "b"], workers=2)
    assert found == {"a": (2 + 2) + 1 + 20 + (8 + 6) / 2, "b": (2 + 2) + 1 + 20 + (8 + 4) / 2}


def test_what_was_done_elsewhere_has_no_cost_here() -> None:
    assert swap_cost(STAGES, [], ["a", "b"], 2) == {}
    assert swap_cost(STAGES, TRAININGS_DONE, ["a", "unknown"], 2) == {}
    assert seconds_by_domain(STAGES, TRAININGS_DONE, ["a", "unknown"], 2) == {}


def test_trainings_are_read_where_all_of_them_are_in_the_store(tmp_path: Path) -> None:
    trial, plan = asked(tmp_path / "store", seeds=1, designs=["removal"])
    measurement, store = tmp_path, Store(tmp_path / "store")
    assert read_trainings(measurement, store) == []
    trainings_of(plan).write_parquet(measurement / TRAININGS)
    assert read_trainings(measurement, store) == []
    for job in plan.jobs:
        finish(trial, job)
    assert [training.subset for training in read_trainings(measurement, store)] == [{"a", "b"}, {"b"}, {"a"}]
    assert all(training.seconds > 0 for training in read_trainings(measurement, store))
