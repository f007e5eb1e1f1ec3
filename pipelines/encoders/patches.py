"""Single-layer patch features (Coates, Ng & Lee 2011): whitened patches, a dictionary, a soft threshold, pooling.

The dictionary is made by spherical k-means with both signs of an atom as one (Coates & Ng 2012). Whitening and dictionary are
linear, so encoding folds both into one matrix.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipelines.encoders.arrays import F32
from pipelines.encoders.pooling import pool

SIZE = 6  # px of the halved picture
STRIDE = 1
THRESHOLD = 0.25  # in whitened units
CELLS = 2
FLOOR = (10 / 255) ** 2  # added to a patch's variance, so that flat patches do not become noise
SOFTENING = 0.01  # added to the eigenvalues that whitening divides by
ROUNDS = 10


def halved(images_BHWC: F32) -> F32:
    """Means of 2 x 2 pixels [B, H / 2, W / 2, 3]: patches then span 12 px of the input, at a quarter of the cost."""
    batch, height, width, channels = images_BHWC.shape
    means: F32 = images_BHWC.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
    return means


def normalised_patches(images_BHWC: F32, stride: int) -> F32:
    """Patches [B, rows, columns, SIZE * SIZE * 3] of images in 0-1, each less its mean and over its deviation."""
    windows = sliding_window_view(images_BHWC, (SIZE, SIZE), axis=(1, 2))[:, ::stride, ::stride]
    patches = np.ascontiguousarray(windows).reshape(*windows.shape[:3], -1)
    patches -= patches.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", patches, patches)[..., None] / patches.shape[-1]
    patches /= np.sqrt(variance + np.float32(FLOOR))
    return np.asarray(patches, dtype=np.float32)


@dataclass(frozen=True)
class Dictionary:
    """Fitted atoms with the whitening folded in: response = patch @ filters_DK - offsets_K."""

    filters_DK: F32
    offsets_K: F32

    def features(self, images_BHWC: F32, cells: int = CELLS, stride: int = STRIDE, threshold: float = THRESHOLD) -> F32:
        """Features [B, cells * cells * 2 K]: pooled soft-thresholded responses, the positive side and the negative side."""
        patches = normalised_patches(images_BHWC, stride)
        flat = patches.reshape(-1, patches.shape[-1])
        response = (flat @ self.filters_DK - self.offsets_K).reshape(*patches.shape[:3], -1)
        positive = pool(np.maximum(response - np.float32(threshold), 0), cells)
        np.negative(response, out=response)
        return np.concatenate([positive, pool(np.maximum(response - np.float32(threshold), 0), cells)], axis=1)


def fit_dictionary(images_BHWC: F32, atoms: int, samples: int, rng: np.random.Generator) -> Dictionary:
    """Fit whitening and atoms on a random sample of the images' patches (images in 0-1, [B, side, side, 3])."""
    windows = normalised_patches(images_BHWC, stride=2)
    patches = windows.reshape(-1, windows.shape[-1])
    patches = patches[(patches**2).mean(axis=1) > 0.5]  # flat patches say nothing about structure
    patches = patches[rng.choice(len(patches), min(samples, len(patches)), replace=False)]
    mean = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((patches - mean).T))
    whitening = ((vectors / np.sqrt(values + SOFTENING)) @ vectors.T).astype(np.float32)
    dictionary = spherical_kmeans((patches - mean) @ whitening, atoms, rng)
    filters = whitening @ dictionary.T
    return Dictionary(filters, mean @ filters)


def spherical_kmeans(points_ND: F32, atoms: int, rng: np.random.Generator) -> F32:
    """Unit atoms [K, D]: each round, every point votes for its largest |dot product| (Coates & Ng 2012, damped)."""
    dictionary = rng.normal(size=(atoms, points_ND.shape[1])).astype(np.float32)
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    for _ in range(ROUNDS):
        response = points_ND @ dictionary.T
        best = np.abs(response).argmax(axis=1)
        votes = np.zeros_like(response)
        rows = np.arange(len(points_ND))
        votes[rows, best] = response[rows, best]
        dictionary += votes.T @ points_ND
        dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    return dictionary
