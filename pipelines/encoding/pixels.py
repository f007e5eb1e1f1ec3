"""No encoder: small pictures as they are, for a backbone that is trained with the learner (training/backbone.py)."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipelines.encoders import prepare
from pipelines.encoders.arrays import U8
from pipelines.encoders.preparation import SIDE

NAME = "conv"
VERSION = 1  # of the preparation


@dataclass(frozen=True)
class Pixels:
    """uint8 [3, SIDE, SIDE], channels first."""

    name: str = NAME
    tensor: str = "pixels"

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"tessera-pixels {VERSION} {SIDE}".encode()).hexdigest()

    @property
    def row(self) -> tuple[int, ...]:
        return (3, SIDE, SIDE)

    def encode(self, images: Iterable[Image.Image]) -> U8:
        """Pixels [n, 3, SIDE, SIDE] of pictures squashed to a square, as the embedded encoder sees them."""
        found = [prepare(image).transpose(2, 0, 1) for image in images]
        return np.stack(found) if found else np.empty((0, *self.row), np.uint8)
