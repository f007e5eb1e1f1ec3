"""What pictures are compared by: a grey thumbnail and a few colours, 4288 bytes a picture whatever its size."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 64  # px of the grey thumbnail
PATCHES = 8  # a side of the colours
GREY_BYTES = SIDE * SIDE
THUMB_BYTES = GREY_BYTES + PATCHES * PATCHES * 3

Bytes = npt.NDArray[np.uint8]


class Thumbs(NamedTuple):
    """Thumbnails of N pictures, squashed to squares. The arrays may lie on disk and be read as they are used."""

    grey_NHW: Bytes  # [N, SIDE, SIDE]
    colour_NPPC: Bytes  # [N, PATCHES, PATCHES, 3], RGB

    def __len__(self) -> int:
        return len(self.grey_NHW)


def thumb(image: Image.Image) -> bytes:
    """The thumbnail of an upright RGB picture: THUMB_BYTES bytes, grey row by row, then colours."""
    return thumb_of(reduced(image))


def reduced(image: Image.Image) -> Image.Image:
    """An upright RGB picture squashed to SIDE x SIDE px."""
    width, height = image.size
    # an integer mean comes first: it costs a fifth of a resampling of all pixels
    factors = max(1, width // SIDE), max(1, height // SIDE)
    small = image.reduce(factors) if factors != (1, 1) else image
    return small if small.size == (SIDE, SIDE) else small.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def thumb_of(small: Image.Image) -> bytes:
    """The thumbnail of a picture that `reduced` has squashed."""
    return small.convert("L").tobytes() + small.reduce(SIDE // PATCHES).tobytes()


def thumbs_of(rows: Bytes) -> Thumbs:
    """Thumbnails of the bytes that `thumb` gave, uint8 [N, THUMB_BYTES]; nothing is copied."""
    assert rows.ndim == 2
    assert rows.shape[1] == THUMB_BYTES
    grey_NHW = rows[:, :GREY_BYTES].reshape(-1, SIDE, SIDE)
    return Thumbs(grey_NHW, rows[:, GREY_BYTES:].reshape(-1, PATCHES, PATCHES, 3))


def rows_of(thumbs: Iterable[bytes]) -> Bytes:
    """Thumbnails as uint8 [N, THUMB_BYTES]."""
    return np.frombuffer(b"".join(thumbs), np.uint8).reshape(-1, THUMB_BYTES)
