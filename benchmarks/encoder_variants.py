"""The encoders that are compared: the product's own, and what was tried beside it, each changed in one respect."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from pipelines.encoders.arrays import F32, U8
from pipelines.encoders.blocks import unit_range
from pipelines.encoders.colour import colour
from pipelines.encoders.fitting import ATOMS, DICTIONARY_IMAGES, DIMENSIONS, PATCH_SAMPLES
from pipelines.encoders.hog import BINS, CELL, hog
from pipelines.encoders.patches import CELLS, THRESHOLD, Dictionary, fit_dictionary, halved
from pipelines.encoders.projection import WHITENING, fit_projection, signed_power

BATCH = 16


@dataclass(frozen=True)
class Variant:
    """One line of the table; the defaults are the product."""

    name: str
    blocks: tuple[str, ...] = ("patches", "hog", "colour")
    input: str = "48"  # side in px, or "48 padded"
    atoms: int = ATOMS
    learned: bool = True  # else atoms are random
    full_size: bool = False  # patches of the picture itself, stride 2
    threshold: float = THRESHOLD
    cells: int = CELLS
    hog_cell: int = CELL
    powers: tuple[float, float, float] = (0.5, 0.5, 1.0)
    dimensions: int = DIMENSIONS
    whitening: float = WHITENING


PRODUCT = Variant("**the encoder**")
VARIANTS = (
    PRODUCT,
    Variant("raw pixels, 16 x 16, no projection", blocks=("pixels",)),
    Variant("patches only", blocks=("patches",)),
    Variant("gradients only", blocks=("hog",)),
    Variant("colour only", blocks=("colour",)),
    Variant("gradients + colour", blocks=("hog", "colour")),
    Variant("no whitening (plain PCA)", whitening=0.0),
    Variant("whitening 0.35", whitening=0.35),
    Variant("full whitening (0.5)", whitening=0.5),
    Variant("128 dimensions", dimensions=128),
    Variant("512 dimensions", dimensions=512),
    Variant("no powers", powers=(1.0, 1.0, 1.0)),
    Variant("random atoms, not learned", learned=False),
    Variant("100 atoms", atoms=100),
    Variant("400 atoms", atoms=400),
    Variant("patches at full size, stride 2", full_size=True),
    Variant("threshold 0", threshold=0.0),
    Variant("threshold 0.5", threshold=0.5),
    Variant("patches pooled 3 x 3", cells=3),
    Variant("gradients in 4 px cells", hog_cell=4),
    Variant("gradients normalised over blocks", blocks=("patches", "normalised hog", "colour")),
    Variant("and pixels 8 x 8", blocks=("patches", "hog", "colour", "tiny")),
    Variant("padded, not squashed", input="48 padded"),
    Variant("input 32 px", input="32", hog_cell=4),
    Variant("input 64 px", input="64", hog_cell=8),
)


def resized(image: Image.Image, name: str) -> U8:
    """A picture as the input that a variant names: squashed to a square, or padded with the median of its border."""
    side = int(name.split()[0])
    if not name.endswith("padded"):
        return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0))
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    square = np.empty((side, side, 3), np.uint8)
    square[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (side - pixels.shape[0]) // 2, (side - pixels.shape[1]) // 2
    square[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return square


def normalised_hog(images_BHWC: F32) -> F32:
    """`hog` with each cell over the norm of its 3 x 3 neighbourhood, as Dalal & Triggs normalise over blocks."""
    cells = images_BHWC.shape[1] // CELL
    maps = hog(images_BHWC).reshape(-1, cells, cells, BINS)
    energy = np.pad((maps**2).sum(axis=-1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = sum(energy[:, i : i + cells, j : j + cells] for i in range(3) for j in range(3))
    return np.asarray(np.minimum(maps / np.sqrt(around + 1e-4)[..., None], 0.4), np.float32).reshape(len(maps), -1)


def thumbnail(images_BHWC: F32, cells: int) -> F32:
    """Block means [B, cells * cells * 3]."""
    batch, side = images_BHWC.shape[:2]
    return np.asarray(
        images_BHWC.reshape(batch, cells, side // cells, cells, side // cells, 3).mean(axis=(2, 4)).reshape(batch, -1)
    )


def random_dictionary(like: Dictionary, atoms: int) -> Dictionary:
    """Random unit atoms of zero mean, at the scale of the learned ones' responses."""
    filters = np.random.default_rng(0).normal(size=(like.filters_DK.shape[0], atoms)).astype(np.float32)
    filters -= filters.mean(axis=0)
    filters *= np.median(np.linalg.norm(like.filters_DK, axis=0)) / np.linalg.norm(filters, axis=0)
    return replace(like, filters_DK=filters, offsets_K=np.zeros(atoms, np.float32))


def extractors(variant: Variant, reference_BHWC: U8) -> list[Callable[[F32], F32]]:
    """One function a block of the variant, fitted where it needs fitting."""
    shrink: Callable[[F32], F32] = (lambda images: images) if variant.full_size else halved
    made: dict[str, Callable[[F32], F32]] = {
        "hog": lambda images: signed_power(hog(images, variant.hog_cell), variant.powers[1]),
        "normalised hog": lambda images: signed_power(normalised_hog(images), variant.powers[1]),
        "colour": lambda images: signed_power(colour(images), variant.powers[2]),
        "pixels": lambda images: thumbnail(images, 16),
        "tiny": lambda images: 0.5 * thumbnail(images, 8),
    }
    if "patches" in variant.blocks:
        sample = shrink(unit_range(reference_BHWC[:DICTIONARY_IMAGES]))
        dictionary = fit_dictionary(sample, variant.atoms, PATCH_SAMPLES, np.random.default_rng(0))
        if not variant.learned:
            dictionary = random_dictionary(dictionary, variant.atoms)
        stride = 2 if variant.full_size else 1
        made["patches"] = lambda images: signed_power(
            dictionary.features(shrink(images), variant.cells, stride, variant.threshold), variant.powers[0]
        )
    return [made[name] for name in variant.blocks]


def extract(images_BHWC: U8, functions: Sequence[Callable[[F32], F32]]) -> list[F32]:
    """One array [N, F_b] a block."""
    parts = []
    for start in range(0, len(images_BHWC), BATCH):
        batch = unit_range(images_BHWC[start : start + BATCH])
        parts.append([function(batch) for function in functions])
    return [np.concatenate(block) for block in zip(*parts, strict=True)]


def fit_variant(variant: Variant, reference_BHWC: U8) -> Callable[[U8], F32]:
    """images -> features [N, D]."""
    functions = extractors(variant, reference_BHWC)
    if variant.blocks == ("pixels",):
        return lambda images: extract(images, functions)[0]
    projection = fit_projection(extract(reference_BHWC, functions), variant.dimensions, variant.whitening)
    return lambda images: projection(np.concatenate(extract(images, functions), axis=1))
