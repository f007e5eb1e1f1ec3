"""Farthest-first and k-means++ draws: against plain definitions, their bounds, and numbers that are exact on any machine."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.diversity import LENGTH, Cover, diverse, whole_steps


def pictures(count: int, dimensions: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)


def dice(count: int, seed: int = 0) -> list[int]:
    return [int(lot) for lot in np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)]


def distances(features_ND: np.ndarray) -> np.ndarray:
    """Squared distances in whole numbers, written down once more."""
    steps = whole_steps(features_ND).astype(np.int64)
    return ((steps[:, None] - steps[None]) ** 2).sum(-1)


@given(st.integers(1, 25), st.data())
def test_farthest_first_is_its_definition(images: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, images))
    count = data.draw(st.integers(0, images - kept))
    features = pictures(images, 3, data.draw(st.integers(0, 5)))
    features[data.draw(st.integers(0, images - 1))] = features[0]  # equal pictures too
    rows = list(range(kept))
    far = distances(features)
    for _ in range(count):
        left = [row for row in range(images) if row not in rows]
        rows.append(max(left, key=lambda row: (min((int(far[row, other]) for other in rows), default=0), -row)))
    assert diverse(features, count, kept, "farthest_first", dice(count)) == rows[kept:]


@given(st.integers(4, 9), st.integers(2, 4), st.integers(0, 20))
def test_farthest_first_covers_within_twice_the_best(images: int, count: int, seed: int) -> None:
    features = pictures(images, 4, seed)
    far = np.sqrt(distances(features))
    best = min(far[:, list(rows)].min(1).max() for rows in itertools.combinations(range(images), count))
    assert far[:, diverse(features, count, 0, "farthest_first", dice(count))].min(1).max() <= 2 * best + 1e-9


@given(st.integers(1, 30), st.data())
def test_kmeans_takes_different_rows(images: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, images))
    count = data.draw(st.integers(0, images - kept))
    features = np.repeat(pictures(2), 15, axis=0)[:images]  # two pictures, each many times: chances run out
    rows = diverse(features, count, kept, "kmeans", dice(count, images))
    assert len(set(rows) | set(range(kept))) == kept + count


def test_kmeans_draws_in_proportion_to_squared_distance() -> None:
    features = pictures(6, 4)
    expected = distances(features)[0] / distances(features)[0].sum()
    lots = dice(6000, 1)
    seconds = [diverse(features, 2, 0, "kmeans", [0, lot])[1] for lot in lots]
    assert np.abs(np.bincount(seconds, minlength=6) / len(lots) - expected).max() < 0.03


def test_numbers_are_exact() -> None:
    """The farthest that two rows can be from one another is a whole number that float32 holds."""
    ends = np.concatenate([np.ones((1, 4096), np.float32), -np.ones((1, 4096), np.float32), np.eye(2, 4096, dtype=np.float32)])
    cover = Cover(ends)
    cover.keep(0)
    steps = whole_steps(ends).astype(np.int64)
    expected = ((steps - steps[0]) ** 2).sum(1)
    assert expected.max() < 2**24
    assert cover.near_N.tolist() == [-1, *expected[1:].tolist()]
    assert np.abs(np.linalg.norm(steps[2:], axis=1) - LENGTH).max() == 0


@pytest.mark.parametrize("how", ["farthest_first", "kmeans"])
def test_a_zero_feature_is_a_picture_like_others(how: str) -> None:
    features = pictures(5)
    features[2] = 0
    assert sorted(diverse(features, 5, 0, how, dice(5))) == [0, 1, 2, 3, 4]  # type: ignore[arg-type]
