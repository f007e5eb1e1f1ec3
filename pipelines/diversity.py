"""Which images of a full class to keep so that they differ, by their features.

`farthest_first` takes the image that is farthest from all that are kept (Gonzalez 1985, "Clustering to minimize the maximum
intercluster distance": the covering radius is at most twice the least that so many images can reach). `kmeans` draws images
with chances in proportion to the squared distance (Arthur & Vassilvitskii 2007, "k-means++": the mean squared distance is, in
expectation, within O(log k) of the least); outliers are few and so seldom drawn.

Features are taken at unit length, as the learner takes them, and rounded to whole numbers small enough that every product and
sum is exact in float32: the same images are drawn whatever the machine, its threads and the size of the blocks.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pipelines.features import Floats

BLOCK = 8192  # rows scaled at once
LENGTH = 1448  # of a row in whole steps: squared distances stay below 2^24
Rows = list[int]


def diverse(features_ND: Floats, count: int, kept: int, how: Literal["farthest_first", "kmeans"], dice: Sequence[int]) -> Rows:
    """The rows to keep, `count` beside the first `kept` rows, which are kept already, in the order of their choice.

    Rows come in the order of their lots, which decides where distances are equal; `dice` are `count` lots of 64 bits for the
    draws of `kmeans`. Where nothing is kept the first row starts. Time O(count N D), memory 4 N (D + 3) bytes.
    """
    assert kept + count <= len(features_ND)
    assert len(dice) == count
    cover = Cover(features_ND)
    for row in range(kept):
        cover.keep(row)
    chosen: Rows = []
    for lot in dice:
        row = cover.drawn(lot) if how == "kmeans" and (kept or chosen) else cover.farthest()
        cover.keep(row)
        chosen.append(row)
    return chosen


class Cover:
    """Pictures, and of each the squared distance to the nearest that is kept; -1 for those that are kept."""

    def __init__(self, features_ND: Floats) -> None:
        self._steps_ND = whole_steps(features_ND)
        self._square_N = np.einsum("nd,nd->n", self._steps_ND, self._steps_ND)
        self.near_N = np.full(len(features_ND), np.inf, np.float32)

    def keep(self, row: int) -> None:
        """Take this picture."""
        distance_N = self._steps_ND @ self._steps_ND[row]
        distance_N *= -2
        distance_N += self._square_N + self._square_N[row]
        np.minimum(self.near_N, distance_N, out=self.near_N)
        self.near_N[row] = -1

    def farthest(self) -> int:
        """The picture that is farthest from all that are kept, the first of several."""
        return int(np.argmax(self.near_N))

    def drawn(self, lot: int) -> int:
        """A picture drawn with chances in proportion to its squared distance; where all are 0, the first that is not kept."""
        sums_N = np.cumsum(np.maximum(self.near_N, 0), dtype=np.float64).astype(np.int64)
        total = int(sums_N[-1])
        return int(np.searchsorted(sums_N, lot * total >> 64, side="right")) if total else self.farthest()


def whole_steps(features_ND: Floats) -> Floats:
    """Rows at unit length in whole steps of 1 / LENGTH, as float32; zero rows stay zero."""
    steps_ND = np.empty(features_ND.shape, np.float32)
    for start in range(0, len(features_ND), BLOCK):
        block_ND = np.asarray(features_ND[start : start + BLOCK], np.float32)
        length_N1 = np.sqrt(np.einsum("nd,nd->n", block_ND, block_ND, dtype=np.float64))[:, None]
        steps_ND[start : start + BLOCK] = np.rint(block_ND * (LENGTH / np.maximum(length_N1, 1e-12)))
    return steps_ND
