"""Cached features: one safetensors file with a row a picture, the keys of the rows beside it, and what they were made from."""

import hashlib
import json
import mmap
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipelines.files import read_json, write_json
from pipelines.sums import write_sums

Floats = npt.NDArray[np.float32]
FILE = "features.safetensors"
ABOUT = "source.json"
KEYS = "keys.parquet"
KINDS: dict[str, npt.DTypeLike] = {"F32": np.float32, "U8": np.uint8}  # types of a safetensors file that we write


class Features(NamedTuple):
    """Features of pictures by key. `features_ND` may lie on disk and be read as it is used."""

    keys: pl.Series  # String, unique
    features_ND: Floats

    def rows(self, keys: pl.Series) -> "FeatureRows":
        """Features of these keys by their number, read when they are taken."""
        return FeatureRows(self.features_ND, self._places(keys).fill_null(-1).to_numpy())

    def _places(self, keys: pl.Series) -> pl.Series:
        rows = pl.DataFrame({"key": self.keys}).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
        return pl.DataFrame({"key": keys}).join(rows, on="key", how="left", maintain_order="left")["row"]

    def of(self, keys: pl.Series) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Features [M, D] of these keys in their order, zeros where one has none, and which of them have one [M]."""
        found = self._places(keys)
        has_M = found.is_not_null().to_numpy()
        features_MD = np.zeros((len(keys), self.features_ND.shape[1]), np.float32)
        features_MD[has_M] = self.features_ND[found.drop_nulls().to_numpy()]
        return features_MD, has_M


class FeatureRows:
    """Features of pictures by number, scaled to length 1 and read as they are taken, so memory does not follow N."""

    def __init__(self, features_MD: Floats, places_N: npt.NDArray[np.int64]) -> None:
        """`places_N`: the row of each picture, -1 where it has none."""
        self._features, self._places = features_MD, places_N
        base: object = features_MD
        while isinstance(base, np.ndarray):
            base = base.base
        self._mapped = base if isinstance(base, mmap.mmap) else None

    @classmethod
    def of(cls, features_ND: Floats) -> "FeatureRows":
        """Of pictures in the order of the rows."""
        return cls(features_ND, np.arange(len(features_ND)))

    def __len__(self) -> int:
        return len(self._places)

    def take(self, numbers: slice | npt.NDArray[np.integer]) -> Floats:
        """Unit rows [K, D] of these pictures, zeros where one has no feature."""
        places = self._places[numbers]
        found_KD = np.zeros((len(places), self._features.shape[1]), np.float32)
        found_KD[places >= 0] = self._features[places[places >= 0]]
        if self._mapped is not None:
            self._mapped.madvise(mmap.MADV_DONTNEED)  # what was read need not stay
        return unit_rows(found_KD)


def write_features(folder: Path, keys: pl.Series | None, features_ND: Floats, about: dict[str, Any]) -> None:
    """Write features into `folder`, with their digest, number and length in source.json beside `about`.

    Without `keys` the rows are those of the domain's index.
    """
    features_ND = np.ascontiguousarray(features_ND, np.float32)
    save_file({"features": features_ND}, folder / FILE)
    if keys is not None:
        pl.DataFrame({"key": keys}, schema={"key": pl.String}).write_parquet(folder / KEYS)
    facts = {
        "features_digest": digest(features_ND),
        "dimensions": features_ND.shape[1],
        "images": features_ND.shape[0],
    }
    write_json(folder / ABOUT, about | facts)
    write_sums(folder)


def unit_rows(features_ND: Floats) -> Floats:
    """Rows scaled to length 1; zero rows stay zero."""
    return np.asarray(features_ND / np.maximum(np.linalg.norm(features_ND, axis=1, keepdims=True), 1e-12), np.float32)


def digest(features_ND: npt.NDArray[Any]) -> str:
    """Hex SHA-256 of the numbers in row order; of a mapped file, read as it goes."""
    return hashlib.sha256(np.ascontiguousarray(features_ND).data).hexdigest()


def open_features(folder: Path) -> Features:
    """Features with their keys, mapped from disk. Raises ValueError naming the folder or file if one is missing or broken."""
    if not (folder / ABOUT).exists():
        raise ValueError(f"{folder}: not embedded yet; `dvc repro` does it, or `python -m pipelines embed {folder.name}`")
    again = "delete the folder and run `dvc repro`"
    try:
        keys = pl.read_parquet(folder / KEYS)["key"]
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ValueError(
            f"{folder / KEYS}: no readable keys of features ({' '.join(str(error).split())[:80]}); {again}"
        ) from None
    features_ND = map_features(folder / FILE)
    if len(keys) != len(features_ND) or read_json(folder / ABOUT)["images"] != len(keys):
        raise ValueError(f"{folder}: features and keys do not belong together; {again}")
    return Features(keys, features_ND)


def map_features(path: Path) -> Floats:
    """The tensor `features` [N, D] of a safetensors file, mapped from disk. Raises ValueError naming the file."""
    features_ND = map_tensor(path, "features")
    if features_ND.dtype != np.float32 or features_ND.ndim != 2:
        raise _wrong(path, "features", f"found {features_ND.dtype} {list(features_ND.shape)}, expected float32 [N, D]")
    return features_ND


def map_tensor(path: Path, name: str, *, writable: bool = False) -> npt.NDArray[Any]:
    """A tensor (float32 or uint8) of a safetensors file, mapped from disk. Raises ValueError naming the file.

    A `writable` one changes in memory alone; torch wants that of what it is given.
    """
    try:
        with safe_open(path, "numpy") as file:  # checks the header's lengths, offsets and names against the file
            tensor = file.get_slice(name)
            shape, kind = tuple(tensor.get_shape()), tensor.get_dtype()
        with path.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            start, end = json.loads(handle.read(length))[name]["data_offsets"]
    except (OSError, SafetensorError) as error:
        raise _wrong(path, name, str(error)) from None
    if kind not in KINDS:
        raise _wrong(path, name, f"found {kind} {list(shape)}")
    if start == end:
        return np.empty(shape, KINDS[kind])
    return np.memmap(path, KINDS[kind], "c" if writable else "r", offset=8 + length + start, shape=shape)


def _wrong(path: Path, name: str, why: str) -> ValueError:
    expected = f"expected a safetensors file with the tensor {name!r}"
    return ValueError(f"{path}: {expected} ({' '.join(why.split())[:120]}); delete it and run `dvc repro`")


def concatenated(blocks: Iterable[Floats], dimensions: int) -> Floats:
    """Blocks [n, D] one below the other; [0, D] where there are none."""
    found = [np.empty((0, dimensions), np.float32), *blocks]
    return np.concatenate(found)
