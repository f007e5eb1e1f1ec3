"""Blocks of features on one footing: power, centre, scale, then a partly whitened principal component analysis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.encoders.arrays import F32

WHITENING = 0.2  # exponent of the eigenvalues divided out: 0 is plain PCA, 0.5 full whitening


def signed_power(block_NF: F32, exponent: float) -> F32:
    """sign(x) |x|^exponent: 0.5 keeps a few strong responses from ruling the block (Perronnin et al. 2010)."""
    if exponent == 1.0:
        return block_NF
    return np.asarray(np.sign(block_NF) * np.abs(block_NF) ** np.float32(exponent), dtype=np.float32)


@dataclass(frozen=True)
class Projection:
    """feature = powered blocks @ axes_FD - offset_D; centring and block scales are folded into both."""

    axes_FD: F32
    offset_D: F32

    def __call__(self, powered_NF: F32) -> F32:
        return powered_NF @ self.axes_FD - self.offset_D


def fit_projection(powered_blocks: Sequence[F32], dimensions: int, whitening: float = WHITENING) -> Projection:
    """Fit on the reference set's powered blocks, each [N, F_b]: every block gets mean 0 and mean squared length 1.

    The output's mean squared length over the reference set is `dimensions`, so a coordinate is about 1.
    """
    means = [block.mean(axis=0, dtype=np.float64) for block in powered_blocks]
    lengths = [np.sqrt(((block - mean) ** 2).sum(axis=1).mean()) for block, mean in zip(powered_blocks, means, strict=True)]
    scaled = np.concatenate(
        [(block - mean) / length for block, mean, length in zip(powered_blocks, means, lengths, strict=True)], axis=1
    )
    values, vectors = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    values, vectors = values[::-1][:dimensions], vectors[:, ::-1][:, :dimensions]
    vectors = vectors * np.where(np.abs(vectors).max(axis=0) == vectors.max(axis=0), 1.0, -1.0)  # one sign on every machine
    axes = vectors / np.maximum(values, 1e-9) ** whitening
    axes *= np.sqrt(dimensions / (values ** (1 - 2 * whitening)).sum())
    scales = np.concatenate([np.full(len(mean), 1 / length) for mean, length in zip(means, lengths, strict=True)])
    folded = axes * scales[:, None]
    return Projection(folded.astype(np.float32), (np.concatenate(means) @ folded).astype(np.float32))
