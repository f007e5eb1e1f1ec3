"""Verdicts: Holm by hand, constructed effects, how often they err, and how many more seeds they ask for."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_values import alone, chance, of_arrays
from scipy import stats

from training.measure.bootstrap import estimate
from training.measure.variance import Parts
from training.measure.verdicts import LEVEL, MOST, holm, judge, needed, one_sided

MARGIN = 0.02


def test_holm_by_hand() -> None:
    # in order: 4 x .005, 3 x .01, 2 x .03, and 1 x .04, which may not be below the one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_less_of_a_p_value_nor_turns_their_order(p_values: list[float]) -> None:
    found = holm(p_values)
    assert all(p <= corrected <= 1 for p, corrected in zip(p_values, found, strict=True))
    assert [found[at] for at in np.argsort(p_values, kind="stable")] == sorted(found)


def test_one_sided_tests_are_those_of_t() -> None:
    assert one_sided(0.03, 0.01, 4, 0.01) == pytest.approx((stats.t.sf(2, 4), stats.t.cdf(2, 4)))
    assert one_sided(0.03, 0.0, 4, 0.01) == (0.0, 1.0)
    assert one_sided(0.01, 0.0, 4, 0.01) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("effect", "error", "verdict", "side"),
    [
        (0.0, 0.002, "replaceable", "equal"),
        (0.0, 0.0, "replaceable", "equal"),
        (0.1, 0.002, "replaceable", "better"),
        (0.02, 0.002, "replaceable", "not worse"),
        (-0.1, 0.002, "not_replaceable", "worse"),
        (-0.02, 0.002, "cannot_tell_yet", "unknown"),
        (0.0, 0.05, "cannot_tell_yet", "unknown"),
        (-0.1, 0.2, "cannot_tell_yet", "unknown"),
    ],
)
def test_verdicts_of_constructed_effects(effect: float, error: float, verdict: str, side: str) -> None:
    found = judge([effect], [error], [4.0], [3], MARGIN)[0]
    assert (found.verdict, found.side) == (verdict, side)


@given(st.floats(-1, 1), st.floats(0, 0.1))
def test_one_seed_never_decides(effect: float, error: float) -> None:
    assert judge([effect], [error], [1e9], [1], MARGIN)[0].verdict == "cannot_tell_yet"


def test_more_questions_make_a_verdict_harder() -> None:
    one = judge([0.0], [0.008], [4.0], [3], MARGIN)[0]
    many = judge([0.0] * 10, [0.008] * 10, [4.0] * 10, [3] * 10, MARGIN)[0]
    assert one.verdict == "replaceable"
    assert many.verdict == "cannot_tell_yet"
    assert many.p_loses_less == pytest.approx(10 * one.p_loses_less)


@pytest.mark.parametrize(("seed", "episode"), [(0.02, 0.05), (0.002, 0.1), (0.02, 0.0)])
def test_at_the_margin_itself_a_verdict_is_as_rare_as_the_level(seed: float, episode: float) -> None:
    """A spare that loses exactly the margin: either verdict is an error, of LEVEL at most each."""
    table = chance(600, 3, 40, seed=seed, episode=episode, rest=0.05) - MARGIN
    found = estimate(of_arrays([table], alone(600)), np.eye(600), draws=500)
    columns = (found.mean_MG[:, 0], found.error_MG[:, 0], found.degrees_MG[:, 0])
    said = [judge([e], [s], [d], [3], MARGIN)[0].verdict for e, s, d in zip(*columns, strict=True)]
    assert 0 < said.count("replaceable") <= 600 * (LEVEL + 0.03)
    assert 0 < said.count("not_replaceable") <= 600 * (LEVEL + 0.03)


def parts(effect: float, *, seed: float, episode: float, seeds: int = 3) -> Parts:
    """Of one contrast; standard errors by seeds and by episodes."""
    at = [np.array([[value]]) for value in (effect, seed**2, episode**2, 0.0)]
    return Parts(*at, np.array([seeds]), np.zeros((1, 1)))


def seeds_of(said: str) -> int:
    found = re.fullmatch(r"about (\d+) seeds", said)
    assert found, said
    return int(found[1])


def test_the_seeds_that_are_asked_for_settle_the_verdict() -> None:
    count = seeds_of(needed(parts(0.0, seed=0.02, episode=0.001), 0, 0, MARGIN, tests=2))
    for more, settles in ((count, True), (count - 1, False)):
        error = np.hypot(0.02 * np.sqrt(3 / more), 0.001)
        corrected = 2 * one_sided(0.0, error, more - 1, -MARGIN)[0]
        assert (corrected < LEVEL) == settles


def test_more_is_asked_for_where_less_is_known() -> None:
    asked = [seeds_of(needed(parts(0.0, seed=seed, episode=0.0), 0, 0, MARGIN, tests=4)) for seed in (0.01, 0.02, 0.04)]
    assert 3 < asked[0] < asked[1] < asked[2]
    nearer = seeds_of(needed(parts(-0.01, seed=0.02, episode=0.0), 0, 0, MARGIN, tests=4))
    assert nearer > asked[1]


def test_episodes_are_asked_for_where_they_are_what_lacks() -> None:
    assert "times the episodes" in needed(parts(0.0, seed=0.001, episode=0.03), 0, 0, MARGIN, tests=1)


def test_what_cannot_be_settled_is_told() -> None:
    assert (
        needed(parts(-MARGIN, seed=0.02, episode=0.0), 0, 0, MARGIN, tests=1)
        == f"more than {MOST} seeds: it lies at the margin"
    )
    assert needed(parts(0.0, seed=0.02, episode=0.0, seeds=1), 0, 0, MARGIN, tests=1).startswith("at least one more seed")
