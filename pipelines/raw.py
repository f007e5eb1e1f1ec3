"""Raw records on disk: a few Parquet files a domain, written once from a source and read in batches.

`records-00000.parquet` and so on hold source_id, label, data, in `fault` why data is empty where the source names a picture
that could not be had, and in `group` what the card's `source.label.group_column` says. `failures.parquet` lists what could
not be had with the server's answer, `planted.parquet` the truth about planted dirt, `source.json` what was read. Nothing holds
a time, so the same source gives the same bytes.
"""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.files import write_json
from pipelines.mapping import BATCH
from pipelines.raw_files import Behind, RecordFiles, Sizes
from pipelines.raw_notes import Notes
from pipelines.sources import RawRecord
from pipelines.sums import write_sums
from pipelines.transfer.locators import shown


class RawSummary(NamedTuple):
    """What was written. `bytes` are of the pictures, `passed_over` what the source held beside them.

    `content` is `sha256:` of all records in order: of each the source_id, the label and the SHA-256 of the data, each after its
    length in 8 bytes, little end first; then, where it has a group, eight bytes 0xff and the group in the same form.
    `faults` counts the records whose picture could not be had.
    """

    records: int
    bytes: int
    passed_over: int
    planted: int
    files: int
    content: str
    faults: int


def write_raw(
    records: Iterator[RawRecord],
    folder: Path,
    about: dict[str, Any],
    on_progress: Callable[[int, int], None] | None = None,
    sizes: Sizes | None = None,
) -> RawSummary:
    """Write records into `folder`, which exists and is the caller's to remove on error (`files.atomic_folder`).

    `about` goes into source.json (a locator in it loses its credentials), and so does the mapping that a generator of
    records returns (`passed_over`, `checksum`). `on_progress(records, bytes)` is called with the counts so far after each
    row group. Raises ValueError for no record at all or two with one source_id; a full disk's OSError passes.
    """
    sizes = sizes or Sizes()
    learned: dict[str, Any] = {}
    notes = Notes(_name(about))
    with RecordFiles(folder, sizes) as files, Behind() as hashing, Behind() as writing:
        for group in _groups(_remember(records, learned), sizes):
            notes.take(group)
            hashing.do(partial(notes.digest, group))
            writing.do(partial(files.write, group))
            if on_progress is not None:
                on_progress(notes.records, notes.bytes)
        hashing.wait()
        writing.wait()
    if not notes.records:
        raise ValueError(f"{_name(about)}: the source holds no record; expected at least one picture")
    notes.write(folder)
    counted = {"records": notes.records, "bytes": notes.bytes, "faults": len(notes.failures), "content": notes.content}
    facts = {"passed_over": 0, "checksum": None} | about | learned | counted
    if isinstance(facts.get("locator"), str):
        facts["locator"] = shown(facts["locator"])
    write_json(folder / "source.json", facts)
    write_sums(folder)
    passed_over = int(facts["passed_over"])
    return RawSummary(
        notes.records, notes.bytes, passed_over, len(notes.planted), files.count, notes.content, len(notes.failures)
    )


class RawSlice(NamedTuple):
    """Where some raw records lie: rows of one row group. Whoever works on them reads them, so only this travels."""

    path: Path
    group: int
    start: int  # row within the group
    height: int  # records
    first: int  # its first record's number in the domain

    def __str__(self) -> str:
        return f"records {self.first} to {self.first + self.height - 1}"

    def read(self) -> pl.DataFrame:
        """The records as a frame source_id, label, data, fault, group. Raises ValueError as `read_raw`.

        The whole row group (8 MB or one record) is read for each of its slices: a hundredth of what decoding them costs.
        """
        with _parquet(self.path) as file:
            try:
                table = file.read_row_group(self.group, use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(self.path, error) from None
        frame = pl.DataFrame(pl.from_arrow(table.slice(self.start, self.height)))
        if "group" not in frame.columns:  # written before there were groups
            frame = frame.with_columns(group=pl.lit(None, pl.String))
        return frame


def raw_slices(folder: Path, batch: int = BATCH) -> Iterator[RawSlice]:
    """Yield where the records lie, in order, at most `batch` at a time. Raises ValueError as `read_raw`."""
    assert batch >= 1
    first = 0
    for path in _record_files(folder):
        with _parquet(path) as file:
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        for group, height in enumerate(rows):
            for start in range(0, height, batch):
                yield RawSlice(path, group, start, min(batch, height - start), first + start)
            first += height


def read_raw(folder: Path, batch: int = BATCH) -> Iterator[pl.DataFrame]:
    """Yield the records in order as frames source_id, label, data, fault, group of at most `batch` rows.

    Memory holds one row group. Raises ValueError naming the folder or file if there are no records or they cannot be read.
    """
    return map(RawSlice.read, raw_slices(folder, batch))


def count_raw(folder: Path) -> int:
    """Number of records, from the files' footers. Raises ValueError as `read_raw`."""
    total = 0
    for path in _record_files(folder):
        with _parquet(path) as file:
            total += file.metadata.num_rows
    return total


def _remember(records: Iterator[RawRecord], learned: dict[str, Any]) -> Iterator[RawRecord]:
    """The records; what their generator returns at its end goes into `learned`."""
    # a plain iterator returns None at its end
    learned.update((yield from cast(Generator[RawRecord, None, dict[str, Any] | None], records)) or {})


def _groups(records: Iterator[RawRecord], sizes: Sizes) -> Iterator[list[RawRecord]]:
    group: list[RawRecord] = []
    size = 0
    for record in records:
        if group and (len(group) >= sizes.group_records or size + len(record.data) > sizes.group_bytes):
            yield group
            group, size = [], 0
        group.append(record)
        size += len(record.data)
    if group:
        yield group


def _name(about: dict[str, Any]) -> str:
    return shown(str(about.get("locator", "source")))


def _record_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("records-*.parquet"))
    if not files:
        raise ValueError(f"{folder}: no raw records here; run `dvc repro` to download them")
    return files


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path}: not readable as Parquet ({' '.join(str(error).split())[:120]}); delete it and run `dvc repro`")
