"""The lowest cosine coefficients of pictures and of their middles, and the 64-bit hashes of their signs.

Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010), with zero in the place of the median, so
that the hash of a mirrored picture follows from the same numbers. The middles are what a cut or framed copy shares with its
original.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.copies.thumbs import SIDE, Bytes

BAND = 8  # frequencies a side; BAND * BAND bits


class View(NamedTuple):
    """A part of a picture: the share of each side that it holds, and where it lies, -1 (first edge) to 1."""

    share: float
    down: float = 0.0
    right: float = 0.0


WHOLE = View(1.0)
# what a cut of a tenth leaves, in the middle and towards each corner, and what lies within a frame of a tenth
MIDDLES = (View(0.9), View(0.9, -0.7, -0.7), View(0.9, -0.7, 0.7), View(0.9, 0.7, -0.7), View(0.9, 0.7, 0.7), View(0.8))

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint64]


@cache
def _basis(share: float, place: float) -> Floats:
    """Cosines [BAND, SIDE] over a part of SIDE samples: each sample counts by how much of it lies inside."""
    low, high = SIDE / 2 * (1 - share) * (1 + place), SIDE - SIDE / 2 * (1 - share) * (1 - place)
    edges = np.arange(SIDE + 1, dtype=np.float64)
    inside = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, 1)
    places = (np.arange(SIDE) + 0.5 - low) / (high - low)
    found = np.cos(np.pi * np.arange(BAND)[:, None] * places) * inside
    found[1:] -= inside * (found[1:].sum(1, keepdims=True) / inside.sum())  # a flat picture has no waves
    return np.asarray(found * np.sqrt(2 / SIDE) / np.sqrt(share), np.float32)


def waves(grey_NHW: Bytes, view: View = WHOLE) -> Floats:
    """Lowest BAND x BAND cosine coefficients of a view of grey thumbnails [N, SIDE, SIDE]: float32 [N, BAND, BAND]."""
    down, right = _basis(view.share, view.down), _basis(view.share, view.right)
    return np.asarray(down @ (grey_NHW.astype(np.float32) @ right.T), np.float32)


def placement(view: View) -> Floats:
    """Where a picture that is nothing but the view lies in the whole: [sy, ty, sx, tx] as `align` has them."""
    room = 1 - view.share
    return np.array([view.share, view.down * room, view.share, view.right * room], np.float32)


def inverse(placement_4: Floats) -> Floats:
    """The placement seen from the other picture."""
    scale, shift = placement_4[0::2], placement_4[1::2]
    return np.stack([1 / scale, -shift / scale], 1).ravel()


def hashes(waves_NFF: Floats) -> Codes:
    """64-bit hashes [N]: bit f is 1 where coefficient f is positive; the mean takes no part."""
    # rounding keeps what is zero but for arithmetic noise (flat or symmetric pictures) from setting bits at random
    positive = np.rint(waves_NFF.reshape(-1, BAND * BAND)) > 0
    positive[:, 0] = False
    return np.packbits(positive, axis=1).view(">u8")[:, 0].astype(np.uint64)


def hash_digits(codes_N: Codes) -> list[str]:
    """Hashes as 16 hex digits each."""
    return [f"{int(code):016x}" for code in codes_N]
