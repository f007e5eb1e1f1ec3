"""The raw feature blocks of an image, in their fixed order, each under its own power."""

import numpy as np

from pipelines.encoders.arrays import F32, U8
from pipelines.encoders.colour import WIDTH as COLOUR_WIDTH
from pipelines.encoders.colour import colour
from pipelines.encoders.hog import BINS, CELL, hog
from pipelines.encoders.patches import CELLS, SIZE, Dictionary, halved
from pipelines.encoders.preparation import SIDE
from pipelines.encoders.projection import signed_power

PATCH_VALUES = SIZE * SIZE * 3


def block_width(atoms: int) -> int:
    """Numbers in all the blocks of one image together."""
    return CELLS**2 * 2 * atoms + (SIDE // CELL) ** 2 * BINS + COLOUR_WIDTH


def unit_range(images_BHWC: U8) -> F32:
    """uint8 to float32 in 0-1."""
    return images_BHWC.astype(np.float32) / np.float32(255)


def powered_blocks(images_BHWC: F32, dictionary: Dictionary) -> list[F32]:
    """Patches, gradients, colour of images [B, side, side, 3] in 0-1: one array [B, F_b] each."""
    return [
        signed_power(dictionary.features(halved(images_BHWC)), 0.5),
        signed_power(hog(images_BHWC), 0.5),
        signed_power(colour(images_BHWC), 1.0),
    ]
