"""The fixed step from any picture to the encoder's input."""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from pipelines.encoders.arrays import U8

SIDE = 48  # px


def prepare(image: Image.Image) -> U8:
    """Squash an upright picture to uint8 RGB [SIDE, SIDE, 3]; transparency is laid on white."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    # A reducing gap of 2 halves the cost of large pictures and changes no value by more than a few levels.
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(small, dtype=np.uint8)


def prepared(image: Image.Image | U8) -> U8:
    """`prepare` for pictures and for uint8 arrays [H, W, 3]; an array already [SIDE, SIDE, 3] is taken as it is.

    Raises ValueError for any other array.
    """
    if isinstance(image, Image.Image):
        return prepare(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"encoder: expected uint8 arrays [height, width, 3], found {image.dtype} {list(image.shape)}")
    return image if image.shape == (SIDE, SIDE, 3) else prepare(Image.fromarray(image))


def in_batches(images: Iterable[Image.Image | U8], size: int) -> Iterator[U8]:
    """Prepared images as arrays [at most size, SIDE, SIDE, 3]."""
    batch: list[U8] = []
    for image in images:
        batch.append(prepared(image))
        if len(batch) == size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
