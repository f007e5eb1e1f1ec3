"""The datamodel and the modularity index, on values that add up, that do not, and that are chance."""

import numpy as np
import pytest
from made_values import of_arrays, subsets_of, values

from training.measure.additive import datamodel, modularity
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
