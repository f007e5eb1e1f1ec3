"""Results of a sweep without any training: accuracies as they are given, or with chance of known size."""

from collections.abc import Mapping, Sequence
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

from training.measure.values import Floats, Values


def subsets_of(domains: str) -> list[str]:
    """Every subset of domains that are a letter each, the empty one too."""
    return ["".join(chosen) for chosen in chain.from_iterable(combinations(domains, size) for size in range(len(domains) + 1))]


def values(worth: Mapping[str, float | Floats], seeds: int = 2, episodes: int = 3) -> Values:
    """Of one held-out domain; subsets are strings of letters, what each comes to is a number or an array [S, E]."""
    shape = (seeds, episodes)
    accuracy_USE = np.stack([np.broadcast_to(np.asarray(value, dtype=np.float64), shape) for value in worth.values()])
    return of_arrays([accuracy_USE], list(worth))


def of_arrays(accuracies: Sequence[Floats], subsets: Sequence[str], trained_US: NDArray[np.bool_] | None = None) -> Values:
    """Of a held-out domain for each array [U, S, E]."""
    seeds = accuracies[0].shape[1]
    trained = np.ones((len(subsets), seeds), dtype=bool) if trained_US is None else trained_US
    held_out = tuple(f"h{number}" for number in range(len(accuracies)))
    return Values(tuple(map(frozenset, subsets)), tuple(range(seeds)), held_out, tuple(accuracies), trained)


def chance(count: int, seeds: int, episodes: int, *, seed: float, episode: float, rest: float, draw: int = 0) -> Floats:
    """So many tables [U, S, E] of mean 0 whose seeds, episodes and single cells deviate so much."""
    rng = np.random.default_rng(draw)
    by_seed = seed * rng.normal(size=(count, seeds, 1))
    by_episode = episode * rng.normal(size=(count, 1, episodes))
    found: Floats = by_seed + by_episode + rest * rng.normal(size=(count, seeds, episodes))
    return found


def alone(count: int) -> list[str]:
    """Names of so many subsets that have nothing to do with each other."""
    return [chr(0x4E00 + number) for number in range(count)]
