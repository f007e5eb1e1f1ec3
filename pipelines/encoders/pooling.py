"""Average pooling of feature maps to a coarse grid, with cells that overlap so that a small shift changes little."""

import numpy as np

from pipelines.encoders.arrays import F32


def pooling_weights(positions: int, cells: int) -> F32:
    """Weights [positions, cells] of linear interpolation between cell centres; each column sums to 1."""
    place = (np.arange(positions) + 0.5) / positions * cells - 0.5
    place = np.clip(place, 0, cells - 1)
    weights = np.clip(1 - np.abs(place[:, None] - np.arange(cells)[None, :]), 0, 1)
    return np.asarray(weights / weights.sum(axis=0), dtype=np.float32)


def pool(maps_BHWC: F32, cells: int) -> F32:
    """Pool maps [B, H, W, C] to features [B, cells * cells * C]."""
    batch, height, width, channels = maps_BHWC.shape
    rows, columns = pooling_weights(height, cells), pooling_weights(width, cells)
    weights = np.einsum("hi,wj->ijhw", rows, columns).reshape(cells * cells, height * width)
    pooled: F32 = np.matmul(weights, maps_BHWC.reshape(batch, height * width, channels))
    return pooled.reshape(batch, -1)
