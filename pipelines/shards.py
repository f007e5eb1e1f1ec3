"""Shards: WebDataset tar files that are byte-identical for the same input, and the index that finds any image in them.

A sample has three members: `cls` (class number), `jpg` or `png`, and `json` (flat, typed, never null).
"""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

INDEX_SCHEMA: dict[str, type[pl.DataType]] = {
    "key": pl.String,
    "class": pl.Int32,
    "label": pl.String,
    "split": pl.String,
    "shard": pl.String,
    "offset": pl.Int64,
    "size": pl.Int64,
    "unit": pl.String,  # images of one unit are copies or of one group: no split parts them, no episode brings them together
}


class Sample(NamedTuple):
    """One kept record on its way into a shard."""

    key: str
    label: str
    class_index: int
    split: str
    unit: str
    source_id: str
    suffix: str  # jpg or png
    data: bytes


class ShardWriter:
    """Writes samples in the order they come, `shard_images` a shard, one open tar a split."""

    def __init__(self, folder: Path, shard_images: int) -> None:
        self._folder = folder
        self._shard_images = shard_images
        self._open: dict[str, tarfile.TarFile] = {}
        self._written: dict[str, int] = {}
        self._rows: list[tuple[str, int, str, str, str, int, int, str]] = []

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        for tar in self._open.values():
            tar.close()

    def write(self, samples: Iterable[Sample]) -> None:
        """Append samples to the shards of their splits."""
        for sample in samples:
            count = self._written.get(sample.split, 0)
            name = f"{sample.split}-{count // self._shard_images:06d}.tar"
            if count % self._shard_images == 0:
                if sample.split in self._open:
                    self._open[sample.split].close()
                # ustar has no time-stamped extension headers, so equal samples give equal bytes
                self._open[sample.split] = tarfile.open(self._folder / name, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
            self._written[sample.split] = count + 1
            offset = self._add(self._open[sample.split], sample)
            self._rows.append(
                (sample.key, sample.class_index, sample.label, sample.split, name, offset, len(sample.data), sample.unit)
            )

    def index(self) -> pl.DataFrame:
        """Where each image lies, in the order of writing, split by split."""
        return pl.DataFrame(self._rows, schema=INDEX_SCHEMA, orient="row").sort("shard", "offset")

    def _add(self, tar: tarfile.TarFile, sample: Sample) -> int:
        about = {"class": sample.class_index, "key": sample.key, "label": sample.label, "source_id": sample.source_id}
        _add_member(tar, f"{sample.key}.cls", str(sample.class_index).encode())
        offset = _add_member(tar, f"{sample.key}.{sample.suffix}", sample.data)
        _add_member(tar, f"{sample.key}.json", json.dumps(about, ensure_ascii=False, sort_keys=True).encode())
        return offset


def _add_member(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append one member; returns where its bytes start."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mtime = 0
    info.mode = 0o444
    offset = tar.offset + tarfile.BLOCKSIZE  # one header block: names are short and ustar has no extensions
    tar.addfile(info, io.BytesIO(data))
    return offset


def read_image(folder: Path, shard: str, offset: int, size: int) -> bytes:
    """The encoded image that an index row points to."""
    with (folder / shard).open("rb") as handle:
        handle.seek(offset)
        return handle.read(size)


def read_images(folder: Path, index: pl.DataFrame) -> Iterable[bytes]:
    """The encoded images of an index, in its order, each shard opened once for a run of rows."""
    for (shard,), rows in index.group_by("shard", maintain_order=True):
        with (folder / str(shard)).open("rb") as handle:
            for offset, size in rows.select("offset", "size").iter_rows():
                handle.seek(offset)
                yield handle.read(size)
