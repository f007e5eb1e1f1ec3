"""Raw records on disk: a few Parquet files a domain, written once from a source and read in batches.

`records-00000.parquet` and so on hold source_id, label and data; `planted.parquet` the truth about planted dirt;
`source.json` what was read. Nothing holds a time, so the same source gives the same bytes.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.files import write_json
from pipelines.sources import Planted, RawRecord
from pipelines.transfer.locators import shown

RECORDS = pa.schema([("source_id", pa.string()), ("label", pa.string()), ("data", pa.binary())])
PLANTED = {"source_id": pl.String, "kind": pl.String, "of": pl.String, "domain": pl.String}
GROUP_RECORDS = 1000
GROUP_BYTES = 32 << 20
FILE_BYTES = 512 << 20


class RawSummary(NamedTuple):
    """What was written. `bytes` are of the pictures, `passed_over` what the source held beside them."""

    records: int
    bytes: int
    passed_over: int
    planted: int
    files: int


class Sizes(NamedTuple):
    """Where row groups and files end: whichever bound is met first."""

    group_records: int = GROUP_RECORDS
    group_bytes: int = GROUP_BYTES
    file_bytes: int = FILE_BYTES


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
    seen: dict[str, Planted | None] = {}
    written = 0
    with RecordFiles(folder, sizes) as files:
        for group in _groups(_remember(records, learned), sizes):
            for record in group:
                if record.source_id in seen:
                    raise ValueError(f"{_name(about)}: two records with the source_id {record.source_id!r}; each needs its own")
                seen[record.source_id] = record.planted
            files.write(group)
            written += sum(len(record.data) for record in group)
            if on_progress is not None:
                on_progress(len(seen), written)
    if not seen:
        raise ValueError(f"{_name(about)}: the source holds no record; expected at least one picture")
    planted = _planted_frame(seen)
    planted.write_parquet(folder / "planted.parquet")
    facts = {"passed_over": 0, "checksum": None} | about | learned | {"records": len(seen), "bytes": written}
    if isinstance(facts.get("locator"), str):
        facts["locator"] = shown(facts["locator"])
    write_json(folder / "source.json", facts)
    return RawSummary(len(seen), written, int(facts["passed_over"]), planted.height, files.count)


def read_raw(folder: Path, batch: int = 256) -> Iterator[pl.DataFrame]:
    """Yield the records in order as frames source_id, label, data of at most `batch` rows; memory holds one row group.

    Raises ValueError naming the folder or file if there are no records or they cannot be read.
    """
    assert batch >= 1
    for path in _record_files(folder):
        with _parquet(path) as file:
            for group in range(file.num_row_groups):
                try:
                    table = file.read_row_group(group)
                except (pa.ArrowException, OSError) as error:
                    raise _unreadable(path, error) from None
                frame = pl.DataFrame(pl.from_arrow(table))
                yield from frame.iter_slices(batch)


def count_raw(folder: Path) -> int:
    """Number of records, from the files' footers. Raises ValueError as `read_raw`."""
    total = 0
    for path in _record_files(folder):
        with _parquet(path) as file:
            total += file.metadata.num_rows
    return total


class RecordFiles:
    """records-00000.parquet, records-00001.parquet, ...: a new one where the last has its bytes."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self._folder = folder
        self._sizes = sizes
        self._writer: pq.ParquetWriter | None = None
        self._bytes = 0
        self.count = 0

    def __enter__(self) -> "RecordFiles":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._close()
        else:
            with suppress(Exception):  # the first error counts, not that of closing after it
                self._close()

    def write(self, group: list[RawRecord]) -> None:
        """Write one row group."""
        size = sum(len(record.data) for record in group)
        if self._writer is not None and self._bytes + size > self._sizes.file_bytes:
            self._close()
        if self._writer is None:
            path = self._folder / f"records-{self.count:05d}.parquet"
            # pictures are compressed already, and statistics of them would repeat whole pictures in the footer
            self._writer = pq.ParquetWriter(
                path,
                RECORDS,
                compression={"source_id": "zstd", "label": "zstd", "data": "none"},
                use_dictionary=["label"],
                write_statistics=["label"],
            )
            self.count += 1
        columns = list(zip(*(record[:3] for record in group), strict=True))
        self._writer.write_table(pa.table(columns, schema=RECORDS), row_group_size=len(group))
        self._bytes += size

    def _close(self) -> None:
        writer, self._writer, self._bytes = self._writer, None, 0
        if writer is not None:
            writer.close()


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


def _planted_frame(seen: dict[str, Planted | None]) -> pl.DataFrame:
    rows = [(source_id, truth.kind, truth.of, truth.domain) for source_id, truth in seen.items() if truth is not None]
    return pl.DataFrame(rows, schema=PLANTED, orient="row")


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
