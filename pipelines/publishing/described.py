"""What the documents of a publication say of one domain: its card, its counts, its classes and its files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipelines.cards import Card
from pipelines.files import read_json
from pipelines.ledger import SPLITS
from pipelines.sums import read_sums

JPEG_START = b"\xff\xd8"
# thumbnails of every record, of those too that were taken out by hand: they stay here
HELD_BACK = frozenset({"fingerprints.parquet"})


class File(NamedTuple):
    """A file of a domain's folder."""

    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Described:
    """One domain. `files` are those that are passed on, by name, without the documents that are being written."""

    card: Card
    stats: Mapping[str, Any]
    classes: tuple[str, ...]
    files: Mapping[str, File]

    @property
    def splits(self) -> dict[str, Mapping[str, Any]]:
        """Counts of the splits that are not empty, in their usual order."""
        found = self.stats["splits"]
        return {name: found[name] for name in SPLITS if name in found}

    @property
    def shards(self) -> list[str]:
        return sorted(name for name in self.files if name.endswith(".tar"))


def describe(folder: Path, card: Card, digests: Mapping[str, str] | None = None) -> Described:
    """Read a domain's folder; digests that are not given are those of its SHA256SUMS."""
    digests = read_sums(folder) if digests is None else digests
    names = sorted(digests.keys() - HELD_BACK)
    files = {name: File((folder / name).stat().st_size, digests[name]) for name in names}
    return Described(card, read_json(folder / "stats.json"), tuple(read_json(folder / "classes.json")), files)


def image_formats(folder: Path, index: pl.DataFrame) -> dict[str, int]:
    """How many images of an index are `jpg` and how many `png`, by their first bytes; a format without any is left out."""
    jpegs = 0
    for (shard,), rows in index.group_by("shard", maintain_order=True):
        with (folder / str(shard)).open("rb") as handle:
            for offset in rows["offset"]:
                handle.seek(offset)
                jpegs += handle.read(len(JPEG_START)) == JPEG_START
    found = {"jpg": jpegs, "png": index.height - jpegs}
    return {name: count for name, count in found.items() if count}
