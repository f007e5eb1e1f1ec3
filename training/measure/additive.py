"""How far domains add up: the linear datamodel, and the share of what subsets differ in that it explains.

Letters: U subsets, D domains, R draws of the bootstrap.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from training.measure.bootstrap import resample
from training.measure.values import Floats, Values
from training.measure.variance import training_deviation_G

FOLDS = 10
LEVEL = 0.05  # of the test whether subsets differ by more than noise
ROUNDING = 1e-12  # share of a sum of squares that is rounding


@dataclass(frozen=True)
class Datamodel:
    """V(S) as theta_0 + the sum of theta over the domains of S (Ilyas et al. 2022), by least squares.

    `weights_DU` gives theta as a weighted sum of V, so that theta has the intervals of any contrast. `r2` and `rank` are the
    share of variance explained and the rank correlation on subsets that the model was not fitted on.
    """

    domains: tuple[str, ...]
    weights_DU: Floats
    r2: float
    rank: float
    subsets: int


def indicators(values: Values, domains: tuple[str, ...], rows: list[int]) -> Floats:
    """[len(rows), 1 + D]: one, then whether the subset holds each domain."""
    inside = [[1.0, *(float(name in values.subsets[row]) for name in domains)] for row in rows]
    return np.array(inside, dtype=np.float64)


def datamodel(values: Values, domains: tuple[str, ...]) -> Datamodel | None:
    """The datamodel of these domains over all subsets of them but the empty one; None where there are too few of them.

    Subsets are left out in ten parts for `r2` and `rank`. At least twice as many subsets as weights are needed, and enough of
    them that each weight can be told from the others.
    """
    rows = [at for at, subset in enumerate(values.subsets) if subset and subset <= set(domains)]
    design = indicators(values, domains, rows)
    if len(rows) < 2 * design.shape[1] or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    value = values.mean_U()[rows]
    said = np.zeros(len(rows))
    fold = np.random.default_rng(0).permutation(len(rows)) % min(FOLDS, len(rows))
    for part in range(int(fold.max()) + 1):
        left = fold != part
        theta, *_ = np.linalg.lstsq(design[left], value[left], rcond=None)
        said[~left] = design[~left] @ theta
    spread = ((value - value.mean()) ** 2).sum()
    differ = spread > ROUNDING * (value**2).sum()
    r2 = 1 - ((value - said) ** 2).sum() / spread if differ else 0.0
    rank = stats.spearmanr(value, said).statistic if differ and np.ptp(said) > 0 else 0.0
    weights = np.zeros((len(domains), len(values.subsets)))
    weights[:, rows] = np.linalg.pinv(design)[1:]
    return Datamodel(domains, weights, float(r2), float(rank), len(rows))


@dataclass(frozen=True)
class Modularity:
    """The modularity index with its interval; 1: what domains bring adds up, 0: nothing does. `subsets`: it rests on."""

    mean: float
    low: float
    high: float
    subsets: int


def modularity(values: Values, domains: tuple[str, ...], *, level: float = 0.95, seed: int = 0) -> Modularity | None:
    """The share of the variance of V over subsets that the additive model explains, less what noise of trainings adds to both.

    index = 1 - (residual - df s^2) / (total - df s^2) with s^2 the variance of V by another seed, so that noise is not taken
    for interaction. Over the subsets of train domains, the empty one left out, for it is another learner. None where too few
    subsets were trained, or where by an F-test they do not surely differ by more than noise: a share of nothing is any number.
    """
    rows = [at for at, subset in enumerate(values.subsets) if subset and subset <= set(domains)]
    design = indicators(values, domains, rows)
    free = len(rows) - design.shape[1]
    if free < 3 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    noise = noise_variance(values, rows)
    if noise > 0:
        seeds_free = int((values.trained_US.sum(axis=1) - 1).sum())
        if values.mean_U()[rows].var(ddof=1) / noise <= stats.f.ppf(1 - LEVEL, len(rows) - 1, seeds_free):
            return None
    left = np.eye(len(rows)) - design @ np.linalg.pinv(design)
    mean = index_of(values.mean_U()[rows][:, None], left, free, noise)[0]
    if not np.isfinite(mean):
        return None
    pick = np.zeros((len(rows), len(values.subsets)))
    pick[np.arange(len(rows)), rows] = 1.0
    # a draw adds its own noise to every subset once more
    drawn_UR = resample(values, pick, values.groups_GH[-1:], seed=seed)[:, 0]
    found_R = index_of(drawn_UR, left, free, 2 * noise)
    found_R = found_R[np.isfinite(found_R)]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(found_R, [tail, 100 - tail]) if len(found_R) else (-np.inf, 1.0)
    return Modularity(float(mean), float(min(low, mean)), float(min(1.0, max(high, mean))), len(rows))


def index_of(value_UR: Floats, left_UU: Floats, free: int, noise: float) -> Floats:
    """The index of each column, nan where the subsets do not differ by more than noise."""
    total = ((value_UR - value_UR.mean(axis=0)) ** 2).sum(axis=0) - (len(value_UR) - 1) * noise
    residual = np.maximum(((left_UU @ value_UR) ** 2).sum(axis=0) - free * noise, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(total > ROUNDING * (value_UR**2).sum(axis=0), 1 - residual / total, np.nan)
    return found


def noise_variance(values: Values, rows: list[int]) -> float:
    """Variance of V of a subset by its seeds; 0 where there is one seed, which tells nothing of it."""
    deviation_G = training_deviation_G(values)
    if deviation_G is None:
        return 0.0
    return float(deviation_G[-1] ** 2 / values.trained_US[rows].sum(axis=1).mean())
