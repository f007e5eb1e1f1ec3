"""Suspected labels: kept records that look like another class than their own. Advice for a person, never a verdict.

Two views of a record that leave it out, and with it its copies and its group: a ridge regression on the features of the
other records (ten folds), and the labels of its nearest neighbours by cosine. A softmax over both, whose two weights are
fitted to the labels as they are given, says how probable each class is; so where features say little, it is sure of nothing
and the list stays short. A record is suspected where another class is more than ODDS times as probable as its own and a
neighbour carries it. Probabilities out of sample held against given labels are the idea of confident learning (Northcutt,
Jiang and Chuang 2021); one threshold on the odds did better than its thresholds by class (docs/benchmarks.md).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.draw import lots
from pipelines.features import Features

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

NEIGHBOURS = 10
ODDS = 50.0
FOLDS = 10
RIDGE = 1.0  # times the mean squared length of the centred features
REFERENCES = 5000  # records, drawn by lot, among which neighbours are sought; bounds time and memory of large domains
CALIBRATED_ON = 2000  # records
BLOCK_CELLS = 4_000_000  # of a table of similarities or scores held at once
SCHEMA = {
    "key": pl.String(),
    "label": pl.String(),
    "suggested": pl.String(),
    "share": pl.Float32(),  # of the neighbours that carry `suggested`
    "neighbours": pl.List(pl.String()),  # keys, nearest first
}


class Known(NamedTuple):
    """What is known of N records in C classes."""

    features_ND: Singles  # unit length
    label_N: Indices
    company_N: Indices  # equal numbers are copies or of one group
    fold_N: Indices
    reference_M: Indices  # rows among which neighbours are sought


class Views(NamedTuple):
    """Two views of a block of B records."""

    rows_B: Indices
    scores_B2C: Floats  # of ridge, and the logarithm of the neighbours' shares
    nearest_BK: Indices  # rows, nearest first; -1 where there are no more


def suspects(ledger: pl.DataFrame, features: Features, seed: int = 0) -> pl.DataFrame:
    """The kept records whose labels are in doubt, in the form of SCHEMA, by `share` from high to low, then by key.

    Records that a hand kept or relabelled are doubted no more; they stand as neighbours of others.
    Takes time in proportion to N x min(N, REFERENCES). The same ledger, features and seed give the same list.
    """
    kept = ledger.filter(pl.col("verdict") == "kept").sort("key")
    features_ND, has_N = features.of(kept["key"])
    kept = kept.filter(pl.Series(has_N))
    classes = kept["label"].unique().sort()
    if len(classes) < 2 or kept.height <= FOLDS:
        return pl.DataFrame(schema=SCHEMA)
    known = _known(kept, features_ND[has_N], classes, seed)
    ridge = _Ridge(known, len(classes))
    weights_2 = _calibrated(known, ridge)
    found = [pl.DataFrame(schema=SCHEMA)]
    for views in _views(known, ridge, np.arange(kept.height)):
        found.append(_doubted(kept, classes, known, views, weights_2))
    decided = kept.filter(pl.col("override").is_not_null())["key"]
    return pl.concat(found).filter(~pl.col("key").is_in(decided.implode())).sort("share", "key", descending=[True, False])


def _known(kept: pl.DataFrame, features_ND: Singles, classes: pl.Series, seed: int) -> Known:
    company = kept.select(pl.coalesce(pl.format("group {}", "group"), pl.format("cluster {}", "cluster"), "key"))
    number_N = company.to_series().rank("dense").to_numpy().astype(np.int64) - 1
    fold_N = (lots(company.to_series(), seed) % FOLDS).to_numpy().astype(np.int64)
    lot_N = lots(kept["key"], seed).to_numpy()
    features_ND /= np.linalg.norm(features_ND, axis=1, keepdims=True) + np.float32(1e-9)
    label_N = kept["label"].replace_strict(classes, range(len(classes)), return_dtype=pl.Int64).to_numpy()
    return Known(features_ND, label_N, number_N, fold_N, np.sort(np.argsort(lot_N, kind="stable")[:REFERENCES]))


class _Ridge:
    """Ridge regression of one-hot labels on centred features, once without each fold."""

    def __init__(self, known: Known, classes: int) -> None:
        self.classes = classes
        parts = [self._moments(known, known.fold_N == fold) for fold in range(FOLDS)]
        whole = [np.sum([part[moment] for part in parts], axis=0) for moment in range(3)]
        self.folds = [self._fitted(*(total - one for total, one in zip(whole, part, strict=True))) for part in parts]

    def _moments(self, known: Known, chosen_N: npt.NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
        """Of some records: number of each class [C], sum of features of each class [C, D], sum of squares [D, D]."""
        x_ND, label_N = known.features_ND[chosen_N], known.label_N[chosen_N]
        sums_CD = np.zeros((self.classes, x_ND.shape[1]))
        np.add.at(sums_CD, label_N, x_ND)
        return np.bincount(label_N, minlength=self.classes).astype(np.float64), sums_CD, (x_ND.T @ x_ND).astype(np.float64)

    def _fitted(self, count_C: Floats, sums_CD: Floats, squares_DD: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean feature [D], weights [D, C] and mean target [C]."""
        number = max(count_C.sum(), 1.0)
        mean_D, share_C = sums_CD.sum(0) / number, count_C / number
        gram_DD = squares_DD - number * np.outer(mean_D, mean_D)
        penalty = RIDGE * np.trace(gram_DD) / number + 1e-9
        targets_DC = sums_CD.T - np.outer(mean_D, count_C)
        return mean_D, np.linalg.solve(gram_DD + penalty * np.eye(len(gram_DD)), targets_DC), share_C

    def scores(self, known: Known, rows_B: Indices) -> Floats:
        """Scores [B, C] of records by the regression that did not see them."""
        scores_BC = np.empty((len(rows_B), self.classes))
        for fold, (mean_D, weights_DC, share_C) in enumerate(self.folds):
            of_fold = known.fold_N[rows_B] == fold
            scores_BC[of_fold] = (known.features_ND[rows_B[of_fold]] - mean_D) @ weights_DC + share_C
        return scores_BC


def _views(known: Known, ridge: _Ridge, rows: Indices) -> Iterator[Views]:
    block = max(1, BLOCK_CELLS // max(len(known.reference_M), 4 * ridge.classes))
    for start in range(0, len(rows), block):
        rows_B = rows[start : start + block]
        nearest_BK = _nearest(known, rows_B)
        votes_BC = np.zeros((len(rows_B), ridge.classes))
        place_B, place_K = np.nonzero(nearest_BK >= 0)
        np.add.at(votes_BC, (place_B, known.label_N[nearest_BK[place_B, place_K]]), 1.0)
        voters_B = np.maximum((nearest_BK >= 0).sum(1, keepdims=True), 1)
        shares_BC = np.log((votes_BC + 0.5) / (voters_B + 0.5))
        yield Views(rows_B, np.stack([ridge.scores(known, rows_B), shares_BC], axis=1), nearest_BK)


def _nearest(known: Known, rows_B: Indices) -> Indices:
    """Rows [B, K] of the nearest references, nearest first, those of a record's own company left out (-1)."""
    similar_BM = known.features_ND[rows_B] @ known.features_ND[known.reference_M].T
    b, m = _same_company(known.company_N[rows_B], known.company_N[known.reference_M])
    similar_BM[b, m] = -np.inf
    most = min(NEIGHBOURS, len(known.reference_M))
    near_BK = np.argpartition(similar_BM, -most, axis=1)[:, -most:]
    value_BK = np.take_along_axis(similar_BM, near_BK, axis=1)
    order_BK = np.lexsort((near_BK, -value_BK), axis=1)
    near_BK, value_BK = np.take_along_axis(near_BK, order_BK, axis=1), np.take_along_axis(value_BK, order_BK, axis=1)
    return np.where(np.isfinite(value_BK), known.reference_M[near_BK], -1)


def _same_company(ours_B: Indices, theirs_M: Indices) -> tuple[Indices, Indices]:
    """Index pairs (b, m) of equal numbers."""
    order_M = np.argsort(theirs_M, kind="stable")
    first_B, last_B = (np.searchsorted(theirs_M[order_M], ours_B, side) for side in ("left", "right"))
    b = np.repeat(np.arange(len(ours_B)), last_B - first_B)
    return b, order_M[np.arange(len(b)) - np.repeat(np.cumsum(last_B - first_B) - last_B, last_B - first_B)]


def _calibrated(known: Known, ridge: _Ridge) -> Floats:
    """The two weights [2] under which the labels as given are most probable, by Newton's method (the problem is convex)."""
    step = max(1, len(known.label_N) // CALIBRATED_ON)
    sample = list(_views(known, ridge, np.arange(0, len(known.label_N), step)))
    scores_B2C = np.concatenate([views.scores_B2C for views in sample])
    label_B = known.label_N[np.concatenate([views.rows_B for views in sample])]
    weights_2 = np.array([10.0, 1.0])
    own_B2 = scores_B2C[np.arange(len(label_B)), :, label_B]
    for _ in range(30):
        probable_BC = _probable(scores_B2C, weights_2)
        mean_B2 = np.einsum("bc,bjc->bj", probable_BC, scores_B2C)
        slope_2 = (own_B2 - mean_B2).mean(0)
        bend_22 = np.einsum("bc,bjc,bkc->jk", probable_BC, scores_B2C, scores_B2C) - mean_B2.T @ mean_B2
        move_2 = np.linalg.solve(bend_22 / len(label_B) + 1e-6 * np.eye(2), slope_2)
        moved_2 = np.clip(weights_2 + np.clip(move_2, (-10.0, -1.0), (10.0, 1.0)), 0.0, (200.0, 10.0))
        if np.allclose(moved_2, weights_2, atol=1e-4):
            break
        weights_2 = moved_2
    return weights_2


def _probable(scores_B2C: Floats, weights_2: Floats) -> Floats:
    logits_BC = np.einsum("j,bjc->bc", weights_2, scores_B2C)
    raised_BC = np.exp(logits_BC - logits_BC.max(1, keepdims=True))
    return np.asarray(raised_BC / raised_BC.sum(1, keepdims=True))


def _doubted(kept: pl.DataFrame, classes: pl.Series, known: Known, views: Views, weights_2: Floats) -> pl.DataFrame:
    """The suspected records of a block."""
    probable_BC, within_B = _probable(views.scores_B2C, weights_2), np.arange(len(views.rows_B))
    own_B = probable_BC[within_B, known.label_N[views.rows_B]]
    probable_BC[within_B, known.label_N[views.rows_B]] = -1.0
    other_B = probable_BC.argmax(1)
    there_BK = views.nearest_BK >= 0
    agree_BK = there_BK & (known.label_N[views.nearest_BK] == other_B[:, None])
    share_B = agree_BK.sum(1) / np.maximum(there_BK.sum(1), 1)
    doubted = np.flatnonzero((probable_BC[within_B, other_B] > ODDS * own_B) & (share_B > 0))
    keys = kept["key"]
    columns = {
        "key": keys[views.rows_B[doubted]],
        "label": kept["label"][views.rows_B[doubted]],
        "suggested": classes[other_B[doubted]],
        "share": share_B[doubted].astype(np.float32),
        "neighbours": [keys[row[row >= 0]].to_list() for row in views.nearest_BK[doubted]],
    }
    return pl.DataFrame(columns, schema=SCHEMA)
