"""How far domains are from each other by their features: two distances, and whether either says what a swap will do.

Letters: N images, D numbers of a feature, K principal components, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron, vstack
from scipy.spatial.distance import cdist

from training.collection import DomainTensors
from training.measure.values import Floats

COMPONENTS = 64  # principal components of the pool: a covariance of more needs more images than small domains have
IMAGES = 2000  # of a domain, drawn by lot
CLASSES = 60  # of a domain, drawn by lot: transport between more classes takes long
SHUFFLES = 9999
DISTANCES = ("frechet", "classwise")
SCHEMA: dict[str, type[pl.DataType]] = {"first": pl.String, "second": pl.String, "frechet": pl.Float64, "classwise": pl.Float64}


@dataclass(frozen=True)
class Cloud:
    """A domain on the components of the pool: its mean and covariance, and those of its classes."""

    mean_K: Floats
    root_KK: Floats  # symmetric square root of the covariance
    class_mean_CK: Floats
    class_deviation_CK: Floats


def similarity(domains: Mapping[str, DomainTensors], *, seed: int = 0) -> pl.DataFrame:
    """Both distances for each pair of domains, SCHEMA; `domains` have features, not pixels.

    Features are projected on the principal components of a pool in which every domain weighs the same, and scaled so that
    the pool's mean squared distance from its centre is 1: 0 is one and the same, 1 and more as far as anything in the pool.
    """
    drawn = {name: _drawn(domain, seed) for name, domain in domains.items()}
    centre_D, basis_DK, scale = _pool([features_ND for features_ND, _ in drawn.values()])
    clouds = {name: cloud((x_ND - centre_D) @ basis_DK / scale, class_N) for name, (x_ND, class_N) in drawn.items()}
    rows = [
        (one, other, frechet(clouds[one], clouds[other]), classwise(clouds[one], clouds[other]))
        for one, other in combinations(clouds, 2)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _drawn(domain: DomainTensors, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    assert not domain.pixels
    draw, class_N = np.random.default_rng(seed), domain.class_N.numpy()
    classes = np.unique(class_N)
    if len(classes) > CLASSES:
        classes = np.sort(draw.choice(classes, CLASSES, replace=False))
    rows = np.flatnonzero(np.isin(class_N, classes))
    if len(rows) > IMAGES:
        rows = np.sort(draw.choice(rows, IMAGES, replace=False))
    return domain.features_ND[rows].double().numpy(), class_N[rows]


def _pool(features: Sequence[Floats]) -> tuple[Floats, Floats, float]:
    """Centre, leading principal components and root mean squared distance from the centre, all domains weighing the same."""
    centre_D = np.mean([x_ND.mean(axis=0) for x_ND in features], axis=0)
    covariance_DD = np.mean([(x - centre_D).T @ (x - centre_D) / len(x) for x in features], axis=0)
    variance_D, basis_DD = np.linalg.eigh(covariance_DD)
    scale = float(np.sqrt(max(variance_D[-COMPONENTS:].sum(), np.finfo(np.float64).tiny)))
    return centre_D, basis_DD[:, ::-1][:, :COMPONENTS], scale


def cloud(x_NK: Floats, class_N: NDArray[np.int64]) -> Cloud:
    """Means and spreads of a domain and of its classes."""
    covariance_KK = np.cov(x_NK, rowvar=False, bias=True).reshape(x_NK.shape[1], -1)
    members = [x_NK[class_N == label] for label in np.unique(class_N)]
    deviation = [each.std(axis=0) for each in members]
    return Cloud(x_NK.mean(axis=0), _root(covariance_KK), np.stack([m.mean(axis=0) for m in members]), np.stack(deviation))


def _root(covariance_KK: Floats) -> Floats:
    value_K, basis_KK = np.linalg.eigh(covariance_KK)
    found: Floats = (basis_KK * np.sqrt(np.maximum(value_K, 0.0))) @ basis_KK.T
    return found


def frechet(one: Cloud, other: Cloud) -> float:
    """Squared Frechet distance between the domains taken as Gaussians (Dowson & Landau 1982; as FID has it for features)."""
    apart = ((one.mean_K - other.mean_K) ** 2).sum()
    # trace of (A B)^(1/2) is the sum of the singular values of A^(1/2) B^(1/2)
    shared = np.linalg.svd(one.root_KK @ other.root_KK, compute_uv=False).sum()
    found = apart + (one.root_KK**2).sum() + (other.root_KK**2).sum() - 2 * shared
    return float(max(found, 0.0))


def classwise(one: Cloud, other: Cloud) -> float:
    """What it costs to carry the classes of one domain over to the other's, each class a Gaussian and all of equal weight.

    After the optimal transport dataset distance (Alvarez-Melis & Fusi 2020) with its labels' distances alone: the cost of two
    classes is their squared Wasserstein distance with diagonal covariances.
    """
    cost_CC = cdist(one.class_mean_CK, other.class_mean_CK, "sqeuclidean")
    cost_CC += cdist(one.class_deviation_CK, other.class_deviation_CK, "sqeuclidean")
    return transport(cost_CC)


def transport(cost_CC: Floats) -> float:
    """The least cost of moving equal weights on the rows onto equal weights on the columns (both add up to 1)."""
    rows, columns = cost_CC.shape
    sums = vstack([kron(eye_array(rows), np.ones((1, columns))), kron(np.ones((1, rows)), eye_array(columns))]).tocsr()
    weights = np.concatenate([np.full(rows, 1 / rows), np.full(columns, 1 / columns)])
    solved = linprog(cost_CC.ravel(), A_eq=sums, b_eq=weights, method="highs")
    assert solved.success, solved.message
    return float(max(solved.fun, 0.0))


def distance_of(table: pl.DataFrame, distance: str) -> dict[frozenset[str], float]:
    """One of the distances by pair."""
    return {frozenset((one, other)): value for one, other, value in table.select("first", "second", distance).iter_rows()}


def rank_correlation(x: Sequence[float], y: Sequence[float], *, seed: int = 0) -> dict[str, float] | None:
    """Spearman's rank correlation with its two-sided p-value by shuffling; None for fewer than four pairs or no spread."""
    if len(x) < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    ranks_x, ranks_y = stats.rankdata(x), stats.rankdata(y)
    found = float(np.corrcoef(ranks_x, ranks_y)[0, 1])
    draw, centred = np.random.default_rng(seed), ranks_x - ranks_x.mean()
    shuffled = np.stack([draw.permutation(ranks_y) for _ in range(SHUFFLES)]) @ centred
    as_far = np.abs(shuffled) >= abs(centred @ ranks_y) - 1e-9
    return {"rank": round(found, 6), "p": round((1 + int(as_far.sum())) / (1 + SHUFFLES), 6), "pairs": len(x)}
