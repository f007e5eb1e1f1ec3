"""How far domains add up: the linear datamodel, and the share of what subsets differ in that it explains.

Letters: U subsets, D domains, R draws of the bootstrap.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from training.measure.bootstrap import resample
from training.measure.values import Floats, Values
from training.measure.variance import parts

FOLDS = 10
LEVEL = 0.05  # of the test whether subsets differ by more than chance
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
    """The share of the variance of V over subsets that the additive model explains, less what chance adds to both.

    index = 1 - (residual - n_residual) / (total - n_total), sums of squares and what chance of seeds and episodes adds to each
    (`added_by_chance`), so that it is not taken for interaction. Over the subsets of train domains, the empty one left out,
    for it is another learner, and the seeds that all of them have. None where too few subsets were trained, they have no seed
    in common, or where by an F-test they do not surely differ by more than chance: a share of nothing is any number.
    """
    rows = [at for at, subset in enumerate(values.subsets) if subset and subset <= set(domains)]
    design = indicators(values, domains, rows)
    free = len(rows) - design.shape[1]
    if free < 3 or np.linalg.matrix_rank(design) < design.shape[1] or not values.trained_US[rows].all(axis=0).any():
        return None
    found = complete(values, rows)
    left_UU = np.eye(len(rows)) - design @ np.linalg.pinv(design)
    centre_UU = np.eye(len(rows)) - 1 / len(rows)
    chance = tuple(added_by_chance(found, each) for each in (left_UU, centre_UU))
    value_U1 = found.mean_U()[:, None]
    if chance[1] > 0:
        bound = stats.f.ppf(1 - LEVEL, len(rows) - 1, chance_degrees(found))
        if squares(centre_UU, value_U1)[0] / chance[1] <= bound:
            return None
    mean = index_of(value_U1, left_UU, centre_UU, chance)[0]
    if not np.isfinite(mean):
        return None
    drawn_UR = resample(found, np.eye(len(rows)), found.groups_GH[-1:], seed=seed)[:, 0]
    # a draw adds its own chance to that of the values that it is drawn from
    departure_UR = drawn_UR - value_U1
    twice = tuple(
        once + float(squares(each, departure_UR).mean()) for once, each in zip(chance, (left_UU, centre_UU), strict=True)
    )
    found_R = index_of(drawn_UR, left_UU, centre_UU, twice)
    found_R = found_R[np.isfinite(found_R)]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(found_R, [tail, 100 - tail]) if len(found_R) else (-np.inf, 1.0)
    return Modularity(float(mean), float(min(low, mean)), float(min(1.0, max(high, mean))), len(rows))


def complete(values: Values, rows: list[int]) -> Values:
    """These subsets, with the seeds that all of them have."""
    seeds = np.flatnonzero(values.trained_US[rows].all(axis=0))
    return Values(
        tuple(values.subsets[row] for row in rows),
        tuple(values.seeds[at] for at in seeds),
        values.held_out,
        tuple(accuracy_USE[rows][:, seeds] for accuracy_USE in values.accuracies),
        np.ones((len(rows), len(seeds)), dtype=bool),
    )


def squares(weights_MU: Floats, value_UR: Floats) -> Floats:
    """Sum of squares of the contrasts, for each column."""
    found: Floats = ((weights_MU @ value_UR) ** 2).sum(axis=0)
    return found


def added_by_chance(values: Values, weights_MU: Floats) -> float:
    """What chance adds to the sum of squares of these contrasts of V: the sum of their variances, each without bias.

    What a seed or an episode does to all subsets alike cancels in contrasts, and so is not in it.
    """
    return float(parts(values, weights_MU, values.groups_GH[-1:]).unbiased_MG.sum())


def chance_degrees(values: Values) -> int:
    """Degrees of freedom of the chance in V over subsets: of seeds, the fewer; of episodes where there is one seed."""
    draws = len(values.seeds)
    if draws == 1:
        draws = min(accuracy_USE.shape[2] for accuracy_USE in values.accuracies)
    return (len(values.subsets) - 1) * (draws - 1)


def index_of(value_UR: Floats, left_UU: Floats, centre_UU: Floats, chance: tuple[float, ...]) -> Floats:
    """The index of each column, nan where the subsets do not differ by more than chance, which is given for both sums."""
    total_R = squares(centre_UU, value_UR) - chance[1]
    residual_R = np.maximum(squares(left_UU, value_UR) - chance[0], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(total_R > ROUNDING * (value_UR**2).sum(axis=0), 1 - residual_R / total_R, np.nan)
    return found
