"""The directory at a zip's end, read as a stream: one entry in memory at a time, zip64 too."""

import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

END = struct.Struct("<4s4H2LH")
LOCATOR_64 = struct.Struct("<4sLQL")
END_64 = struct.Struct("<4sQ2H2L4Q")
ENTRY = struct.Struct("<4s6H3L5H2L")
LONGEST_COMMENT = (1 << 16) - 1
OF_64 = 0xFFFFFFFF  # stands where the true number is in the zip64 field
IS_UTF8 = 0x800


class Directory(NamedTuple):
    """Where the directory lies. `shift` is the length of what was put before the archive, e.g. a program that unpacks it."""

    start: int
    size: int
    entries: int
    shift: int


class Entry(NamedTuple):
    """What the directory says of a member; `offset` is that of its local header in the file."""

    name: str
    stored_name: bytes
    system: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    attributes: int
    offset: int
    length: int  # of the entry itself


def find_directory(handle: BinaryIO) -> Directory:
    """Raises zipfile.BadZipFile if this is no zip, or one part of a split one."""
    size = handle.seek(0, 2)
    tail_start = max(0, size - LONGEST_COMMENT - END.size)
    handle.seek(tail_start)
    tail = handle.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        raise zipfile.BadZipFile("no directory at its end")
    _, disk, first_disk, _, entries, length, offset, _ = END.unpack_from(tail, at)
    end = tail_start + at
    in_64 = _end_64(handle, end)
    if in_64 is not None:
        end -= LOCATOR_64.size + END_64.size
        disk, first_disk, entries, length, offset = in_64
    if disk or first_disk:
        raise zipfile.BadZipFile("one part of a split zip; join the parts first")
    start = end - length
    if start < offset or start < 0:
        raise zipfile.BadZipFile("its directory points outside")
    return Directory(start, length, entries, start - offset)


def _end_64(handle: BinaryIO, end: int) -> tuple[int, int, int, int, int] | None:
    """Disk, disk of the directory, entries, length and offset of the directory where a zip64 end precedes the plain one."""
    before = end - LOCATOR_64.size - END_64.size
    if before < 0:
        return None
    handle.seek(before)
    both = handle.read(END_64.size + LOCATOR_64.size)
    if both[:4] != b"PK\x06\x06" or both[END_64.size :][:4] != b"PK\x06\x07":
        return None
    _, _, _, _, disk, first_disk, _, entries, length, offset = END_64.unpack_from(both)
    return disk, first_disk, entries, length, offset


def walk(handle: BinaryIO, directory: Directory) -> Iterator[tuple[int, Entry]]:
    """Position and entry of every member. Raises zipfile.BadZipFile if the directory is damaged."""
    position = directory.start
    end = position + directory.size
    count = 0
    handle.seek(position)
    while position < end:
        entry = read_entry(handle, directory.shift)
        yield position, entry
        position += entry.length
        count += 1
    if position != end or count & 0xFFFF != directory.entries & 0xFFFF:  # writers without zip64 count modulo 65536
        raise zipfile.BadZipFile(f"its directory holds {count} entries, {directory.entries} expected")


def read_entry(handle: BinaryIO, shift: int) -> Entry:
    """The entry at which the handle stands."""
    head = handle.read(ENTRY.size)
    if head[:4] != b"PK\x01\x02" or len(head) < ENTRY.size:
        raise zipfile.BadZipFile("no entry where its directory should have one")
    (_, made, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment, _, _, attributes, offset) = ENTRY.unpack(
        head
    )
    rest = handle.read(n_name + n_extra + n_comment)
    if len(rest) < n_name + n_extra + n_comment:
        raise zipfile.BadZipFile("its directory ends early")
    stored_name = rest[:n_name]
    if packed == OF_64 or size == OF_64 or offset == OF_64:
        size, packed, offset = _wide(rest[n_name : n_name + n_extra], size, packed, offset)
    plain = flags & IS_UTF8 or stored_name.isascii()
    name = stored_name.decode("utf-8", "replace") if plain else stored_name.decode("cp437")
    length = ENTRY.size + len(rest)
    return Entry(name, stored_name, made >> 8, flags, method, crc, packed, size, attributes, offset + shift, length)


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Size, packed size and offset from the zip64 field, which holds those alone that the entry leaves out."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            numbers = iter(struct.unpack_from(f"<{min(length, 24) // 8}Q", extra, at + 4))
            try:
                return tuple(next(numbers) if given == OF_64 else given for given in (size, packed, offset))  # type: ignore[return-value]
            except (StopIteration, RuntimeError):
                raise zipfile.BadZipFile("a zip64 field is too short") from None
        at += 4 + length
    return size, packed, offset
