"""Tar archives, plain or packed by gzip, read from front to back in the order of the archive, without unpacking to disk."""

import gzip
import io
import tarfile
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, cast

from pipelines.sources.members import (
    Bounds,
    Refused,
    check_count,
    check_size,
    check_total,
    is_table,
    one_line,
    safe_name,
)

HEADER_BYTES = 1 << 20  # an extended header is a name and a few fields


class TarArchive:
    """See `members.Archive`. Raises ValueError (one line) if the archive is damaged, unsafe or a bomb.

    Two passes over the file: the first looks at every header, so that nothing is read from an archive that is refused later.
    """

    def __init__(self, path: Path, packed: bool, bounds: Bounds) -> None:
        self.path = path
        self._packed = packed
        self._bounds = bounds
        self.names: list[str] = []
        self.tables: dict[str, bytes] = {}
        with one_line(path), closing(self._open()) as stream:
            for name, info in _members(stream, path, bounds):
                self.names.append(name)
                check_count(len(self.names), path, bounds)
                if is_table(name):
                    self.tables[name] = _content(stream, info)

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each wanted file, in the order of the archive."""
        with closing(self._open()) as stream:
            members = _members(stream, self.path, self._bounds)
            while True:
                with one_line(self.path):
                    found = next(((name, _content(stream, info)) for name, info in members if name in wanted), None)
                if found is None:
                    return
                yield found

    def _open(self) -> "Forward":
        if self._packed:
            limit = self._bounds.unpacked(self.path.stat().st_size)
            return Forward(cast(IO[bytes], gzip.open(self.path)), self.path, limit, self._bounds)
        return Forward(self.path.open("rb"), self.path, self._bounds.total_bytes, self._bounds)


def is_tar(head: bytes) -> bool:
    """Whether a file that starts with these bytes starts with a tar's header, or its end mark."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.TarError:
        return head == bytes(tarfile.BLOCKSIZE)
    except (ValueError, ArithmeticError):
        return False
    return True


class Forward(io.RawIOBase):
    """A file that tarfile may only read forwards and in bounded bites.

    Crafted headers make tarfile seek backwards for ever or read gigabytes of "header" (CVE-2025-8194 and kin).
    """

    def __init__(self, handle: IO[bytes], path: Path, limit: int, bounds: Bounds) -> None:
        self._handle = handle
        self._path = path
        self._limit = limit
        self._packed = path.stat().st_size
        self._bounds = bounds
        self._position = 0
        self.last = b""  # what was read last: the end mark, if the archive is whole

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET
        if position < self._position:
            raise tarfile.ReadError("a header points backwards")
        self._check(position)
        self._handle.seek(position)
        self._position = position
        return position

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
        """Read to the end, which makes gzip check its sum."""
        while self._handle.read(HEADER_BYTES):
            self._position += HEADER_BYTES
            self._check(self._position)

    def close(self) -> None:
        self._handle.close()
        super().close()

    def _check(self, position: int) -> None:
        if position > self._limit:
            check_total(position, self._packed, self._path, self._bounds)
            raise tarfile.ReadError("a header points behind the end")


def _members(stream: Forward, path: Path, bounds: Bounds) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """The files of the archive, each checked; folders are left out."""
    archive = tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:")  # noqa: SIM115 (closing it would close the stream)
    while (info := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # tarfile keeps all that it saw
        name = safe_name(info.name, path)
        if info.isdir():
            continue
        if not info.isreg() or info.issparse():
            raise Refused(
                f"{path}: member {name!r} is a link, a device or sparse and could leave its folder; refusing the archive"
            )
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
