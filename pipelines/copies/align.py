"""Lays one thumbnail over another by a small shift and scale a side, as a cut, a frame or another size moves a picture.

Lucas & Kanade (1981) with brightness and contrast as two more unknowns, coarse to fine, for many pairs at once. A placement
[sy, ty, sx, tx] says where the second picture's points lie in the first: y = sy * v + ty, x = sx * u + tx, with all
coordinates from -1 to 1.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
COARSE, FINE = 16, 32  # px a side at which pictures are laid over each other
STEPS = {COARSE: 3, FINE: 3}
LEAST_SCALE, MOST_SCALE, MOST_SHIFT = 0.72, 1.39, 0.3
DAMPING = 1e-3
HOPEFUL = 0.9  # correlation at COARSE, the least with which a pair is looked at further


class Laid(NamedTuple):
    """Two pictures on one grid, [P, S, S] each, and where the first has pixels [P, S, S] bool."""

    first_PSS: Floats
    second_PSS: Floats
    inside_PSS: npt.NDArray[np.bool_]


def grid(side: int) -> Floats:
    """Centres of `side` pixels, -1 to 1."""
    return np.asarray((np.arange(side) + 0.5) * 2 / side - 1, np.float32)


def samples(scale_P: Floats, shift_P: Floats, side: int, pixels: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Weights [P, side, pixels] that take a line of pixels to `side` places, and which of these lie inside it [P, side]."""
    places = scale_P[:, None] * grid(side) + shift_P[:, None]
    at = ((places + 1) * (pixels / 2) - 0.5).astype(np.float32)
    reach = np.maximum(1, scale_P * (pixels / side)).astype(np.float32)[:, None, None]
    weights = np.abs(at[:, :, None] - np.arange(pixels, dtype=np.float32))
    np.divide(weights, -reach, out=weights)
    weights += 1
    np.maximum(weights, 0, out=weights)
    weights /= np.maximum(weights.sum(2, keepdims=True), 1e-6)
    # where the second picture is the larger, what lies around the first must not leak in from the edge
    margin = np.where(scale_P > 1.03, scale_P * (2 / side), 0)[:, None]
    return weights, np.abs(places) + margin <= 1.0001


def lay(first_PHW: Floats, second_PSS: Floats, placement_P4: Floats) -> Laid:
    """The first picture of each pair on the grid of the second, which `small` has made."""
    side, pixels = second_PSS.shape[1], first_PHW.shape[1]
    rows, rows_in = samples(placement_P4[:, 0], placement_P4[:, 1], side, pixels)
    columns, columns_in = samples(placement_P4[:, 2], placement_P4[:, 3], side, pixels)
    first = np.matmul(np.matmul(rows, first_PHW), columns.transpose(0, 2, 1))
    return Laid(first, second_PSS, rows_in[:, :, None] & columns_in[:, None, :])


def small(pictures_PHW: Floats, side: int) -> Floats:
    """Pictures at `side` px, smoothed as `lay` smooths."""
    weights = samples(np.ones(1, np.float32), np.zeros(1, np.float32), side, pictures_PHW.shape[1])[0][0]
    return np.asarray(np.matmul(np.matmul(weights, pictures_PHW), weights.T), np.float32)


def correlation(laid: Laid) -> Floats:
    """Correlation of each pair where both have pixels, -1 to 1; 0 where one is flat."""
    pairs = len(laid.first_PSS)
    weight = laid.inside_PSS.reshape(pairs, -1).astype(np.float32)
    first, second = laid.first_PSS.reshape(pairs, -1) * weight, laid.second_PSS.reshape(pairs, -1) * weight
    count = np.maximum(weight.sum(1), 1)
    sum_1, sum_2 = first.sum(1), second.sum(1)
    both = np.einsum("pk,pk->p", first, second) - sum_1 * sum_2 / count
    power_1 = np.einsum("pk,pk->p", first, first) - sum_1**2 / count
    power_2 = np.einsum("pk,pk->p", second, second) - sum_2**2 / count
    return np.asarray(both / np.maximum(np.sqrt(np.maximum(power_1, 0) * np.maximum(power_2, 0)), 1), np.float32)


def aligned(first_PHW: Floats, second_PHW: Floats, placement_P4: Floats) -> tuple[Floats, Floats]:
    """The best placements found from these for pairs of grey thumbnails, and the correlations of the pictures so laid.

    Pairs that hardly correlate after the coarse steps are not looked at further.
    """
    best, found = _better(halved(first_PHW), small(halved(second_PHW), COARSE), placement_P4)
    hopeful = np.flatnonzero(found >= HOPEFUL)
    best[hopeful], found[hopeful] = _better(first_PHW[hopeful], small(second_PHW[hopeful], FINE), best[hopeful])
    return best, found


def halved(pictures_PHW: Floats) -> Floats:
    """Pictures at half the side."""
    rows = pictures_PHW[:, 0::2] + pictures_PHW[:, 1::2]
    return np.asarray((rows[:, :, 0::2] + rows[:, :, 1::2]) / 4, np.float32)


def _better(first_PHW: Floats, second_PSS: Floats, placement_P4: Floats) -> tuple[Floats, Floats]:
    """These placements or refined ones, whichever correlate better, and how well."""
    if len(first_PHW) == 0:
        return placement_P4, np.empty(0, np.float32)
    side = second_PSS.shape[1]
    laid = lay(first_PHW, second_PSS, placement_P4)
    start, moved = correlation(laid), placement_P4
    for _ in range(STEPS[side]):
        moved = _bounded(moved + _step(laid, moved))
        laid = lay(first_PHW, second_PSS, moved)
    reached = correlation(laid)
    return np.where((reached > start)[:, None], moved, placement_P4), np.maximum(start, reached)


def _step(laid: Laid, placement_P4: Floats) -> Floats:
    """What to add to each placement: a step of Lucas and Kanade, least squares over pixels with gain and offset free."""
    pairs, side, _ = laid.second_PSS.shape
    across = grid(side)
    down, right = _slopes(laid.first_PSS)
    jacobian = np.empty((pairs, 6, side, side), np.float32)
    jacobian[:, 1] = down / placement_P4[:, 0, None, None]
    jacobian[:, 3] = right / placement_P4[:, 2, None, None]
    jacobian[:, 0], jacobian[:, 2] = jacobian[:, 1] * across[:, None], jacobian[:, 3] * across
    jacobian[:, 4], jacobian[:, 5] = laid.first_PSS, 1
    jacobian *= laid.inside_PSS[:, None]
    flat = jacobian.reshape(pairs, 6, -1)
    target = laid.second_PSS.reshape(pairs, -1, 1)
    normal = (flat @ flat.transpose(0, 2, 1)).astype(np.float64)
    trace = np.einsum("pii->pi", normal)
    normal[:, range(6), range(6)] += DAMPING * trace + 1e-3
    found = np.linalg.solve(normal, (flat @ target).astype(np.float64))[:, :, 0]
    # the model is gain * (first + J d) + offset: what multiplies the gradients is gain * d
    gain = np.maximum(found[:, 4], 0.1)
    return np.asarray(np.clip(found[:, :4] / gain[:, None], -0.1, 0.1), np.float32)


def _slopes(pictures_PSS: Floats) -> tuple[Floats, Floats]:
    """Change by row and by column for each unit of a side of length 2."""
    side = pictures_PSS.shape[1]
    down, right = np.zeros_like(pictures_PSS), np.zeros_like(pictures_PSS)
    np.subtract(pictures_PSS[:, 2:], pictures_PSS[:, :-2], out=down[:, 1:-1])
    np.subtract(pictures_PSS[:, :, 2:], pictures_PSS[:, :, :-2], out=right[:, :, 1:-1])
    down *= side / 4
    right *= side / 4
    return down, right


def _bounded(placement_P4: Floats) -> Floats:
    low = np.array([LEAST_SCALE, -MOST_SHIFT] * 2, np.float32)
    high = np.array([MOST_SCALE, MOST_SHIFT] * 2, np.float32)
    return np.clip(placement_P4, low, high)
