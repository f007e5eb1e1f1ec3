"""Tar archives, plain or packed, read from front to back in the order of the archive, without unpacking to disk."""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, cast

from pipelines.sources.members import (
    Bounds,
    Chosen,
    Refused,
    check_count,
    check_size,
    check_total,
    one_line,
    safe_name,
)
from pipelines.sources.unpacking import open_packed

HEADER_BYTES = 1 << 20  # an extended header is a name and a few fields
BUFFER = 1 << 18
HEADERS_BUFFER = 1 << 13  # for a walk that skips the content


class TarFiles:
    """See `members.Files`. Each walk is one pass: a plain tar's headers are sought, a packed one is unpacked."""

    def __init__(self, path: Path, packing: str | None, bounds: Bounds) -> None:
        self.path = path
        self.bounds = bounds
        self.skipped = 0
        self._packing = packing

    def listing(self, keep: Callable[[str, int], bool]) -> Iterator[tuple[str, int, bytes | None]]:
        """Name and bytes of each file, in the order of the archive."""
        with one_line(self.path), closing(self._open(HEADERS_BUFFER)) as stream:
            for name, info in _members(stream, self.path, self.bounds):
                kept = keep(name, info.size)
                yield name, info.size, _content(stream, info) if kept else None

    def read(self, choose: Callable[[str], Chosen]) -> Iterator[tuple[str, Chosen, bytes]]:
        """Name, choice and content of each file that is chosen, in the order of the archive."""
        with one_line(self.path), closing(self._open(BUFFER)) as stream:
            for name, info in _members(stream, self.path, self.bounds):
                if choice := choose(name):
                    yield name, choice, _content(stream, info)

    def _open(self, buffer: int) -> "Forward":
        if self._packing is not None:
            limit = self.bounds.unpacked(self.path.stat().st_size)
            return Forward(open_packed(self.path, self._packing), self.path, limit, self.bounds, can_seek=False)
        return Forward(self.path.open("rb", buffer), self.path, self.bounds.total_bytes, self.bounds, can_seek=True)


def is_tar(head: bytes) -> bool:
    """Whether a file that starts with these bytes starts with a tar's header, or its end mark."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.TarError:
        return head[: tarfile.BLOCKSIZE] == bytes(tarfile.BLOCKSIZE)
    except (ValueError, ArithmeticError):
        return False
    return True


class Forward(io.RawIOBase):
    """A file that tarfile may only read forwards and in bounded bites.

    Crafted headers make tarfile seek backwards for ever or read gigabytes of "header" (CVE-2025-8194 and kin).
    """

    def __init__(self, handle: IO[bytes], path: Path, limit: int, bounds: Bounds, *, can_seek: bool) -> None:
        self._handle = handle
        self._path = path
        self._limit = limit
        self._packed = path.stat().st_size
        self._bounds = bounds
        self._can_seek = can_seek
        self._position = 0
        self.last = b""  # what was read last: the end mark, if the archive is whole

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET
        if position == self._position:
            return position
        if position < self._position:
            raise tarfile.ReadError("a header points backwards")
        self._check(position)
        if self._can_seek:
            self._handle.seek(position)
            self._position = position
        else:
            self._skip(position - self._position)
        return self._position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self.take(size)

    def take(self, size: int) -> bytes:
        """Read `size` bytes of content."""
        self._check(self._position + size)
        self.last = self._handle.read(size)
        self._position += len(self.last)
        return self.last

    def drain(self) -> None:
        """Read to the end, which makes an unpacker check its sum."""
        while block := self._handle.read(HEADER_BYTES):
            self._position += len(block)
            self._check(self._position)

    def close(self) -> None:
        self._handle.close()
        super().close()

    def _skip(self, size: int) -> None:
        while size > 0:
            block = self._handle.read(min(size, HEADER_BYTES))
            if not block:
                raise tarfile.ReadError("ends early")
            self._position += len(block)
            size -= len(block)

    def _check(self, position: int) -> None:
        if position > self._limit:
            check_total(position, self._packed, self._path, self._bounds)
            raise tarfile.ReadError("a header points behind the end")


def _members(stream: Forward, path: Path, bounds: Bounds) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """The files of the archive, each checked; folders are left out."""
    archive = tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:")  # noqa: SIM115 (closing it would close the stream)
    count = 0
    while (info := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # tarfile keeps all that it saw
        name = safe_name(info.name, path)
        count += 1
        check_count(count, path, bounds)
        if info.isdir():
            continue
        if not info.isreg() or info.issparse():
            raise Refused(
                f"{path}: member {name!r} is a link, a device or sparse and could leave its folder; refusing the archive"
            )
        if info.size < 0:
            raise tarfile.ReadError(f"member {name!r} of {info.size} bytes")
        check_size(name, info.size, path, bounds)
        yield name, info
    if stream.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end mark")
    stream.drain()


def _content(stream: Forward, info: tarfile.TarInfo) -> bytes:
    stream.seek(info.offset_data)
    data = stream.take(info.size)
    if len(data) != info.size:
        raise tarfile.ReadError(f"member {info.name!r} ends early")
    return data
