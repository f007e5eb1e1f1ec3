"""What people do to pictures before they put them into a data set a second time."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def recoded(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cut(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Nine tenths of each side, from anywhere."""
    width, height = (max(1, round(side * 0.9)) for side in image.size)
    x, y = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    return image.crop((x, y, x + width, y + height))


def framed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A plain border of a tenth of the longer side."""
    colour = ((0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 30))[int(rng.integers(4))]
    return ImageOps.expand(image, max(1, round(max(image.size) / 10)), colour)


def brightened(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = (0.7, 1.3)[int(rng.integers(2))]
    return image.point(lambda level: min(255, round(level * factor)))


def resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = (0.6, 0.8, 1.5)[int(rng.integers(3))]
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.Resampling.BICUBIC)


CHANGES: dict[str, Change] = {
    "flip": lambda image, _: ImageOps.mirror(image),
    "turn": lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
    "resize": resized,
    "crop 10 %": cut,
    "JPEG 30": lambda image, _: recoded(image, 30),
    "grey": lambda image, _: image.convert("L").convert("RGB"),
    "border": framed,
    "brightness": brightened,
}
