"""The eight ways to lay a square: flips and quarter turns of arrays, and of cosine coefficients."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

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
QUARTER_TURNS = ("turned 90", "turned 270", "transposed", "transversed")
INVERSE = {"turned 90": "turned 270", "turned 270": "turned 90"}


def turned(pictures_NHW: npt.NDArray[Kind], turn: str) -> npt.NDArray[Kind]:
    """Square pictures [N, H, W, ...] after `turn`."""
    transpose, rows, columns = TURNS[turn]
    laid = pictures_NHW.swapaxes(1, 2) if transpose else pictures_NHW
    return laid[:, :: -1 if rows else 1, :: -1 if columns else 1]


def turned_waves(waves_NFF: npt.NDArray[np.float32], turn: str) -> npt.NDArray[np.float32]:
    """Cosine coefficients of the pictures after `turn`: a flip changes the sign of the odd frequencies along its axis."""
    transpose, rows, columns = TURNS[turn]
    laid = waves_NFF.transpose(0, 2, 1) if transpose else waves_NFF
    signs = np.where(np.arange(laid.shape[1]) % 2, -1, 1).astype(np.float32)
    if rows:
        laid = laid * signs[:, None]
    if columns:
        laid = laid * signs
    return laid
