"""Perceptual hashes of thumbnails, also of their flips and quarter turns: cheap, and only good enough to propose pairs.

The hash holds the signs of the lowest frequencies of the cosine transform of the grey picture (Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010). Zero stands in for the median, so that the hash of a mirrored
picture follows from the same numbers.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

THUMB_SIDE = 32
BAND = 8  # frequencies a side; BAND * BAND bits
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Kind = TypeVar("Kind", bound=np.generic)

# Name of each symmetry of the square -> (transpose first, then flip rows, then flip columns).
TURNS: dict[str, tuple[bool, bool, bool]] = {
    "none": (False, False, False),
    "mirrored": (False, False, True),
    "upside down": (False, True, False),
    "turned 180": (False, True, True),
    "transposed": (True, False, False),
    "turned 270": (True, False, True),
    "turned 90": (True, True, False),
    "transversed": (True, True, True),
}


def _cosines() -> Floats:
    steps = np.arange(THUMB_SIDE) + 0.5
    waves = np.arange(BAND)[:, None]
    return np.asarray(np.cos(np.pi * waves * steps / THUMB_SIDE) * np.sqrt(2 / THUMB_SIDE), np.float32)


def grey(thumbs_NHWC: Bytes) -> Floats:
    """Luma 0 to 255 of RGB thumbnails [N, H, W, 3]: float32 [N, H, W]."""
    return np.asarray(thumbs_NHWC.astype(np.float32) @ LUMA, np.float32)


def spectra(thumbs_NHWC: Bytes) -> Floats:
    """Lowest BAND x BAND cosine coefficients of the grey thumbnails: float32 [N, BAND, BAND]."""
    cosines = _cosines()
    return np.asarray(cosines @ grey(thumbs_NHWC) @ cosines.T, np.float32)


def hashes(spectra_NFF: Floats, turn: str = "none") -> Codes:
    """64-bit hashes [N] of the pictures after `turn`: bit f is 1 where coefficient f is positive; the mean takes no part."""
    turned = turn_spectra(spectra_NFF, turn).reshape(-1, BAND * BAND)
    # Rounding keeps what is zero but for arithmetic noise (flat or symmetric pictures) from setting bits at random.
    positive = np.rint(turned) > 0
    positive[:, 0] = False
    return np.packbits(positive, axis=1).view(">u8")[:, 0].astype(np.uint64)


def turn_spectra(spectra_NFF: Floats, turn: str) -> Floats:
    """Spectra of the pictures after `turn`: a flip changes the sign of the odd frequencies along its axis."""
    transpose, rows, columns = TURNS[turn]
    turned = spectra_NFF.transpose(0, 2, 1) if transpose else spectra_NFF
    signs = np.where(np.arange(BAND) % 2, -1, 1).astype(np.float32)
    if rows:
        turned = turned * signs[:, None]
    if columns:
        turned = turned * signs
    return turned


def turn_thumbs(thumbs_NHWC: npt.NDArray[Kind], turn: str) -> npt.NDArray[Kind]:
    """Thumbnails [N, H, W, ...] after `turn`."""
    transpose, rows, columns = TURNS[turn]
    turned = thumbs_NHWC.swapaxes(1, 2) if transpose else thumbs_NHWC
    return turned[:, :: -1 if rows else 1, :: -1 if columns else 1]


def hash_digits(codes_N: Codes) -> list[str]:
    """Hashes as 16 hex digits each."""
    return [f"{int(code):016x}" for code in codes_N]
