"""The small files that came, and why others did not: one SQLite file, every row committed at once."""

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pipelines.transfer import TransferError
from pipelines.transfer.kept import Said

TABLE = """
CREATE TABLE IF NOT EXISTS items (
    source_id TEXT NOT NULL,
    locator TEXT NOT NULL,  -- as shown: no secret is in it
    data BLOB,              -- NULL: it did not come
    status INTEGER,
    reason TEXT,
    lasting INTEGER NOT NULL DEFAULT 1,  -- 0: another run may get it
    etag TEXT,
    modified TEXT,
    run INTEGER NOT NULL,
    PRIMARY KEY (source_id, locator)
)
"""
PUT = """
INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET data = excluded.data, status = excluded.status, reason = excluded.reason,
    lasting = excluded.lasting, etag = excluded.etag, modified = excluded.modified, run = excluded.run
"""


class Stored(NamedTuple):
    """What became of an item: its data, or why there are none."""

    data: bytes | None
    status: int | None = None
    reason: str | None = None
    lasting: bool = True
    said: Said = Said()


class Store:
    """Of one domain; for any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        with self._errors():
            self._base = sqlite3.connect(path, timeout=60.0, isolation_level=None, check_same_thread=False)
            # a row that is committed survives a kill; only a power failure may take the last ones, never the file
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.execute(TABLE)
            self.run: int = self._base.execute("SELECT coalesce(max(run), 0) + 1 FROM items WHERE data IS NULL").fetchone()[0]

    def close(self) -> None:
        self._base.close()

    def has(self, source_id: str, locator: str) -> bool:
        """Whether its data are here."""
        query = "SELECT 1 FROM items WHERE source_id = ? AND locator = ? AND data IS NOT NULL"
        with self._lock, self._errors():
            return self._base.execute(query, (_text(source_id), _text(locator))).fetchone() is not None

    def find(self, source_id: str, locator: str) -> Stored | None:
        """What became of it; None if it was never asked for."""
        query = "SELECT data, status, reason, lasting, etag, modified FROM items WHERE source_id = ? AND locator = ?"
        with self._lock, self._errors():
            row = self._base.execute(query, (_text(source_id), _text(locator))).fetchone()
        return None if row is None else Stored(row[0], row[1], row[2], bool(row[3]), Said(row[4], row[5]))

    def put(self, source_id: str, locator: str, stored: Stored) -> None:
        """Note what became of it."""
        row = (
            _text(source_id),
            _text(locator),
            stored.data,
            stored.status,
            stored.reason,
            stored.lasting,
            *stored.said,
            self.run,
        )
        with self._lock, self._errors():
            self._base.execute(PUT, row)

    def failures(self) -> list[tuple[str, int | None, str]]:
        """source_id, status and reason of each that did not come, in the order of source_id."""
        with self._lock, self._errors():
            return self._base.execute(
                "SELECT source_id, status, reason FROM items WHERE data IS NULL ORDER BY source_id, locator"
            ).fetchall()

    def forget_others(self) -> None:
        """Forget failures of items that this run did not ask for: the source names them no more."""
        with self._lock, self._errors():
            self._base.execute("DELETE FROM items WHERE data IS NULL AND run <> ?", (self.run,))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise ValueError(f"{self._path}: damaged ({error}); delete it to get its files again") from None
            if code == sqlite3.SQLITE_BUSY:
                raise TransferError(f"{self._path}: another process is writing it; try again when that is done") from None
            number = errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO
            raise OSError(number, str(error), str(self._path)) from None


def _text(name: str) -> str:
    """The name as SQLite can hold it: without halves of surrogate pairs, which JSON may write."""
    return name.encode(errors="backslashreplace").decode()
