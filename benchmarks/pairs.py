"""How well a ranking of pairs finds the true ones: average precision, and precision and recall at a threshold."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


class Ranking(NamedTuple):
    """Scores of the pairs that a method gives at all [K], which of them are true [K], and how many true pairs it never gave."""

    scores_K: Scores
    true_K: npt.NDArray[np.bool_]
    never: int

    @property
    def positives(self) -> int:
        return int(self.true_K.sum()) + self.never

    def average_precision(self) -> float:
        """Area under precision over recall; pairs with one score count together, and what was never given is never found."""
        order = np.argsort(-self.scores_K, kind="stable")
        scores, true = self.scores_K[order], self.true_K[order]
        last = np.flatnonzero(np.r_[np.diff(scores) != 0, True]) if len(scores) else np.empty(0, np.int64)
        found = np.cumsum(true)[last]
        precision = found / (last + 1)
        return float((precision * np.diff(np.r_[0, found])).sum() / max(1, self.positives))

    def at(self, least: float) -> tuple[float, float]:
        """Precision and recall of the pairs with at least this score; precision is 1 where there are none."""
        chosen = self.scores_K >= least
        right = int((chosen & self.true_K).sum())
        return right / max(1, int(chosen.sum())) if chosen.any() else 1.0, right / max(1, self.positives)

    def best(self) -> tuple[float, float, float]:
        """The score at which the harmonic mean of precision and recall is largest, and both there."""
        options = [(score, *self.at(score)) for score in np.unique(self.scores_K)] or [(0.0, 1.0, 0.0)]
        return max(options, key=lambda one: 2 * one[1] * one[2] / max(1e-9, one[1] + one[2]))


def all_pairs(distance_NN: npt.NDArray[np.integer], groups: npt.NDArray[np.integer]) -> Ranking:
    """Every pair of a table of distances, the nearer the better; true are those of one group."""
    a, b = np.triu_indices(len(distance_NN), 1)
    return Ranking(-distance_NN[a, b].astype(np.float64), groups[a] == groups[b], 0)


def given_pairs(
    a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], scores: Scores, groups: npt.NDArray[np.integer]
) -> Ranking:
    """Only the pairs that a method proposed."""
    true = groups[a] == groups[b]
    sizes = np.bincount(groups)
    return Ranking(scores.astype(np.float64), true, int((sizes * (sizes - 1) // 2).sum() - true.sum()))
