"""Pictures as the search for copies sees them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipelines.copies.propose import Floats, Indices
from pipelines.copies.stacked import StackedFeatures, StackedThumbs
from pipelines.copies.store import ThumbRows
from pipelines.copies.waves import BAND, WHOLE, View, waves
from pipelines.features import FeatureRows

FLAT = 2.0  # grey levels; a picture that deviates less is no evidence of anything
BLOCK_WAVES = 4096  # pictures asked about at once
BLOCK_THUMBS = 512  # pictures whose pixels are looked through at once


@dataclass(frozen=True)
class Seen:
    """Pictures as the search sees them. `sides_N`: root of width times height, px. `features`: theirs, or None.

    `sets_N`: where given, only pairs of pictures of different sets are looked for.
    """

    thumbs: ThumbRows | StackedThumbs
    sides_N: Floats
    features: FeatureRows | StackedFeatures | None = None
    sets_N: Indices | None = None

    def __len__(self) -> int:
        return len(self.thumbs)

    def waves(self, view: View) -> Floats:
        """Cosine coefficients of a view of each picture [N, BAND, BAND]."""
        found = np.empty((len(self), BAND, BAND), np.float32)
        for part in blocks(len(self), BLOCK_THUMBS):
            found[part] = waves(self.thumbs.take(part).grey_NHW, view)
        return found

    @cached_property
    def waves_NFF(self) -> Floats:
        """Cosine coefficients of the whole pictures."""
        return self.waves(WHOLE)

    @cached_property
    def tells_N(self) -> npt.NDArray[np.bool_]:
        """Whether a picture shows anything at all."""
        deviation = np.empty(len(self), np.float32)
        for part in blocks(len(self), BLOCK_THUMBS):
            deviation[part] = self.thumbs.take(part).grey_NHW.std((1, 2))
        return deviation >= FLAT


def apart(seen: Seen, a: Indices, b: Indices) -> npt.NDArray[np.bool_]:
    """Whether two pictures may make a pair: those of one set may not, where sets are named."""
    return np.ones(len(a), bool) if seen.sets_N is None else np.asarray(seen.sets_N[a] != seen.sets_N[b])


def blocks(count: int, size: int = BLOCK_WAVES) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
