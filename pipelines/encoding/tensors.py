"""Tensors on disk, written block by block: the safetensors package can only save what memory holds."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.features import KINDS

NAMES = {np.dtype(kind): name for name, kind in KINDS.items()}
Array = npt.NDArray[Any]


@contextmanager
def tensors_on_disk(path: Path, wanted: Mapping[str, tuple[Any, tuple[int, ...]]]) -> Iterator[dict[str, Array]]:
    """Make a safetensors file of tensors {name: (type, shape)} and yield them mapped for writing; they start as zeros.

    The form is that of the package's documentation: length of the header in 8 bytes, header as JSON, tensors one by one.
    """
    header, end = {}, 0
    for name, (kind, shape) in wanted.items():
        size = math.prod(shape) * np.dtype(kind).itemsize
        header[name] = {"dtype": NAMES[np.dtype(kind)], "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8, as the package wants it
    start = 8 + len(text)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(start + end)
    yield {name: _mapped(path, kind, shape, start + header[name]["data_offsets"][0]) for name, (kind, shape) in wanted.items()}


def _mapped(path: Path, kind: Any, shape: tuple[int, ...], offset: int) -> Array:
    if not math.prod(shape):
        return np.empty(shape, kind)
    return np.memmap(path, kind, "r+", offset=offset, shape=shape)
