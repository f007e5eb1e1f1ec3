"""Handwritten digits: the 1,797 real 8 x 8 pictures that come with scikit-learn, enlarged smoothly.

Optical Recognition of Handwritten Digits, Alpaydin & Kaynak 1998 (UCI). The seed changes nothing but the planted dirt.
"""

from functools import cache

import numpy as np
from numpy.random import Generator
from PIL import Image
from sklearn.datasets import load_digits

from pipelines.sources.generated.canvas import Floats, lines
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 64
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FEWEST = 174  # pictures of the smallest class


@cache
def _writings() -> tuple[Floats, ...]:
    """Pictures (n, 8, 8) of each digit, ink 0 to 1."""
    found = load_digits()
    return tuple(found.images[found.target == digit] / 16.0 for digit in range(10))


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """Dark ink on white paper, uint8 (64, 64, 3). Class 10 is a digit that its writer crossed out."""
    writings = _writings()[position % 10 if position < 10 else int(rng.integers(10))]
    ink = Image.fromarray((writings[index % len(writings)] * 255).astype(np.uint8))
    plane = np.asarray(ink.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / 255.0
    if position == 10:
        ends = rng.uniform(0.5, 0.9, (2, 2)) * np.array([[-1, -1], [1, 1]])
        plane = np.maximum(plane, lines(SIDE, [ends, ends * np.array([1, -1])], rng.uniform(3, 6)))
    return np.repeat(((1 - plane) * 255 + 0.5).astype(np.uint8)[..., None], 3, axis=2)


DOMAIN = Domain(1, (*NAMES, "crossed_out"), draw, "png", line_like=True, most_images=FEWEST - 14)
