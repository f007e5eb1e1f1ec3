"""What pictures are compared by: a grey thumbnail and a few colours, 4288 bytes a picture whatever its size."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 64  # px of the grey thumbnail
PATCHES = 8  # a side of the colours
FINE_PATCHES = 32  # a side of the colours that the scores of quality look at
LONGEST = 256  # px; a longer picture is reduced before it is looked at
GREY_BYTES = SIDE * SIDE
THUMB_BYTES = GREY_BYTES + PATCHES * PATCHES * 3

Bytes = npt.NDArray[np.uint8]


class Thumbs(NamedTuple):
    """Thumbnails of N pictures, squashed to squares. The arrays may lie on disk and be read as they are used."""

    grey_NHW: Bytes  # [N, SIDE, SIDE]
    colour_NPPC: Bytes  # [N, PATCHES, PATCHES, 3], RGB

    def __len__(self) -> int:
        return len(self.grey_NHW)


class Reduced(NamedTuple):
    """What is left of a picture for its thumbnail and its scores."""

    grey: Image.Image  # at most LONGEST px long, sides in proportion
    square: bytes  # grey, SIDE x SIDE px
    patches: bytes  # RGB, FINE_PATCHES x FINE_PATCHES px


def thumb(image: Image.Image) -> bytes:
    """The thumbnail of an upright RGB picture: THUMB_BYTES bytes, grey row by row, then colours."""
    return thumbs_from([reduced(image)])[0]


def reduced(image: Image.Image) -> Reduced:
    """An upright RGB picture made small."""
    factor = -(-max(image.size) // LONGEST)
    judged = image.reduce(factor) if factor > 1 else image
    grey = judged.convert("L")
    # a thin picture keeps all pixels of its shorter side
    wide = judged is image or min(judged.size) >= SIDE
    square, patches = (grey, judged) if wide else (image.convert("L"), image)
    return Reduced(grey, _squashed(square, SIDE).tobytes(), _squashed(patches, FINE_PATCHES).tobytes())


def _squashed(image: Image.Image, side: int) -> Image.Image:
    """A picture as a square of `side` px."""
    # an integer mean comes first: it costs a fifth of a resampling of all pixels
    factors = max(1, image.width // side), max(1, image.height // side)
    small = image.reduce(factors) if factors != (1, 1) else image
    return small if small.size == (side, side) else small.resize((side, side), Image.Resampling.BILINEAR)


def patches_of(pictures: Sequence[Reduced]) -> Bytes:
    """Their patches, uint8 RGB [N, FINE_PATCHES, FINE_PATCHES, 3]."""
    joined = b"".join(picture.patches for picture in pictures)
    return np.frombuffer(joined, np.uint8).reshape(-1, FINE_PATCHES, FINE_PATCHES, 3)


def thumbs_from(pictures: Sequence[Reduced]) -> list[bytes]:
    """Thumbnails of pictures that `reduced` has made small."""
    size = FINE_PATCHES // PATCHES
    rows_NPX = patches_of(pictures).reshape(-1, PATCHES, size, FINE_PATCHES * 3).sum(2, dtype=np.uint16)
    cells_NPFC = rows_NPX.reshape(-1, PATCHES, FINE_PATCHES, 3)
    sums_NPPC = sum((cells_NPFC[:, :, start::size] for start in range(size)), np.uint16(0))
    colours_NX = ((sums_NPPC + size * size // 2) // (size * size)).astype(np.uint8).reshape(len(pictures), -1)
    return [picture.square + colours.tobytes() for picture, colours in zip(pictures, colours_NX, strict=True)]


def thumbs_of(rows: Bytes) -> Thumbs:
    """Thumbnails of the bytes that `thumb` gave, uint8 [N, THUMB_BYTES]; nothing is copied."""
    assert rows.ndim == 2
    assert rows.shape[1] == THUMB_BYTES
    grey_NHW = rows[:, :GREY_BYTES].reshape(-1, SIDE, SIDE)
    return Thumbs(grey_NHW, rows[:, GREY_BYTES:].reshape(-1, PATCHES, PATCHES, 3))


def rows_of(thumbs: Iterable[bytes]) -> Bytes:
    """Thumbnails as uint8 [N, THUMB_BYTES]."""
    return np.frombuffer(b"".join(thumbs), np.uint8).reshape(-1, THUMB_BYTES)
