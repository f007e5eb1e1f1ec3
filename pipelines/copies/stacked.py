"""Several sets of pictures as one, so that one search looks between all of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.copies.store import Numbers, ThumbRows
from pipelines.copies.thumbs import PATCHES, SIDE, Thumbs
from pipelines.features import FeatureRows

Floats = npt.NDArray[np.float32]


class _Stack:
    """Numbers over several sets, one set's behind the other's."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._ends = np.cumsum(sizes, dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def _parts(self, numbers: Numbers) -> tuple[int, Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]]]]:
        """How many are asked for; and of each set that has some: which set, their places in the answer, their numbers in it."""
        asked = np.arange(len(self))[numbers]
        owner = np.searchsorted(self._ends, asked, side="right")
        starts = np.concatenate([[0], self._ends[:-1]])

        def parts() -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
            for which in np.unique(owner).tolist():
                places = np.flatnonzero(owner == which)
                yield which, places, asked[places] - starts[which]

        return len(asked), parts()


class StackedThumbs(_Stack):
    """Thumbnails of several sets."""

    def __init__(self, sets: Sequence[ThumbRows]) -> None:
        super().__init__([len(one) for one in sets])
        self._sets = sets

    def take(self, numbers: Numbers) -> Thumbs:
        """Thumbnails of these pictures by number, copied into memory."""
        count, parts = self._parts(numbers)
        found = Thumbs(np.empty((count, SIDE, SIDE), np.uint8), np.empty((count, PATCHES, PATCHES, 3), np.uint8))
        for which, places, own in parts:
            taken = self._sets[which].take(own)
            found.grey_NHW[places], found.colour_NPPC[places] = taken.grey_NHW, taken.colour_NPPC
        return found


class StackedFeatures(_Stack):
    """Features of several sets, of one length."""

    def __init__(self, sets: Sequence[FeatureRows]) -> None:
        super().__init__([len(one) for one in sets])
        self._sets = sets

    def take(self, numbers: Numbers) -> Floats:
        """Unit rows [K, D] of these pictures."""
        count, parts = self._parts(numbers)
        taken = [(places, self._sets[which].take(own)) for which, places, own in parts]
        found = np.zeros((count, taken[0][1].shape[1] if taken else 0), np.float32)
        for places, rows in taken:
            found[places] = rows
        return found
