"""Shots that differ by class: within their bounds, and Meta-Dataset's formula in whole numbers."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.noise import bits, keys, shifted
from training.shots import MOST_SUPPORTS, PARTS, varied_shots, weight_table

CPU = torch.device("cpu")


@given(
    sizes=st.lists(st.integers(3, 400), min_size=2, max_size=9),
    least=st.integers(1, 3),
    more=st.integers(0, 60),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=80, deadline=None)
def test_shots_lie_within_their_bounds_and_follow_the_formula(sizes: list[int], least: int, more: int, seed: int) -> None:
    most, ways = least + more, len(sizes)
    hash_BW, hash_B = bits(keys(0, 4, seed), ways), bits(keys(0, 4, seed + 1), 1)[:, 0]
    found = varied_shots(hash_BW, hash_B, torch.tensor([sizes] * 4), least, most, weight_table(CPU))
    assert int(found.min()) >= least
    assert all(shot <= min(most, size) for row in found.tolist() for shot, size in zip(row, sizes, strict=True))
    for episode in range(4):
        beta = (int(shifted(hash_B, 48)[episode]) + 1) / 2**16
        total = min(MOST_SUPPORTS, sum(math.ceil(beta * min(most, size)) for size in sizes))
        exponents = [int(number) / (PARTS - 1) * 2 - 1 for number in shifted(hash_BW, 54)[episode]]
        weights = [2**exponent * size for exponent, size in zip(exponents, sizes, strict=True)]
        for shot, weight, size in zip(found[episode].tolist(), weights, sizes, strict=True):
            exact = weight / sum(weights) * max(0, total - ways) + 1
            assert abs(shot - min(max(math.floor(exact), least), most, size)) <= (0 if abs(exact - round(exact)) > 0.3 else 1)


def test_large_classes_have_more_shots_and_episodes_differ() -> None:
    hashes = bits(keys(0, 2000, 0), 3)
    sizes = torch.tensor([10, 100, 100]).expand(2000, 3)
    found = varied_shots(hashes[:, :2].repeat(1, 2)[:, :3], hashes[:, 2], sizes, 1, 40, weight_table(CPU)).float()
    assert float(found[:, 0].mean()) < 0.3 * float(found[:, 1].mean())
    assert len(found[:, 1].unique()) > 20
