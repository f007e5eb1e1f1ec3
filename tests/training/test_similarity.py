"""How far made domains are apart, against what can be worked out by hand."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_project import GAINS, results
from made_project import similarity as made_similarity
from made_sweep import COLLECTION, domain

from training.collection import unit_rows
from training.measure.related import foretold, locality, transfer
from training.measure.similarity import SCHEMA, classwise, cloud, frechet, rank_correlation, similarity, transport


def test_a_domain_is_no_way_from_its_copy_and_further_from_others() -> None:
    table = similarity({"a": domain("a"), "copy": replace(domain("a"), name="copy"), "b": domain("b")})
    assert table.schema == pl.Schema(SCHEMA)
    near, far, _ = table.iter_rows()
    assert near[2:] == pytest.approx((0.0, 0.0), abs=1e-6)
    assert far[2] > 0.01
    assert far[3] > 0.01


def test_distances_have_no_direction_and_the_same_seed_gives_the_same() -> None:
    forth = similarity(COLLECTION)
    back = similarity(dict(reversed(COLLECTION.items())))
    assert len(forth) == 10
    either = {frozenset(row[:2]): row[2:] for row in back.iter_rows()}
    for first, second, *found in forth.iter_rows():
        assert found == pytest.approx(either[frozenset((first, second))], abs=1e-6)
    assert similarity(COLLECTION).equals(forth)


def test_more_noise_is_further_away() -> None:
    generator = torch.Generator().manual_seed(1)
    noise_ND = torch.randn(60, 16, generator=generator)
    plain = domain("a")
    worse = {str(by): replace(plain, features_ND=unit_rows(plain.features_ND + by * noise_ND)) for by in (0.05, 0.2, 0.8)}
    table = similarity({"a": plain, **worse}).filter(pl.col("first") == "a")
    assert table["frechet"].is_sorted()
    assert table["classwise"].is_sorted()


def test_frechet_of_gaussians_along_the_axes_is_by_hand() -> None:
    rng = np.random.default_rng(0)
    x_NK = rng.normal(size=(4000, 3))
    x_NK = (x_NK - x_NK.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x_NK, rowvar=False, bias=True))).T
    one = cloud(x_NK, np.zeros(4000, dtype=np.int64))
    other = cloud(x_NK * [1, 2, 3] + [3, 0, 0], np.zeros(4000, dtype=np.int64))
    assert frechet(one, other) == pytest.approx(3**2 + 0 + 1 + 4, rel=1e-6)
    assert classwise(one, other) == pytest.approx(3**2 + 0 + 1 + 4, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.integers(0, 10_000))
def test_transport_of_equal_numbers_is_the_best_assignment(count: int, seed: int) -> None:
    cost_CC = np.random.default_rng(seed).random((count, count))
    best = min(sum(cost_CC[row, column] for row, column in enumerate(order)) for order in permutations(range(count)))
    assert transport(cost_CC) == pytest.approx(best / count, abs=1e-8)


def test_transport_splits_classes_where_numbers_differ() -> None:
    assert transport(np.array([[0.0, 1.0]])) == pytest.approx(0.5)
    assert transport(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])) == pytest.approx(1 / 6)


def test_rank_correlation_is_spearmans_with_a_p_value_by_shuffling() -> None:
    rising = rank_correlation([1, 2, 3, 4, 5, 6], [1, 4, 9, 16, 25, 36])
    assert rising is not None
    assert rising["rank"] == 1.0
    assert rising["p"] == pytest.approx(2 / 720, abs=2e-3)
    assert rank_correlation([1, 2, 3], [1, 2, 3]) is None
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None


def test_locality_and_what_likeness_foretells_are_over_pairs() -> None:
    table = made_similarity()
    removal = {
        name: {"digits": {"mean": 1 / at}, "flags": {"mean": 1 / at + 0.01}, "mean": {"mean": 9.0}}
        for at, name in enumerate(("glyphs", "shapes", "textures"), start=1)
    }
    found = locality(removal, table)
    assert set(found) == {"frechet", "classwise"}
    assert found["frechet"]["pairs"] == 6  # not the mean
    assert found["frechet"]["rank"] < 0  # those further away lose less
    swaps = {name: {"fractals": {"mean": gain}} for name, gain in GAINS.items()}
    assert foretold(swaps, table) == {}  # three replacements are too few
    swaps["glyphs"]["digits"] = {"mean": 0.0}
    assert foretold(swaps, table)["classwise"]["pairs"] == 4


def test_transfer_is_of_domains_alone() -> None:
    found = transfer(results(), 5, ("glyphs", "shapes", "textures", "fractals"))
    assert list(found) == ["glyphs", "shapes", "textures", "fractals"]
    assert set(found["glyphs"]) == {"digits", "flags", "shapes", "textures", "fractals"}
    assert found["glyphs"]["shapes"]["mean"] == pytest.approx(0.6, abs=1e-4)
    assert transfer(results().filter(pl.col("subset").list.len() > 1), 5, ("glyphs",)) == {}


def test_an_interval_of_an_accuracy_ends_where_accuracies_do() -> None:
    seeds = [0.05, 0.5, 0.95]  # of which the mean's 95 % interval by t would go below 0 and above 1
    rows = [(["glyphs"], seed, "digits", 5, "learner", [level] * 20) for seed, level in enumerate(seeds)]
    found = transfer(pl.DataFrame(rows, schema=results().schema, orient="row"), 5, ("glyphs",))
    assert found["glyphs"]["digits"] == {"mean": pytest.approx(0.5), "low": 0.0, "high": 1.0}
