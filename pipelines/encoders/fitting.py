"""Fitting: reference set in, encoder out."""

import numpy as np
from threadpoolctl import threadpool_limits

from pipelines.encoders.blocks import powered_blocks, unit_range
from pipelines.encoders.encoder import Encoder
from pipelines.encoders.patches import fit_dictionary, halved
from pipelines.encoders.preparation import SIDE
from pipelines.encoders.projection import fit_projection
from pipelines.encoders.reference import reference_images

ATOMS = 200  # each gives two features a pooling cell
DIMENSIONS = 256
REFERENCE_IMAGES = 2000
DICTIONARY_IMAGES = 1200  # of them, for the dictionary
PATCH_SAMPLES = 60_000
BATCH = 50


def fit(seed: int = 0, count: int = REFERENCE_IMAGES) -> Encoder:
    """The encoder, fitted on the procedural reference set alone; equal for equal arguments on one machine,
    whatever its number of threads.

    `count` reference images, at least DIMENSIONS; fewer than the default are for tests only.
    """
    assert count >= DIMENSIONS
    with threadpool_limits(1):  # sums over more threads differ in their last bits, and so would the digest
        return _fit(seed, count)


def _fit(seed: int, count: int) -> Encoder:
    images = reference_images(count, SIDE, seed)
    rng = np.random.default_rng((seed, count))
    dictionary = fit_dictionary(halved(unit_range(images[:DICTIONARY_IMAGES])), ATOMS, PATCH_SAMPLES, rng)
    batches = [powered_blocks(unit_range(images[start : start + BATCH]), dictionary) for start in range(0, len(images), BATCH)]
    blocks = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    return Encoder(dictionary, fit_projection(blocks, DIMENSIONS))
