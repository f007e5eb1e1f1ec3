"""The datamodel and the modularity index, on values that add up, that do not, and that are chance."""

import numpy as np
import pytest
from made_values import chance, of_arrays, subsets_of, values

from training.measure.additive import added_by_chance, complete, datamodel, modularity
from training.measure.values import Values

DOMAINS = tuple("abcde")
SUBSETS = subsets_of("abcde")
BRINGS = dict(zip(DOMAINS, (0.05, 0.1, 0.0, -0.03, 0.2), strict=True))


def of(worth: dict[str, float], *, deviation: float = 0.0, draw: int = 0) -> Values:
    """Three seeds, each of which deviates so much on a subset."""
    by_seed = deviation * np.random.default_rng(draw).normal(size=(len(worth), 3, 1))
    return of_arrays([np.array(list(worth.values()))[:, None, None] + by_seed + np.zeros((1, 1, 4))], list(worth))


def additive() -> dict[str, float]:
    return {subset: 0.3 + sum(BRINGS[name] for name in subset) for subset in SUBSETS}


def xor() -> dict[str, float]:
    """Two domains help where they come alone; the others do nothing."""
    return {subset: 0.3 + 0.3 * (("a" in subset) != ("b" in subset)) for subset in SUBSETS}


@pytest.mark.parametrize("deviation", [0.0, 0.01])
def test_the_datamodel_finds_what_each_domain_adds(deviation: float) -> None:
    found = of(additive(), deviation=deviation)
    model = datamodel(found, DOMAINS)
    assert model is not None
    assert model.subsets == 31  # the empty one is another learner
    assert model.weights_DU @ found.mean_U() == pytest.approx(list(BRINGS.values()), abs=1e-9 + 2 * deviation)
    assert model.r2 > (0.95 if deviation else 0.999999)
    assert model.rank > (0.95 if deviation else 0.99)


@pytest.mark.parametrize("draw", range(3))
def test_chance_is_not_explained(draw: int) -> None:
    model = datamodel(of(dict.fromkeys(SUBSETS, 0.3), deviation=0.05, draw=draw), DOMAINS)
    assert model is not None
    assert model.r2 < 0.2
    assert model.rank < 0.5


def test_too_few_subsets_have_no_datamodel() -> None:
    some = {subset: value for subset, value in additive().items() if subset in SUBSETS[:8]}
    assert datamodel(values(some), DOMAINS) is None
    always = {subset: value for subset, value in additive().items() if "a" in subset}
    assert datamodel(values(always), DOMAINS) is None  # what is always there cannot be told from the rest


@pytest.mark.parametrize("deviation", [0.0, 0.01, 0.05])
def test_what_adds_up_is_modular_whatever_the_noise_of_trainings(deviation: float) -> None:
    indices = [modularity(of(additive(), deviation=deviation, draw=draw), DOMAINS) for draw in range(4)]
    assert np.mean([found.mean for found in indices if found]) > 0.93
    assert all(found and found.low <= found.mean <= found.high <= 1 for found in indices)


def test_what_does_not_add_up_is_far_from_modular() -> None:
    found = modularity(of(xor(), deviation=0.01), DOMAINS)
    assert found is not None
    assert found.high < 0.3


def test_between_the_two_the_index_is_the_share_that_adds_up() -> None:
    rows = [subset for subset in SUBSETS if subset]
    mixed = {subset: additive()[subset] + 0.5 * xor()[subset] for subset in SUBSETS}
    design = np.array([[1.0, *(name in subset for name in DOMAINS)] for subset in rows], dtype=float)
    value = np.array([mixed[subset] for subset in rows])
    left = value - design @ np.linalg.lstsq(design, value)[0]
    found = modularity(of(mixed), DOMAINS)
    assert found is not None
    assert found.mean == pytest.approx(1 - (left**2).sum() / ((value - value.mean()) ** 2).sum())
    assert 0.3 < found.mean < 0.9


def test_subsets_that_do_not_differ_have_no_index() -> None:
    assert modularity(of(dict.fromkeys(SUBSETS, 0.3)), DOMAINS) is None
    assert modularity(values(dict.fromkeys(SUBSETS[:8], 0.1)), DOMAINS) is None


def test_an_index_of_noise_alone_is_rarely_told() -> None:
    indices = [modularity(of(dict.fromkeys(SUBSETS, 0.3), deviation=0.05, draw=draw), DOMAINS) for draw in range(20)]
    assert sum(found is not None for found in indices) <= 3  # one in twenty is expected


def test_values_that_are_all_the_same_are_not_explained() -> None:
    model = datamodel(of(dict.fromkeys(SUBSETS, 0.3)), DOMAINS)
    assert model is not None
    assert (model.r2, model.rank) == (0.0, 0.0)


def by_chance(worth: dict[str, float], draw: int, **deviations: float) -> Values:
    """Three seeds and 40 episodes, which deviate on each subset apart."""
    table_USE = chance(len(worth), 3, 40, draw=draw, **deviations)
    return of_arrays([np.array(list(worth.values()))[:, None, None] + table_USE], list(worth))


@pytest.mark.parametrize(
    "deviations",
    [{"seed": 0.1, "episode": 0.0, "rest": 0.1}, {"seed": 0.02, "episode": 0.4, "rest": 0.1}],
    ids=["seeds", "episodes"],
)
def test_chance_moves_the_index_nowhere_on_average(deviations: dict[str, float]) -> None:
    """Neither chance of seeds nor of episodes is taken for interaction; intervals hold the truth."""
    mixed = {subset: additive()[subset] + 0.5 * xor()[subset] for subset in SUBSETS}
    for worth in (additive(), mixed):
        true = modularity(of(worth), DOMAINS)
        found = [modularity(by_chance(worth, draw, **deviations), DOMAINS) for draw in range(30)]
        told = [each for each in found if each is not None]
        assert true is not None
        assert len(told) == 30
        # a residual is never taken to be below 0, which costs what adds up a little
        assert np.mean([each.mean for each in told]) == pytest.approx(true.mean, abs=0.04)
        assert sum(each.low - 1e-9 <= true.mean <= each.high + 1e-9 for each in told) >= 26


@pytest.mark.parametrize("seed", [0.0, 0.03])
def test_what_chance_adds_to_a_sum_of_squares_is_found_without_bias(seed: float) -> None:
    """Of 31 values about their mean: 30 variances of one."""
    same = dict.fromkeys(SUBSETS[1:], 0.3)
    centre = np.eye(31) - 1 / 31
    found = [added_by_chance(by_chance(same, draw, seed=seed, episode=0.02, rest=0.2), centre) for draw in range(60)]
    assert np.mean(found) == pytest.approx(30 * (seed**2 / 3 + 0.02**2 / 40 + 0.2**2 / 120), rel=0.1)


def test_what_a_seed_does_to_all_subsets_alike_changes_no_index() -> None:
    mixed = {subset: additive()[subset] + 0.5 * xor()[subset] for subset in SUBSETS}
    found = by_chance(mixed, 0, seed=0.02, episode=0.1, rest=0.1)
    moved_USE = found.accuracies[0] + np.array([-0.3, 0.0, 0.4])[None, :, None]
    one, other = (modularity(each, DOMAINS) for each in (found, of_arrays([moved_USE], SUBSETS)))
    assert one is not None
    assert other is not None
    assert (one.mean, one.low) == pytest.approx((other.mean, other.low), abs=0.02)
    assert one.mean == pytest.approx(other.mean)


def test_the_index_takes_the_seeds_that_all_subsets_have() -> None:
    found = by_chance(additive(), 0, seed=0.02, episode=0.1, rest=0.1)
    trained_US = np.ones((32, 3), dtype=bool)
    trained_US[5, 2] = False
    lacking = of_arrays(list(found.accuracies), SUBSETS, trained_US)
    part = complete(lacking, [4, 5])
    assert (part.seeds, part.subsets) == ((0, 1), lacking.subsets[4:6])
    assert (part.accuracies[0] == found.accuracies[0][4:6, :2]).all()
    first = of_arrays([found.accuracies[0][:, :2]], SUBSETS)
    assert modularity(lacking, DOMAINS) == modularity(first, DOMAINS)
    trained_US[5], trained_US[6] = [True, False, False], [False, True, True]
    assert modularity(of_arrays(list(found.accuracies), SUBSETS, trained_US), DOMAINS) is None
