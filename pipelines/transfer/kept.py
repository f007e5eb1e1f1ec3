"""What is kept of a download: the whole file with a note of its sum, or the part that has come, held by one at a time."""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.files import sha256_file, write_json
from pipelines.transfer import Pin, Place
from pipelines.transfer.retry import check_deadline

BLOCK = 1 << 20


class Said(NamedTuple):
    """What the server said of the file's version, as it wrote it."""

    etag: str | None = None
    modified: str | None = None

    @property
    def strong(self) -> str | None:
        """The ETag if it stands for these very bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else None

    @property
    def validator(self) -> str | None:
        """What an If-Range may say."""
        return self.strong or self.modified


class Kept(NamedTuple):
    """A whole file."""

    path: Path
    bytes: int
    sha256: str
    said: Said

    @property
    def pin(self) -> Pin:
        return Pin(self.bytes, self.sha256, self.said.strong)


def find_kept(path: Path) -> Kept | None:
    """The whole file at `path`, if it is there; hashed only where its note does not fit it any more."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    note = _read(_note(path))
    if (note.get("bytes"), note.get("mtime_ns")) == (state.st_size, state.st_mtime_ns) and isinstance(note.get("sha256"), str):
        return Kept(path, state.st_size, note["sha256"], Said(note.get("etag"), note.get("modified")))
    sha256 = sha256_file(path)
    _write_note(path, state, sha256, Said())
    return Kept(path, state.st_size, sha256, Said())


def keep(source: Path, path: Path, sha256: str, said: Said) -> Kept:
    """Put the whole and verified `source` in the place of `path`."""
    with source.open("rb") as handle:
        os.fsync(handle.fileno())
    state = source.stat()
    _write_note(path, state, sha256, said)  # first: killed in between, the note fits no file and the sum is taken again
    source.replace(path)
    return Kept(path, state.st_size, sha256, said)


def drop(path: Path) -> None:
    """Remove a file and its note, if they are there."""
    path.unlink(missing_ok=True)
    _note(path).unlink(missing_ok=True)


class Part:
    """The bytes so far of a file under way, and what the server said of it. Written unbuffered: what came survives a kill."""

    def __init__(self, path: Path, handle: FileIO) -> None:
        self.path = path
        self._handle = handle
        self.size = os.fstat(handle.fileno()).st_size
        handle.seek(self.size)
        self.best = self.size  # the most it ever held
        self._hash = hashlib.sha256()
        self._hashed = 0
        about = _read(_note(path)) if self.size else {}
        self.said = Said(about.get("etag"), about.get("modified"))
        self.total: int | None = about.get("total")
        self.stitched = bool(about.get("stitched"))  # from more than one answer, and no strong ETag says of one file
        if self.size and not about:
            self.cut()  # bytes of who knows which file

    def describe(self, said: Said, total: int | None, stitched: bool) -> None:
        """Note, before its bytes come, which file they are of."""
        self.said, self.total, self.stitched = said, total, stitched
        write_json(_note(self.path), {**said._asdict(), "total": total, "stitched": stitched})

    def write(self, block: bytes) -> None:
        """Append."""
        rest = memoryview(block)
        while rest:
            written = self._handle.write(rest) or 0
            if self._hashed == self.size:
                self._hash.update(rest[:written])
                self._hashed += written
            self.size += written
            rest = rest[written:]
        self.best = max(self.best, self.size)

    def cut(self) -> None:
        """Begin anew."""
        self._handle.truncate(0)
        self._handle.seek(0)
        self.size = self._hashed = 0
        self._hash = hashlib.sha256()

    def sha256(self) -> str:
        """Hex sum of the bytes so far; reads those that this process has not written."""
        if self._hashed != self.size:
            self._handle.seek(self._hashed)
            while block := self._handle.read(BLOCK):
                self._hash.update(block)
                self._hashed += len(block)
        self._handle.seek(self.size)
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Remove it; its holder alone may."""
        drop(self.path)


@contextmanager
def hold(path: Path, place: Place) -> Iterator[Part]:
    """The part of the file `path`, which nobody else writes meanwhile, in this process or another; waits for them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(f"{path.name}.part")
    while True:
        with FileIO(os.open(name, os.O_RDWR | os.O_CREAT, 0o644), "r+") as handle:
            _lock(handle, place)
            if not _is_at(handle, name):
                continue  # who held it before has made it the whole file, or removed it
            part = Part(name, handle)
            try:
                yield part
            finally:
                if part.size == 0 and _is_at(handle, name):
                    part.discard()
                elif not name.exists():
                    _note(name).unlink(missing_ok=True)
            return


def _lock(handle: FileIO, place: Place) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            check_deadline(place)
            time.sleep(0.05)


def _is_at(handle: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _write_note(path: Path, state: os.stat_result, sha256: str, said: Said) -> None:
    write_json(_note(path), {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": sha256, **said._asdict()})


def _read(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        note = None
    return note if isinstance(note, dict) else {}
