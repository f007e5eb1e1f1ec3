"""Accuracy by shots, and the episode that the report shows."""

import torch
from made_features import domain

from pipelines.training_settings import Training
from training.calibration import Calibration
from training.collection import DomainTensors
from training.learner import Learner
from training.measure.context import SHOTS, context_curve
from training.measure.example import N_QUERY, N_SHOT, examples
from training.train import new_learner

WIDE = domain("wide", [7, 8, 9, 7], dimensions=8)
SMALL = domain("small", [2, 2, 2], dimensions=8)


def learner() -> Learner:
    return new_learner(Training(n_way=3, readout="class_mean"), 8, 0).eval()


def one_of_each(name: str) -> DomainTensors:
    """Classes on axes of their own: nobody can miss them."""
    made = domain(name, [8, 8, 8], dimensions=8)
    made.features_ND.copy_(torch.eye(8)[made.class_N])
    return made


def test_accuracy_by_shots_goes_as_far_as_the_classes_do() -> None:
    found = context_curve(learner(), {"wide": WIDE, "small": SMALL}, n_way=3, n_query=1, seed=0, episodes=5)
    assert set(found["domain"]) == {"wide", "small"}
    reached = {name: rows["n_shot"].unique().sort().to_list() for (name,), rows in found.group_by("domain")}
    assert reached["small"] == [1]
    assert reached["wide"] == [shots for shots in SHOTS if shots + 1 <= 7]
    assert (found["low"] <= found["mean"]).all()
    assert found.filter((found["n_shot"] == 1) & (found["domain"] == "wide")).height == 4  # learner and three baselines


def test_what_is_plain_is_always_right_and_what_is_not_is_left_to_chance() -> None:
    plain = context_curve(learner(), {"plain": one_of_each("plain")}, n_way=3, n_query=2, seed=0, episodes=5)
    assert plain["mean"].to_list() == [1.0] * plain.height


def test_an_example_is_an_episode_of_the_domain() -> None:
    (found,) = examples(learner(), [], {"plain": one_of_each("plain")}, n_way=3, seed=1)
    made = one_of_each("plain")
    assert sorted(found["classes"]) == ["c0", "c1", "c2"]
    assert len(found["supports"]) == 3 * N_SHOT
    assert len(found["queries"]) == 3 * N_QUERY
    rows = [side["row"] for side in (*found["supports"], *found["queries"])]
    assert len(set(rows)) == len(rows)
    for side in (*found["supports"], *found["queries"]):
        assert f"c{int(made.class_N[side['row']])}" == found["classes"][side["way"]]
    for query in found["queries"]:
        assert abs(sum(query["shares"]) - 1) < 1e-3
        assert max(range(3), key=query["shares"].__getitem__) == query["way"]


def test_probabilities_are_of_the_temperature() -> None:
    hot = [Calibration(n_way=3, n_shot=3, temperature=1e6, episodes=1, error_before=0.0, error=0.0)]
    (found,) = examples(learner(), hot, {"plain": one_of_each("plain")}, n_way=3, seed=1)
    assert all(abs(share - 1 / 3) < 1e-3 for query in found["queries"] for share in query["shares"])


def test_a_domain_that_is_too_small_has_no_example() -> None:
    assert examples(learner(), [], {"small": SMALL}, n_way=3, seed=0) == []
