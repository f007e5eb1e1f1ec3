"""Where the chance in a contrast comes from: seeds, episodes, and what is left, estimated without bias from mean squares.

A contrast's effect with seed s on episode e is mean + seed_s + episode_e + rest_se, crossed, for every seed meets the same
episodes. Over S seeds and E episodes its mean has variance var(seed)/S + var(episode)/E + var(rest)/(S E) (Searle, Casella
& McCulloch 1992, ch. 4). Shapes: see values.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.measure.values import Floats, Values, named


@dataclass(frozen=True)
class Parts:
    """Means of contrasts and the parts of their variance. With one seed the seed part is not known and stands as 0."""

    mean_MG: Floats
    seed_MG: Floats  # variance of the mean over seeds, rest included: var(seed)/S + var(rest)/(S E)
    episode_MG: Floats  # the same over episodes: var(episode)/E + var(rest)/(S E)
    rest_MG: Floats  # var(rest)/(S E), which both of the above hold
    seeds_M: NDArray[np.int64]  # how many seeds each contrast has
    squares_MG: Floats  # sum of (part squared / its degrees of freedom), for `degrees`

    @property
    def unbiased_MG(self) -> Floats:
        """Variance of the mean without bias; by chance it may fall below 0."""
        return self.seed_MG + self.episode_MG - self.rest_MG

    @property
    def variance_MG(self) -> Floats:
        """Variance of the mean, never below that of the episodes: what intervals and tests are made from."""
        return np.maximum(self.unbiased_MG, self.episode_MG)

    @property
    def degrees_MG(self) -> Floats:
        """Degrees of freedom of `variance_MG` (Satterthwaite 1946): near S - 1 where seeds matter, many where they do not."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.variance_MG**2 / self.squares_MG
        return np.where(self.squares_MG > 0, np.maximum(found, 1.0), np.inf)


def parts(values: Values, weights_MU: Floats, groups_GH: Floats | None = None) -> Parts:
    """Parts of contrasts that weigh the subsets by `weights_MU`, for each group of held-out domains (values.groups_GH).

    Raises ValueError (one line) if the subsets of a contrast have no seed in common.
    """
    groups = values.groups_GH if groups_GH is None else groups_GH
    shape = (len(weights_MU), len(groups))
    mean, seed, episode, rest, squares = (np.zeros(shape) for _ in range(5))
    seeds_M = np.zeros(len(weights_MU), dtype=np.int64)
    for rows, seeds in common_seeds(values, weights_MU):
        seeds_M[rows], by_seed, by_domain = len(seeds), [], []
        for accuracy_USE in values.accuracies:
            effect_KSE = np.tensordot(weights_MU[rows], accuracy_USE[:, seeds], axes=1)
            by_seed.append(effect_KSE.mean(axis=2))
            by_domain.append(_within(effect_KSE))
        row_KGS = np.einsum("gh,hks->kgs", groups, np.stack(by_seed))
        mean[rows] = row_KGS.mean(axis=2)
        if len(seeds) > 1:
            seed[rows] = row_KGS.var(axis=2, ddof=1) / len(seeds)
        within_HKT = np.stack(by_domain)
        episode[rows], rest[rows] = (np.einsum("gh,hk->kg", groups**2, within_HKT[:, :, at]) for at in (0, 1))
        squares[rows] = np.einsum("gh,hk->kg", groups**4, within_HKT[:, :, 2]) + seed[rows] ** 2 / max(len(seeds) - 1, 1)
    return Parts(mean, seed, episode, rest, seeds_M, squares)


def _within(effect_KSE: Floats) -> Floats:
    """Of one held-out domain, [K, 3]: episode part, rest part, and their share of the sum of squares over degrees."""
    _, n_seeds, n_episodes = effect_KSE.shape
    column_KE = effect_KSE.mean(axis=1)
    episode_K = column_KE.var(axis=1, ddof=1) / n_episodes
    rest_K = np.zeros_like(episode_K)
    if n_seeds > 1:
        left_KSE = (
            effect_KSE - effect_KSE.mean(axis=2, keepdims=True) - column_KE[:, None] + column_KE.mean(axis=1)[:, None, None]
        )
        rest_K = (left_KSE**2).sum(axis=(1, 2)) / ((n_seeds - 1) * (n_episodes - 1) * n_seeds * n_episodes)
    degrees = n_episodes - 1
    squares_K = episode_K**2 / degrees + rest_K**2 / (degrees * max(n_seeds - 1, 1))
    return np.stack([episode_K, rest_K, squares_K], axis=1)


def common_seeds(values: Values, weights_MU: Floats) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows of contrasts that have the same seeds in common, and the places of those seeds.

    Raises ValueError (one line) if the subsets of a contrast have none.
    """
    lacking_MS = (weights_MU != 0).astype(np.int64) @ (~values.trained_US).astype(np.int64)
    usable_MS = lacking_MS == 0
    if not usable_MS.any(axis=1).all():
        row = int(np.argmin(usable_MS.any(axis=1)))
        used = [named(values.subsets[u]) for u in np.flatnonzero(weights_MU[row])]
        raise ValueError(f"measurement results: no seed was trained for all of {used[0]} to {used[-1]} ({len(used)} subsets)")
    patterns, of_M = np.unique(usable_MS, axis=0, return_inverse=True)
    for number, pattern_S in enumerate(patterns):
        yield np.flatnonzero(of_M.reshape(-1) == number), np.flatnonzero(pattern_S)


def training_deviation_G(values: Values, groups_GH: Floats | None = None) -> Floats | None:
    """Standard deviation of V over seeds, pooled over subsets: what a training with another seed changes.

    Effects are standardised by it (Cohen's d with the training as the unit). None where no subset has two seeds.
    """
    groups = values.groups_GH if groups_GH is None else groups_GH
    seeds_U = values.trained_US.sum(axis=1)
    if seeds_U.max() < 2:
        return None
    row_GUS = np.einsum("gh,hus->gus", groups, np.stack([a.mean(axis=2) for a in values.accuracies]))
    mean_GU = (row_GUS * values.trained_US).sum(axis=2) / seeds_U
    squares_G = (((row_GUS - mean_GU[:, :, None]) * values.trained_US) ** 2).sum(axis=(1, 2))
    deviation_G: Floats = np.sqrt(squares_G / (seeds_U - 1).sum())
    return deviation_G
