"""Thumbnails of a whole domain on disk: written as they come, read where they are looked at, so memory does not follow N."""

import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.copies.thumbs import THUMB_BYTES, Bytes, Thumbs, rows_of, thumbs_of

Numbers = slice | npt.NDArray[np.integer]


class ThumbRows:
    """Thumbnails [N] of `keys`, in memory or in a file that is read as they are taken."""

    def __init__(self, keys: pl.Series, rows: Bytes, mapped: mmap.mmap | None = None) -> None:
        assert rows.shape == (len(keys), THUMB_BYTES)
        self.keys = keys
        self._rows = rows
        self._mapped = mapped
        self._places: npt.NDArray[np.int64] = np.arange(len(keys))

    @classmethod
    def of(cls, keys: pl.Series, thumbs: Iterable[bytes]) -> "ThumbRows":
        """Thumbnails as `thumb` gives them, in memory."""
        return cls(keys, rows_of(thumbs))

    def __len__(self) -> int:
        return len(self._places)

    def pick(self, keys: pl.Series) -> "ThumbRows":
        """Those of these keys, in their order; each must be here."""
        places = pl.DataFrame({"key": self.keys}).with_row_index("row")
        found = pl.DataFrame({"key": keys}).join(places, on="key", how="left", maintain_order="left")["row"]
        assert found.null_count() == 0, "a picture without a thumbnail"
        picked = ThumbRows.__new__(ThumbRows)
        picked.keys, picked._rows, picked._mapped = keys, self._rows, self._mapped
        picked._places = self._places[found.to_numpy()]
        return picked

    def take(self, numbers: Numbers) -> Thumbs:
        """Thumbnails of these pictures by number, copied into memory."""
        return thumbs_of(self._copied(numbers))

    def raw(self, numbers: Numbers) -> list[bytes]:
        """The same as bytes."""
        return [row.tobytes() for row in self._copied(numbers)]

    def _copied(self, numbers: Numbers) -> Bytes:
        found = self._rows[self._places[numbers]]
        if self._mapped is not None:
            self._mapped.madvise(mmap.MADV_DONTNEED)  # what was read need not stay
        return found


class ThumbWriter:
    """Writes thumbnails one after the other into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = path.open("w+b")
        self._keys: list[pl.Series] = []

    def add(self, keys: pl.Series, thumbs: Iterable[bytes]) -> None:
        """Append thumbnails and their keys."""
        self._keys.append(keys)
        self._handle.writelines(thumbs)

    def read(self) -> ThumbRows:
        """All that was added, mapped from the file."""
        self._handle.flush()
        keys = pl.concat(self._keys) if self._keys else pl.Series("key", [], pl.String)
        if not len(keys):
            return ThumbRows.of(keys, [])
        mapped = mmap.mmap(self._handle.fileno(), 0, access=mmap.ACCESS_READ)
        return ThumbRows(keys, np.frombuffer(mapped, np.uint8).reshape(-1, THUMB_BYTES), mapped)

    def close(self) -> None:
        """Close and remove the file."""
        self._handle.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def scratch_thumbs(path: Path) -> Iterator[ThumbWriter]:
    """A file of thumbnails that is gone at the end."""
    writer = ThumbWriter(path)
    try:
        yield writer
    finally:
        writer.close()
