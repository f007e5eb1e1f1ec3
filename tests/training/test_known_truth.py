"""The measurement on collections whose truth is known, at a small size; `benchmarks/known_truth.py` does it in full."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.known_truth import MEASUREMENT, TRAINING, answers, effects, found, table
from benchmarks.known_worlds import carrier
from training.measure.run import trial_of
from training.measure.store import Store
from training.measure.trial import trained


def test_what_a_carrier_is_worth_and_what_replaces_it() -> None:
    said = found("carrier", seed=0)
    answered = dict(answers("carrier", said))
    # a twin has other images, and three seeds may not be enough to tell; it is never told from what it is a twin of
    assert answered.pop("a domain's twin replaces it") != "wrong"
    assert set(answered.values()) == {"right"}
    assert len(answered) == 3
    effect = effects("carrier", said)
    assert effect["replacement of the carrier by its twin"] > -0.1
    assert effect["removal of the carrier"] > 0.15


@pytest.mark.parametrize(("kind", "sign"), [("redundant", -1), ("complementary", 1)])
def test_pairs_interact_as_they_were_made_to(kind: str, sign: int) -> None:
    said = found(kind, seed=0, seeds=1)
    assert sign * said["interaction"]["one"]["other"]["mean"] > 0.02


def test_a_copy_changes_no_weight(tmp_path: Path) -> None:
    world = carrier(0)
    asked = world.collection["carrier"]
    collection = {**world.collection, "twin": asked}
    measurement = MEASUREMENT.model_copy(update={"steps": 5})
    trial, company = trial_of(collection, world.roles, TRAINING, measurement, Store(tmp_path))
    jobs = [trial.job(subset, 0) for subset in (company.train, company.replaced("carrier", "twin"))]
    one, other = (trained(trial, job).state_dict() for job in jobs)
    assert all(one[name].equal(other[name]) for name in one)


def test_a_table_counts_false_verdicts_among_those_that_decide() -> None:
    lines = list(table({"it is so": Counter({"right": 3, "wrong": 1, "cannot tell yet": 6})}))
    assert "| it is so | 3 | 1 | 6 |" in lines
    assert lines[-1] == "\nfalse verdicts: 1 of 4 decided (0.250)"
