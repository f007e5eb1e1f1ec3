"""What a generated domain is, and how one of its pictures is drawn and stored."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]  # (side, side, 3), RGB

JPEG_QUALITY = 90


@dataclass(frozen=True)
class Domain:
    """A generator: `draw(class, index, rng)` gives one picture. The last class is kept for the planted rare class."""

    tag: int  # stands for the domain in every seed; never changes
    classes: tuple[str, ...]
    draw: Callable[[int, int, Generator], Pixels]
    encoding: Literal["png", "jpeg"]
    line_like: bool  # dark or bright lines on plain paper, so that two grey levels still show the subject
    most_images: int = 10_000  # a class


def picture(domain: Domain, seed: int, position: int, index: int) -> Pixels:
    """Picture `index` of the class at `position`: uint8 (side, side, 3). A function of its arguments alone."""
    return domain.draw(position, index, np.random.default_rng([seed, domain.tag, position, index]))


def encode(pixels: Pixels, encoding: str, quality: int = JPEG_QUALITY) -> bytes:
    """The file of a picture, `png` or `jpeg`."""
    return save(Image.fromarray(pixels), encoding, quality)


def save(image: Image.Image, encoding: str, quality: int = JPEG_QUALITY, exif: Image.Exif | None = None) -> bytes:
    """The file of a Pillow image, in its own mode."""
    buffer = io.BytesIO()
    if encoding == "png":
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=quality, **({"exif": exif} if exif else {}))
    return buffer.getvalue()


def extension(encoding: str) -> str:
    """Ending of the file's name."""
    return "png" if encoding == "png" else "jpg"


def source_id(domain: Domain, position: int, index: int) -> str:
    """Name of a clean record at its source."""
    return f"{domain.classes[position]}/{index:04d}.{extension(domain.encoding)}"
