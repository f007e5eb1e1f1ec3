"""The Parquet files of raw records, written row group by row group behind their source."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources import RawRecord

RECORDS = pa.schema(
    [
        ("source_id", pa.string()),
        ("label", pa.string()),
        ("data", pa.binary()),
        ("fault", pa.string()),
        ("group", pa.string()),
    ]
)
GROUP_RECORDS = 1000
GROUP_BYTES = 8 << 20  # larger ones are written no faster, and take more memory
FILE_BYTES = 512 << 20


class Sizes(NamedTuple):
    """Where row groups and files end: whichever bound is met first."""

    group_records: int = GROUP_RECORDS
    group_bytes: int = GROUP_BYTES
    file_bytes: int = FILE_BYTES


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
            # pictures are compressed already, and statistics of them would repeat whole pictures in the footer
            self._writer = pq.ParquetWriter(
                self._folder / f"records-{self.count:05d}.parquet",
                RECORDS,
                compression={"source_id": "zstd", "label": "zstd", "data": "none", "fault": "zstd", "group": "zstd"},
                use_dictionary=["label", "fault", "group"],
                write_statistics=["label"],
            )
            self.count += 1
        ids, labels, data, _, faults, groups = zip(*group, strict=True)
        reasons = [None if fault is None else fault.reason for fault in faults]
        table = pa.table([ids, labels, _binary(data), reasons, groups], schema=RECORDS)
        self._writer.write_table(table, row_group_size=len(group))
        self._bytes += size

    def _close(self) -> None:
        writer, self._writer, self._bytes = self._writer, None, 0
        if writer is not None:
            writer.close()


def _binary(pieces: Sequence[bytes]) -> pa.Array:
    """The pieces as an array, copied once: Arrow's own way of doing it copies them as its buffer grows."""
    ends_N = np.cumsum([0, *map(len, pieces)], dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(pieces), [None, pa.py_buffer(ends_N), pa.py_buffer(b"".join(pieces))])


class Behind:
    """One piece of work at a time in a thread behind the caller, who meanwhile makes the next; errors come up in the caller."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def __enter__(self) -> "Behind":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def do(self, work: Callable[[], None]) -> None:
        """Start this piece once the last is done."""
        self.wait()
        self._last = self._pool.submit(work)

    def wait(self) -> None:
        """Until nothing is under way."""
        last, self._last = self._last, None
        if last is not None:
            last.result()
