"""The frozen encoder as a value: encode, save, load, digest."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pipelines.encoders.arrays import F32, U8
from pipelines.encoders.blocks import PATCH_VALUES, block_width, powered_blocks, unit_range
from pipelines.encoders.patches import Dictionary
from pipelines.encoders.preparation import SIDE, in_batches
from pipelines.encoders.projection import Projection
from pipelines.files import write_bytes

BATCH = 16  # images; the responses of a larger batch leave the processor's cache
VERSION = 1  # of the arithmetic: the same arrays under other code would be another encoder
NAMES = ("axes", "filters", "offset", "offsets")


@dataclass(frozen=True)
class Encoder:
    """Everything fitted, on the reference set only: a feature depends on its image and on nothing else."""

    dictionary: Dictionary
    projection: Projection

    @property
    def dimensions(self) -> int:
        """Numbers in one feature."""
        return int(self.projection.offset_D.size)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the version and the arrays: equal digests give equal features."""
        digest = hashlib.sha256(f"tessera-encoder {VERSION} {SIDE}".encode())
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name} {array.shape}".encode() + np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()

    def encode(self, images: Iterable[Image.Image | U8]) -> F32:
        """Features float32 [N, dimensions] of pictures or uint8 arrays [H, W, 3], in their order; memory is bounded by a batch.

        Raises ValueError for an array of another type or shape.
        """
        features = [self._encode_batch(batch) for batch in in_batches(images, BATCH)]
        return np.concatenate(features) if features else np.empty((0, self.dimensions), np.float32)

    def _encode_batch(self, images_BHWC: U8) -> F32:
        return self.projection(np.concatenate(powered_blocks(unit_range(images_BHWC), self.dictionary), axis=1))

    def _arrays(self) -> dict[str, F32]:
        return {
            "axes": self.projection.axes_FD,
            "filters": self.dictionary.filters_DK,
            "offset": self.projection.offset_D,
            "offsets": self.dictionary.offsets_K,
        }

    def save(self, path: Path) -> None:
        """Write a safetensors file, atomically."""
        arrays = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in self._arrays().items()}
        write_bytes(path, save(arrays, metadata={"encoder": "tessera", "version": str(VERSION)}))

    @classmethod
    def load(cls, path: Path) -> "Encoder":
        """Read what `save` wrote. Raises ValueError (one line) for a file that is broken or something else."""
        try:
            arrays = load(path.read_bytes())
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise ValueError(f"{path}: not a readable encoder ({_one_line(error)}); delete it and run `dvc repro`") from None
        _check(path, arrays)
        return cls(Dictionary(arrays["filters"], arrays["offsets"]), Projection(arrays["axes"], arrays["offset"]))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check(path: Path, arrays: dict[str, F32]) -> None:
    """Names, types and shapes that fit each other and this code's blocks, values all finite; else ValueError."""
    wrong = f"{path}: not an encoder of this version; delete it and run `dvc repro`"
    if sorted(arrays) != list(NAMES) or any(array.dtype != np.float32 for array in arrays.values()):
        raise ValueError(f"{wrong} (expected float32 tensors {', '.join(NAMES)}, found {', '.join(sorted(arrays)) or 'none'})")
    filters, offsets, axes, offset = (arrays[name] for name in ("filters", "offsets", "axes", "offset"))
    if filters.ndim != 2 or axes.ndim != 2 or offsets.shape != filters.shape[1:] or offset.shape != axes.shape[1:]:
        raise ValueError(f"{wrong} (its tensors do not fit each other)")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(f"{wrong} (it holds values that are not finite)")
    if filters.shape[0] != PATCH_VALUES or axes.shape[0] != block_width(filters.shape[1]):
        raise ValueError(f"{wrong} (its tensors do not fit the features)")
