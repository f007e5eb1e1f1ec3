"""Zip archives, read member by member in the order of their names, without unpacking to disk."""

import stat
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

from pipelines.sources.members import (
    Bounds,
    Refused,
    check_count,
    check_size,
    check_total,
    is_picture,
    is_table,
    one_line,
    safe_name,
)

ENCRYPTED = 0x1 | 0x40  # plain and strong encryption
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ZipArchive:
    """See `members.Archive`. Raises ValueError (one line) if the archive is damaged, encrypted, unsafe or a bomb."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path = path
        with one_line(path), zipfile.ZipFile(path) as archive:
            check_count(len(archive.filelist), path, bounds)
            entries = [(name, info) for info in archive.filelist if (name := _checked(info, path, bounds)) is not None]
            self._entries = sorted(entries, key=lambda entry: (entry[0], entry[1].header_offset))
            check_total(sum(info.file_size for _, info in self._entries), path.stat().st_size, path, bounds)
            self.names = [name for name, _ in self._entries]
            self.tables = {name: _content(archive, info) for name, info in self._entries if is_table(name)}

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each wanted file, sorted by name; of equal names the one that lies first comes first."""
        with zipfile.ZipFile(self.path) as archive:
            for name, info in self._entries:
                if name in wanted:
                    with one_line(self.path):
                        data = _content(archive, info)
                    yield name, data


def _checked(info: zipfile.ZipInfo, path: Path, bounds: Bounds) -> str | None:
    """The member's safe name, None for a folder."""
    name = safe_name(info.orig_filename, path)
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"{path}: member {name!r} is a link or a device and could leave its folder; refusing the archive")
    if info.is_dir() or kind == stat.S_IFDIR:
        return None
    if info.flag_bits & ENCRYPTED:
        raise Refused(f"{path}: member {name!r} is encrypted; pack the archive again without a password")
    if (is_picture(name) or is_table(name)) and info.compress_type not in METHODS:
        raise Refused(f"{path}: member {name!r} is packed by method {info.compress_type}; expected stored or deflate")
    check_size(name, info.file_size, path, bounds)
    if info.file_size > bounds.unpacked(info.compress_size):
        raise Refused(
            f"{path}: member {name!r} unpacks {info.compress_size} bytes to {info.file_size}, as a bomb does; "
            f"refusing the archive"
        )
    return name


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as handle:
        data = handle.read(info.file_size)  # without the size, zipfile would unpack a lying member whole
    if len(data) != info.file_size:
        raise zipfile.BadZipFile(f"member {info.filename!r} ends early")
    return data
