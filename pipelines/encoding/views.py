"""Augmented copies of a picture, for tasks without labels: three random operations, as in CAMeLU (arXiv 2405.16124).

Its list is crop to 0.2-0.8 of the area, rotation to 60 degrees, flip, grey, colour jitter, blur and shear. The strengths of
jitter, blur and shear are ours, for it does not state them. Corners that a turn leaves empty get the colour of the border.
"""

import hashlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

OPERATIONS = 3  # of each view
CROP = (0.2, 0.8)  # share of the area that stays
ASPECT = (3 / 4, 4 / 3)  # of the crop, against the picture's own
ROTATION = 60.0  # degrees to either side
JITTER = (0.5, 1.5)  # factor of brightness, contrast and colour
BLUR = (0.005, 0.03)  # radius as a share of the shorter side
SHEAR = 0.35  # to either side; an angle of 19 degrees
Operation = Callable[[Image.Image, np.random.Generator], Image.Image]


def view(image: Image.Image, key: str, number: int) -> Image.Image:
    """View `number` of an RGB picture, of the same size; it depends on the picture, its key and the number alone."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    rng = np.random.default_rng([seed, number])
    for chosen in rng.choice(len(ALL), OPERATIONS, replace=False):
        image = ALL[chosen](image, rng)
    return image


def crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    share, aspect = rng.uniform(*CROP), np.exp(rng.uniform(*np.log(ASPECT)))
    width = image.width * min(1.0, (share * aspect) ** 0.5)
    height = image.height * min(1.0, (share / aspect) ** 0.5)
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def rotate(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.rotate(rng.uniform(-ROTATION, ROTATION), Image.Resampling.BICUBIC, fillcolor=border(image))


def flip(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(image)


def grey(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return ImageOps.grayscale(image).convert("RGB")


def jitter(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = change(image).enhance(float(rng.uniform(*JITTER)))
    return image


def blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(*BLUR)) * min(image.size)))


def shear(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    slope = float(rng.uniform(-SHEAR, SHEAR))
    matrix = (1, slope, -slope * image.height / 2, 0, 1, 0)  # the middle stays where it is
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=border(image))


def border(image: Image.Image) -> tuple[int, ...]:
    """The median colour of the outermost pixels."""
    pixels = np.asarray(image)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return tuple(int(value) for value in np.median(edges, axis=0))


ALL: tuple[Operation, ...] = (crop, rotate, flip, grey, jitter, blur, shear)
