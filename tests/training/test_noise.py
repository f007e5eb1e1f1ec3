"""Noise: known values, spread, and no dependence on what else is drawn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.noise import below, bits, key, mixed, normal, shifted, uniform

whole = st.integers(-(2**63), 2**63 - 1)


def reference(state: int) -> int:
    """SplitMix64's finaliser in Python's whole numbers."""
    mask = 2**64 - 1
    state &= mask
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    state ^= state >> 31
    return state - 2**64 if state >= 2**63 else state


@given(whole)
def test_the_finaliser_is_splitmix64(number: int) -> None:
    assert int(mixed(torch.tensor(number))) == reference(number)
    assert int(shifted(torch.tensor(number), 7)) == (number % 2**64) >> 7


def test_the_stream_of_splitmix64() -> None:
    """The first numbers of the generator's stream of seed 1234567, as its authors' code gives them."""
    found = [int(number) % 2**64 for number in bits(torch.tensor(1234567), 5)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]


@given(st.integers(0, 2**31 - 1), st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5))
def test_an_episodes_noise_does_not_depend_on_its_company(seed: int, step: int, episodes: int, more: int) -> None:
    alone = uniform(key(seed, step, torch.arange(episodes)), 3, 4)
    among = uniform(key(seed, step, torch.arange(episodes + more)), 3, 4)
    assert torch.equal(alone, among[:episodes])
    assert len(torch.unique(key(seed, step, torch.arange(50)))) == 50


def test_numbers_are_spread_evenly() -> None:
    drawn = uniform(key(3, torch.arange(400)), 50)
    counts = torch.histc(drawn, 20, 0, 1)
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 43.8  # chi-square of 19 degrees, 0.1 %
    assert float(torch.corrcoef(drawn[:, :2].T)[0, 1].abs()) < 0.17
    whole_numbers = below(key(4, torch.arange(30_000)), 3)
    assert torch.bincount(whole_numbers).tolist() == pytest.approx([10_000] * 3, abs=350)


def test_normal_numbers_are_normal() -> None:
    drawn = normal(key(5, torch.arange(200)), 10, 50)
    assert drawn.shape == (200, 10, 50)
    assert drawn.dtype == torch.float32
    assert float(drawn.mean()) == pytest.approx(0, abs=0.015)
    assert float(drawn.var()) == pytest.approx(1, abs=0.02)
    assert float((drawn.abs() > 1.959964).float().mean()) == pytest.approx(0.05, abs=0.003)
