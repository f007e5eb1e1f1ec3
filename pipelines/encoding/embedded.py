"""The embedded encoder, by which curation has already encoded each kept image: only views are left to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from pipelines.encoders import Encoder
from pipelines.features import Floats, unit_rows

NAME = "embedded"


@dataclass(frozen=True)
class Embedded:
    """The encoder of `features/encoder.safetensors`, by its path and digest."""

    path: Path
    digest: str
    dimensions: int
    name: str = NAME
    tensor: str = "features"

    @classmethod
    def load(cls, path: Path) -> "Embedded":
        """Raises ValueError (one line) for a file that is missing or broken."""
        encoder = Encoder.load(path)
        return cls(path, encoder.digest, encoder.dimensions)

    @property
    def row(self) -> tuple[int, ...]:
        return (self.dimensions,)

    def encode(self, images: Iterable[Image.Image]) -> Floats:
        """Unit rows [n, D]."""
        return unit_rows(_encoder(self.path, self.digest).encode(images))


@lru_cache(maxsize=1)
def _encoder(path: Path, digest: str) -> Encoder:
    """The encoder, read once in each process."""
    encoder = Encoder.load(path)
    if encoder.digest != digest:
        raise ValueError(f"{path}: another encoder than at the start of this run; run it again")
    return encoder
