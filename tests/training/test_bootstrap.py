"""Intervals by the bootstrap over seeds and episodes: they hold the truth about as often as they say."""

import numpy as np
import pytest
from made_values import alone, chance, of_arrays, values

from training.measure.bootstrap import estimate, ratio, resample

COUNT = 600


# seeds matter most, episodes do, both do, and what belongs to neither alone
@pytest.mark.parametrize(
    ("seed", "episode", "rest"), [(0.03, 0.02, 0.02), (0.001, 0.1, 0.05), (0.02, 0.12, 0.05), (0.0, 0.0, 0.1)]
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(seed: float, episode: float, rest: float) -> None:
    table = chance(COUNT, 3, 40, seed=seed, episode=episode, rest=rest)
    found = estimate(of_arrays([table], alone(COUNT)), np.eye(COUNT), draws=600)
    held = ((found.low_MG <= 0) & (found.high_MG >= 0))[:, 0].mean()
    assert 0.92 <= held <= 0.995
    assert (found.p_MG[:, 0] < 0.05).mean() == pytest.approx(1 - held)  # intervals and tests say the same


def test_the_error_of_the_draws_is_that_of_the_parts() -> None:
    table = chance(50, 3, 40, seed=0.02, episode=0.1, rest=0.05)
    found = estimate(of_arrays([table, table[:, :, :25]], alone(50)), np.eye(50))
    assert found.error_MG**2 == pytest.approx(found.parts.variance_MG, rel=0.2)
    assert found.error_MG.mean() == pytest.approx(np.sqrt(found.parts.variance_MG).mean(), rel=0.03)


def test_pairs_are_kept() -> None:
    shared = chance(1, 3, 40, seed=1.0, episode=1.0, rest=1.0)
    found = estimate(of_arrays([np.concatenate([shared, shared - 0.1])], ["a", "b"]), np.array([[1.0, -1.0]]), draws=50)
    assert (found.low_MG[0, 0], found.high_MG[0, 0]) == pytest.approx((0.1, 0.1))
    assert found.p_MG[0, 0] == pytest.approx(0.0, abs=1e-9)


def test_nothing_that_varies_and_nothing_won_is_no_finding() -> None:
    found = estimate(values({"a": 0.5, "b": 0.5}), np.array([[1.0, -1.0]]), draws=20)
    assert found.p_MG[0, 0] == 1.0
    assert ratio(np.array([0.0, 1.0, -1.0]), np.zeros(3)).tolist() == [0.0, np.inf, -np.inf]


def test_draws_do_not_depend_on_what_else_is_asked_for() -> None:
    found = of_arrays([chance(4, 3, 10, seed=1.0, episode=1.0, rest=1.0)], alone(4))
    both = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    together = resample(found, both, draws=30, seed=7)
    assert np.allclose(together[1:], resample(found, both[1:], draws=30, seed=7))
    assert not np.allclose(together, resample(found, both, draws=30, seed=8))


def test_more_level_is_a_wider_interval() -> None:
    found = of_arrays([chance(1, 3, 10, seed=1.0, episode=1.0, rest=1.0)], ["a"])
    narrow, wide = (estimate(found, np.eye(1), level=level, draws=50) for level in (0.5, 0.99))
    assert wide.low_MG[0, 0] < narrow.low_MG[0, 0] < narrow.mean_MG[0, 0] < narrow.high_MG[0, 0] < wide.high_MG[0, 0]
