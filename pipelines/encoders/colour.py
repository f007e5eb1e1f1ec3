"""Colour: mean and deviation of three opponent channels over the picture and its quarters, and their histograms."""

import numpy as np

from pipelines.encoders.arrays import F32
from pipelines.encoders.pooling import pool

BINS = 8
# Rows: lightness, red - green, yellow - blue (van de Sande, Gevers & Snoek 2010, unnormalised).
OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1, -1, 0], [0.5, 0.5, -1]], dtype=np.float32)
RANGES = ((0.0, 1.0), (-0.6, 0.6), (-0.6, 0.6))
WIDTH = 2 * 3 * (1 + 4) + 3 * BINS


def _histogram(values_BP: F32, low: float, high: float) -> F32:
    """Square roots [B, BINS] of the shares of pixels in each bin, linearly interpolated between the bins' centres."""
    place = (values_BP - low) * ((BINS - 1) / (high - low))
    shares = [np.maximum(1 - np.abs(place - centre), 0).mean(axis=1) for centre in range(BINS)]
    return np.asarray(np.sqrt(np.stack(shares, axis=1)), dtype=np.float32)


def colour(images_BHWC: F32) -> F32:
    """Features [B, WIDTH] of images [B, side, side, 3] in 0-1."""
    opponent = images_BHWC @ OPPONENT.T
    parts = []
    for cells in (1, 2):
        mean = pool(opponent, cells)
        parts += [mean, np.sqrt(np.maximum(pool(opponent * opponent, cells) - mean * mean, 0))]
    flat = opponent.reshape(len(opponent), -1, 3)
    parts += [_histogram(flat[:, :, channel], low, high) for channel, (low, high) in enumerate(RANGES)]
    return np.concatenate(parts, axis=1)
