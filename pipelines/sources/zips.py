"""Zip archives, read member by member in the order in which they lie in the file, without unpacking to disk.

In memory: 16 bytes a member, and one member. The directory is read twice as a stream, first to check all of it.
"""

import stat
import struct
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipelines.sources.members import (
    Bounds,
    Chosen,
    Refused,
    check_count,
    check_size,
    check_total,
    is_picture,
    is_table,
    one_line,
    safe_name,
)
from pipelines.sources.zip_directory import Entry, find_directory, read_entry, walk

ENCRYPTED = 0x1 | 0x40  # plain and strong encryption
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
LOCAL = struct.Struct("<4s5H3L2H")
BUFFER = 1 << 18


class ZipFiles:
    """See `members.Files`. Raises ValueError (one line) if the archive is damaged, encrypted, unsafe or a bomb."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path = path
        self.bounds = bounds
        self.skipped = 0
        with one_line(path), path.open("rb", BUFFER) as handle:
            self._directory = find_directory(handle)
            self._positions, self._offsets = self._in_order(handle)

    def listing(self, keep: Callable[[str, int], bool]) -> Iterator[tuple[str, int, bytes | None]]:
        """Name and bytes of each file, as it lies in the archive."""
        with one_line(self.path), self.path.open("rb", BUFFER) as data:
            for name, entry, end in self._files():
                kept = keep(name, entry.size)
                yield name, entry.size, _content(data, entry, end) if kept else None

    def read(self, choose: Callable[[str], Chosen]) -> Iterator[tuple[str, Chosen, bytes]]:
        """Name, choice and content of each file that is chosen, as it lies in the archive."""
        with one_line(self.path), self.path.open("rb", BUFFER) as data:
            for name, entry, end in self._files():
                if choice := choose(name):
                    yield name, choice, _content(data, entry, end)

    def _files(self) -> Iterator[tuple[str, Entry, int]]:
        """Name, entry, and where its content must end at the latest."""
        with self.path.open("rb", BUFFER) as handle:
            for number, position in enumerate(self._positions, start=1):
                handle.seek(position)
                entry = read_entry(handle, self._directory.shift)
                if not _is_folder(entry):
                    yield safe_name(entry.name, self.path), entry, self._offsets[number]

    def _in_order(self, handle: BinaryIO) -> tuple["array[int]", "array[int]"]:
        """Where each entry of the directory lies, and each member (last: the directory), in the order of the members."""
        positions, offsets, ends = array("Q"), array("Q"), array("Q")
        total = 0
        for position, entry in walk(handle, self._directory):
            total += _checked(entry, self.path, self.bounds)
            positions.append(position)
            offsets.append(entry.offset)
            ends.append(entry.offset + LOCAL.size + len(entry.stored_name) + entry.packed)
            check_count(len(positions), self.path, self.bounds)
        check_total(total, self.path.stat().st_size, self.path, self.bounds)
        starts_N, ends_N = np.frombuffer(offsets, np.uint64), np.frombuffer(ends, np.uint64)
        order_N = np.argsort(starts_N, kind="stable")
        limits_N = np.append(starts_N[order_N][1:], np.uint64(self._directory.start))
        if len(order_N) and (ends_N[order_N] > limits_N).any():
            raise Refused(f"{self.path}: its members overlap, as in a bomb; refusing the archive")
        sorted_positions, sorted_offsets = array("Q"), array("Q")
        sorted_positions.frombytes(np.frombuffer(positions, np.uint64)[order_N].tobytes())
        sorted_offsets.frombytes(starts_N[order_N].tobytes())
        sorted_offsets.append(self._directory.start)
        return sorted_positions, sorted_offsets


def _is_folder(entry: Entry) -> bool:
    return entry.name.endswith("/") or _kind(entry) == stat.S_IFDIR


def _kind(entry: Entry) -> int:
    return stat.S_IFMT(entry.attributes >> 16) if entry.system == 3 else 0


def _checked(entry: Entry, path: Path, bounds: Bounds) -> int:
    """The bytes that the member unpacks to. Raises Refused if it is not to be read."""
    name = safe_name(entry.name, path)
    if _kind(entry) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"{path}: member {name!r} is a link or a device and could leave its folder; refusing the archive")
    if _is_folder(entry):
        return 0
    if entry.flags & ENCRYPTED:
        raise Refused(f"{path}: member {name!r} is encrypted; pack the archive again without a password")
    if entry.method not in (STORED, DEFLATED) and (is_picture(name) or is_table(name)):
        raise Refused(f"{path}: member {name!r} is packed by method {entry.method}; expected stored or deflate")
    check_size(name, entry.size, path, bounds)
    if entry.size > bounds.unpacked(entry.packed):
        raise Refused(
            f"{path}: member {name!r} unpacks {entry.packed} bytes to {entry.size}, as a bomb does; refusing the archive"
        )
    return entry.size


def _content(handle: BinaryIO, entry: Entry, end: int) -> bytes:
    """What a member holds. Raises zipfile.BadZipFile unless all that the archive says of it is true."""
    handle.seek(entry.offset)
    signature, _, flags, method, *_, n_name, n_extra = LOCAL.unpack(handle.read(LOCAL.size))
    name = handle.read(n_name)
    if signature != b"PK\x03\x04" or (name, method) != (entry.stored_name, entry.method) or (flags ^ entry.flags) & ENCRYPTED:
        raise zipfile.BadZipFile(f"member {entry.name!r} is another than the directory says")
    handle.read(n_extra)
    if entry.offset + LOCAL.size + n_name + n_extra + entry.packed > end:
        raise zipfile.BadZipFile(f"member {entry.name!r} reaches into the next")
    if entry.packed > 2 * entry.size + 1024:  # more than deflate ever adds; what a crafted member makes us read
        raise zipfile.BadZipFile(f"member {entry.name!r} packs {entry.size} bytes as {entry.packed}")
    data = handle.read(entry.packed)
    if entry.method == DEFLATED:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        data = unpacker.decompress(data, entry.size + 1)  # a lying member is not unpacked further
        if not unpacker.eof:
            raise zipfile.BadZipFile(f"member {entry.name!r} is not {entry.size} bytes")
    elif entry.method != STORED:
        raise zipfile.BadZipFile(f"member {entry.name!r} is packed by method {entry.method}")
    if len(data) != entry.size:
        raise zipfile.BadZipFile(f"member {entry.name!r} is not {entry.size} bytes")
    if zlib.crc32(data) != entry.crc:
        raise zipfile.BadZipFile(f"bad CRC-32 of member {entry.name!r}")
    return data
