"""Drawing without replacement: the shuffle it stands for, step by step, and every outcome equally likely."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.choose import distinct
from training.noise import keys, uniform


def shuffled(noise: list[float], size: int) -> list[int]:
    """Fisher and Yates's shuffle, written plainly."""
    places = list(range(size))
    for step, number in enumerate(noise):
        other = step + int(number * (size - step))
        places[step], places[other] = places[other], places[step]
    return places[: len(noise)]


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size))), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_it_is_the_shuffle(size_and_draws: tuple[int, int], seed: int) -> None:
    size, draws = size_and_draws
    noise = uniform(keys(0, 3, seed), draws)
    found = distinct(noise, torch.full((3,), size))
    assert found.tolist() == [shuffled(row, size) for row in noise.tolist()]
    fewer = max(1, draws // 2)
    assert torch.equal(distinct(noise[:, :fewer], torch.full((3,), size)), found[:, :fewer])


def test_rows_have_sizes_of_their_own_and_what_a_size_lacks_is_its_last() -> None:
    noise = uniform(keys(0, 2, 1), 4)
    found = distinct(noise, torch.tensor([2, 1_000_000_000]))
    assert sorted(found[0, :2].tolist()) == [0, 1]
    assert found[0, 2:].tolist() == [1, 1]
    assert int(found[1].max()) > 1000
    assert len(set(found[1].tolist())) == 4


def test_every_order_is_equally_likely() -> None:
    found = distinct(uniform(keys(0, 24_000, 7), 3), torch.full((24_000,), 4))
    counts = Counter(map(tuple, found.tolist()))
    assert len(counts) == 24
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) == pytest.approx(23, abs=26)  # 0.1 %: below 49.7
