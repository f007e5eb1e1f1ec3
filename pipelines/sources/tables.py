"""Label tables: CSV, TSV and JSON lines, read row by row out of their bytes."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.sources.members import Refused, is_hidden, is_picture, parts, plain

SUFFIX = re.compile(r".+\.(?:csv|tsv|jsonl|ndjson)", re.IGNORECASE | re.DOTALL)
HEAD_ROWS = 2000  # what columns are guessed from
MOST_COLUMNS = 256


def may_be_table(name: str) -> bool:
    """Whether the suffix is that of a label table."""
    pieces = parts(name)
    return bool(pieces) and SUFFIX.fullmatch(pieces[-1]) is not None and not is_hidden(pieces)


class Table:
    """A table with named columns. Raises Refused (one line) if it is not readable, here or while its rows are read."""

    def __init__(self, name: str, content: bytes, path: Path) -> None:
        self.name = name
        self.folder = tuple(parts(name)[:-1])
        self._content = content
        self._where = f"{path}: {plain(name)}"
        with self._readable():
            self.columns = self._keys() if self._is_json else [cell.strip() for cell in next(self._csv(), [])]
        if len(self.columns) > MOST_COLUMNS:
            raise Refused(f"{self._where}: has {len(self.columns)} columns, more than the limit of {MOST_COLUMNS}")
        pictures = [cell for cell in self.columns if is_picture(cell)]
        if pictures:
            raise Refused(f"{self._where}: expected the names of the columns in its first line, found {pictures[0]!r}")

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """The cells of these columns, row by row, without space around; a missing cell is empty."""
        with self._readable():
            if self._is_json:
                for fields in self._objects():
                    yield tuple(_cell(fields.get(column)) for column in columns)
                return
            places = [self.columns.index(column) for column in columns]
            width = max(places, default=0) + 1
            for row in islice(self._csv(), 1, None):
                if row:
                    cells = row if len(row) >= width else row + [""] * (width - len(row))
                    yield tuple(cells[place].strip() for place in places)

    def head(self) -> list[tuple[str, ...]]:
        """All cells of the first rows."""
        return list(islice(self.rows(self.columns), HEAD_ROWS))

    @property
    def _is_json(self) -> bool:
        return self.name.lower().endswith(("jsonl", "ndjson"))

    def _lines(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(io.BytesIO(self._content), "utf-8-sig", newline="")

    def _csv(self) -> Iterator[list[str]]:
        first = self._lines().readline()
        delimiter = max(",;\t", key=first.count)
        return csv.reader(self._lines(), delimiter=delimiter)

    def _objects(self) -> Iterator[dict[str, Any]]:
        for line in self._lines():
            if line.strip():
                fields = json.loads(line)
                if not isinstance(fields, dict):
                    raise Refused(f"{self._where}: expected an object in each line, found {line.strip()[:40]!r}")
                yield fields

    def _keys(self) -> list[str]:
        return list(dict.fromkeys(str(key) for fields in islice(self._objects(), 100) for key in fields))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except Refused:
            raise
        except UnicodeError:
            raise Refused(f"{self._where}: expected UTF-8 text") from None
        except csv.Error as error:
            raise Refused(f"{self._where}: not readable as CSV ({error})") from None
        except (ValueError, RecursionError) as error:
            raise Refused(f"{self._where}: not readable as JSON lines ({' '.join(str(error).split())[:80]})") from None


def _cell(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip().encode("utf-8", "replace").decode()  # JSON can write half a character
