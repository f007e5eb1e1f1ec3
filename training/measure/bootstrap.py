"""Intervals of contrasts by one hierarchical bootstrap over seeds and episodes, shared by all subsets so that they stay paired.

A draw takes S seeds with replacement, and crossed with them E episodes with replacement within each held-out domain
(Owen 2007, "The pigeonhole bootstrap"). Held-out domains are fixed. Three things are set right, for few seeds mislead it:

- S values resampled vary by (S - 1) / S too little; so what a draw departs from even weights is stretched by sqrt(S / (S - 1)).
- Crossed draws count the chance that belongs to neither seeds nor episodes alone three times (Owen 2007); the departures of
  each contrast are scaled to the variance that counts it once (variance.py).
- A spread known from few seeds is itself uncertain, and the quantiles of S = 3 resampled values are but ten numbers; so an
  interval is mean +- t standard errors, the standard error of the draws and t with the degrees of freedom of Satterthwaite
  (as Hesterberg 2015 widens a bootstrap by t). Intervals and tests then say the same.

With one seed the interval holds the chance of the episodes alone: what another training would give is not in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.measure.values import Floats, Values
from training.measure.variance import Parts, common_seeds, parts

DRAWS = 2000
BLOCK = 256  # contrasts at a time: bounds the memory of `estimate`


@dataclass(frozen=True)
class Estimates:
    """Contrasts with their intervals for each group of held-out domains, the last of them their mean."""

    mean_MG: Floats
    error_MG: Floats  # standard error
    degrees_MG: Floats
    level: float
    parts: Parts

    @property
    def low_MG(self) -> Floats:
        """Lower end of the interval."""
        return self.mean_MG - self._half_MG

    @property
    def high_MG(self) -> Floats:
        """Upper end of the interval."""
        return self.mean_MG + self._half_MG

    @property
    def _half_MG(self) -> Floats:
        half_MG: Floats = stats.t.ppf((1 + self.level) / 2, self.degrees_MG) * self.error_MG
        return half_MG

    @property
    def p_MG(self) -> Floats:
        """Two-sided p-value of "the contrast is 0"; 1 where it is exactly 0 and nothing varies."""
        p_MG: Floats = 2 * stats.t.sf(np.abs(ratio(self.mean_MG, self.error_MG)), self.degrees_MG)
        return p_MG

    @property
    def seeds_M(self) -> NDArray[np.int64]:
        """How many seeds each contrast has."""
        return self.parts.seeds_M


def estimate(
    values: Values,
    weights_MU: Floats,
    groups_GH: Floats | None = None,
    *,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimates:
    """Mean and interval of every contrast; the same seed gives the same draws whatever else is asked for.

    Raises ValueError (one line) if the subsets of a contrast have no seed in common.
    """
    found = parts(values, weights_MU, groups_GH)
    error_MG = np.zeros_like(found.mean_MG)
    for start in range(0, len(weights_MU), BLOCK):
        block = slice(start, start + BLOCK)
        error_MG[block] = resample(values, weights_MU[block], groups_GH, draws=draws, seed=seed).std(axis=2, ddof=1)
    return Estimates(found.mean_MG, error_MG, found.degrees_MG, level, found)


def resample(
    values: Values, weights_MU: Floats, groups_GH: Floats | None = None, *, draws: int = DRAWS, seed: int = 0
) -> Floats:
    """Draws of every contrast, [M, G, R], with the corrections that stand at the head of this file.

    Use them as they are for what is no contrast, such as ratios and shares of variance. Memory: 8 M G R bytes, and 8 U S R.
    """
    groups = values.groups_GH if groups_GH is None else groups_GH
    found = parts(values, weights_MU, groups)
    drawn_MGR = np.zeros((*found.mean_MG.shape, draws))
    for rows, seeds in common_seeds(values, weights_MU):
        used = np.flatnonzero((weights_MU[rows] != 0).any(axis=0))
        # generators of their own for seeds and for each domain, so that a draw's episodes do not depend on the seeds' number
        seed_SR = _departures(np.random.default_rng([seed, 0]), len(seeds), draws)
        for at, accuracy_USE in enumerate(values.accuracies):
            episode_ER = _departures(np.random.default_rng([seed, 1 + at]), accuracy_USE.shape[2], draws)
            value_USR = accuracy_USE[np.ix_(used, seeds)] @ episode_ER
            value_UR = (value_USR * seed_SR).sum(axis=1)
            drawn_MGR[rows] += groups[:, at][None, :, None] * (weights_MU[np.ix_(rows, used)] @ value_UR)[:, None]
    crossed_MG = found.seed_MG + found.episode_MG + found.rest_MG
    scale_MG = np.sqrt(np.divide(found.variance_MG, crossed_MG, out=np.ones_like(crossed_MG), where=crossed_MG > 0))
    return found.mean_MG[:, :, None] + scale_MG[:, :, None] * (drawn_MGR - found.mean_MG[:, :, None])


def _departures(rng: np.random.Generator, n: int, draws: int) -> Floats:
    """Weights of n things in each draw, [n, R], adding up to 1: how often each was drawn, stretched by sqrt(n / (n - 1))."""
    if n == 1:
        return np.ones((1, draws))
    count_RN = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    return np.ascontiguousarray(((count_RN - 1) * np.sqrt(n / (n - 1)) + 1).T / n)


def ratio(effect: Floats, error: Floats) -> Floats:
    """Effect over its standard error; 0 over 0 is 0, and anything else over 0 infinite with its sign."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(effect == 0, 0.0, effect / error)
    return found
