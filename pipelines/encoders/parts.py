"""The parts of the encoder's feature: texture, gradients and colour, each all over the picture or by place.

They are read off the encoder's axes: nothing is fitted, and no domain is seen.
Shape letters: F powered block values, D features, E of them in some part, K columns of one part.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.encoders.arrays import F32
from pipelines.encoders.colour import WIDTH as COLOUR_WIDTH
from pipelines.encoders.encoder import Encoder
from pipelines.encoders.hog import BINS
from pipelines.encoders.patches import CELLS
from pipelines.encoders.projection import WHITENING

F64 = NDArray[np.float64]

COARSE = 12  # axes of the gradients by place that count as its coarse part
INSIDE = 0.5  # share of a direction's length that must come from a part for it to be one of its own


def parts(encoder: Encoder) -> tuple[F32, tuple[int, ...]]:
    """Orthonormal columns [D, E] and the columns of each part: texture all over, by place, gradients all over, coarse by
    place, fine by place, colour.
    """
    atoms = encoder.dictionary.filters_DK.shape[1]
    patch_values = CELLS**2 * 2 * atoms
    colour_from = len(encoder.projection.axes_FD) - COLOUR_WIDTH
    blocks, spread_D = principal(np.split(encoder.projection.axes_FD.astype(np.float64), [patch_values, colour_from]))
    patch_FD, gradient_FD, colour_FD = blocks
    texture_DD = all_over(patch_FD.reshape(2, CELLS**2, atoms, -1), places=1)  # two signs, cells, atoms
    gradients_DD = all_over(gradient_FD.reshape(-1, BINS, spread_D.size), places=0)
    by_place = [patch_FD.T @ patch_FD - texture_DD, gradient_FD.T @ gradient_FD - gradients_DD]
    projectors = [texture_DD, by_place[0], gradients_DD, by_place[1], colour_FD.T @ colour_FD]
    columns = [inside(projector_DD) for projector_DD in projectors]
    left, _, right = np.linalg.svd(np.concatenate(columns, axis=1), full_matrices=False)
    found = np.split(left @ right, np.cumsum([part.shape[1] for part in columns])[:-1], axis=1)  # the nearest orthonormal ones
    variance_KK = found[3].T @ (spread_D[:, None] * found[3])
    turned_DK = (found[3] @ np.linalg.eigh(variance_KK)[1])[:, ::-1]
    found[3:4] = [turned_DK[:, :COARSE], turned_DK[:, COARSE:]]
    return np.concatenate(found, axis=1).astype(np.float32), tuple(part.shape[1] for part in found)


def principal(blocks: list[F64]) -> tuple[list[F64], F64]:
    """The blocks' rows of the orthonormal principal axes, and the features' variance over the reference set (up to a factor).

    axes = scale of the block * principal axes * lambda ** -WHITENING: the scales are those that make the columns orthogonal.
    """
    grams = [block.T @ block for block in blocks]
    upper = np.triu_indices(grams[0].shape[0], 1)
    _, _, right = np.linalg.svd(np.stack([gram[upper] for gram in grams], axis=1), full_matrices=False)
    squared = right[-1] / right[-1].sum()
    lengths_D = np.sqrt(sum(s * gram.diagonal() for s, gram in zip(squared, grams, strict=True)))
    rows = [np.sqrt(s) * block / lengths_D for s, block in zip(squared, blocks, strict=True)]
    return rows, lengths_D ** -((1 - 2 * WHITENING) / WHITENING)


def all_over(axes_XD: F64, places: int) -> F64:
    """Projector [D, D] onto what is the same at all places; `places` is the axis that runs over them."""
    count = axes_XD.shape[places]
    mean_FD = axes_XD.mean(axis=places).reshape(-1, axes_XD.shape[-1])
    projector_DD: F64 = count * mean_FD.T @ mean_FD
    return projector_DD


def inside(projector_DD: F64) -> F64:
    """Directions [D, K] that lie mostly in a part."""
    shares, directions = np.linalg.eigh(projector_DD)
    return directions[:, shares > INSIDE]
