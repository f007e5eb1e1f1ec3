"""Histograms of oriented gradients (Dalal & Triggs 2005): strongest colour channel, unsigned, interpolated."""

import numpy as np

from pipelines.encoders.arrays import F32
from pipelines.encoders.pooling import pool

BINS = 9
CELL = 6  # px


def gradient(images_BHWC: F32) -> tuple[F32, F32]:
    """Horizontal and vertical central differences [B, H, W] of the channel whose gradient is strongest at each pixel."""
    across, down = np.zeros_like(images_BHWC), np.zeros_like(images_BHWC)
    across[:, :, 1:-1] = images_BHWC[:, :, 2:] - images_BHWC[:, :, :-2]
    down[:, 1:-1] = images_BHWC[:, 2:] - images_BHWC[:, :-2]
    strength = across * across + down * down
    x, y, best = across[..., 0], down[..., 0], strength[..., 0]
    for channel in range(1, images_BHWC.shape[-1]):
        better = strength[..., channel] > best
        x, y = np.where(better, across[..., channel], x), np.where(better, down[..., channel], y)
        best = np.maximum(best, strength[..., channel])
    return x, y


def hog(images_BHWC: F32, cell: int = CELL) -> F32:
    """Features [B, (side // cell)**2 * BINS] of images [B, side, side, 3] in 0-1; blocks are not normalised."""
    x, y = gradient(images_BHWC)
    magnitude = np.sqrt(x * x + y * y)
    angle = (np.arctan2(y, x) / np.float32(np.pi) % 1.0) * BINS
    low = np.floor(angle)
    share = (angle - low).astype(np.float32)
    first = low.astype(np.intp) % BINS
    maps = np.zeros((*magnitude.shape, BINS), np.float32)
    np.put_along_axis(maps, first[..., None], (magnitude * (1 - share))[..., None], axis=-1)
    np.put_along_axis(maps, ((first + 1) % BINS)[..., None], (magnitude * share)[..., None], axis=-1)
    return pool(maps, images_BHWC.shape[1] // cell)
