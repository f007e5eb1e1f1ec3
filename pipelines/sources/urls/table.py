"""The table of a `urls` source, a row at a time: CSV or TSV with a header, JSON lines, or Parquet. Told apart by content."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

LINE = 1 << 20  # characters
BATCH = 1000  # rows of Parquet in memory beside the row group they come from


class Table:
    """A table on disk. Raises ValueError (one line: file, row, what was expected) where it is none or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kind = _kind(path)

    def rows(self, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """Each row by column name, from the start; of Parquet only `columns` (else all), and none that is binary or nested."""
        if self.kind == "parquet":
            return self._parquet(columns)
        return self._json_lines() if self.kind == "json lines" else self._fields()

    def _fields(self) -> Iterator[dict[str, Any]]:
        with self._lines() as lines:
            head = next(lines)
            sign = "\t" if "\t" in head else max(",;", key=head.count)
            names = next(csv.reader([head], delimiter=sign), [])
            twice = next((name for name in names if name and names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"{self.path}: two columns are named {twice!r}")
            number = 0
            for values in csv.reader(lines, delimiter=sign, strict=True):
                if not values:
                    continue
                number += 1
                if len(values) != len(names):
                    raise ValueError(f"{self.path}: row {number} has {len(values)} fields, the header names {len(names)}")
                yield dict(zip(names, values, strict=True))

    def _json_lines(self) -> Iterator[dict[str, Any]]:
        with self._lines() as lines:
            number = 0
            for line in lines:
                if not line.strip():
                    continue
                number += 1
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict):
                    raise ValueError(f"{self.path}: row {number} is no JSON object; expected one a line")
                yield row

    def _parquet(self, columns: list[str] | None) -> Iterator[dict[str, Any]]:
        try:
            with pq.ParquetFile(self.path) as file:
                flat = [field.name for field in file.schema_arrow if not _is_large(field.type)]
                for batch in file.iter_batches(batch_size=BATCH, columns=[name for name in flat if name in (columns or flat)]):
                    yield from batch.to_pylist()
        except OSError as error:
            if error.errno is not None:
                raise
            raise self._damaged(error) from None
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise self._damaged(error) from None

    @contextmanager
    def _lines(self) -> Iterator[Iterator[str]]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as handle:
                yield self._bounded(handle)
        except UnicodeDecodeError:
            raise ValueError(f"{self.path}: expected UTF-8 text") from None
        except csv.Error as error:
            raise self._damaged(error) from None

    def _bounded(self, handle: TextIO) -> Iterator[str]:
        while line := handle.readline(LINE):
            if len(line) == LINE:
                raise ValueError(f"{self.path}: a line of more than {LINE} characters; expected a row a line")
            yield line

    def _damaged(self, error: Exception) -> ValueError:
        cause = " ".join(str(error).split())[:120]
        name = "Parquet" if self.kind == "parquet" else "CSV"
        return ValueError(f"{self.path}: not readable as {name} ({cause}); get it again (delete the file if it is a download)")


def _is_large(kind: pa.DataType) -> bool:
    """Whether it can hold no label and no address."""
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _kind(path: Path) -> Literal["parquet", "json lines", "fields"]:
    with path.open("rb") as handle:
        head = handle.read(4096)
    if head.startswith(b"PAR1"):
        return "parquet"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start or b"\0" in head or head.startswith(b"\x1f\x8b"):
        found = "an empty file" if not start else "none of them"
        raise ValueError(f"{path}: expected a table (CSV, TSV, JSON lines or Parquet), found {found}")
    if start.startswith(b"["):
        raise ValueError(f"{path}: expected one JSON object a line, found a JSON list")
    if start.startswith(b"<"):
        raise ValueError(f"{path}: expected a table (CSV, TSV, JSON lines or Parquet), found a web page")
    return "json lines" if start.startswith(b"{") else "fields"
