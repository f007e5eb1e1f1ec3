"""What archives share: bounds against bombs, names that stay in their folder, and which members are pictures."""

import errno
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PICTURE = re.compile(
    r".+\.(?:jpe?g|jpe|jfif|png|gif|bmp|dib|webp|tiff?|p[pgbn]m|tga|ico|avif|hei[cf]|jp2|j2k)", re.IGNORECASE | re.DOTALL
)
TABLES = ("labels.csv", "info.json")  # what the Meta-Album layout says about its pictures

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    RecursionError,  # a chain of extended tar headers
    TypeError,
)  # what the standard library raises on a crafted or cut archive


class Refused(ValueError):
    """An archive that we do not read, with the reason for its user."""


@dataclass(frozen=True)
class Bounds:
    """How large an archive may become. `ratio` (unpacked to packed bytes) holds from `ratio_floor` bytes on."""

    picture_bytes: int = 64 << 20
    table_bytes: int = 256 << 20
    total_bytes: int = 64 << 30
    members: int = 5_000_000
    ratio: int = 200
    ratio_floor: int = 64 << 20

    def unpacked(self, packed: int) -> int:
        """Bytes that an archive of `packed` bytes may unpack to."""
        return min(self.total_bytes, max(self.ratio_floor, self.ratio * packed))


class Archive(Protocol):
    """An archive that was looked through once: every member is safe and within bounds."""

    path: Path
    names: list[str]  # of its files, in the order in which `read` gives them; a name may stand twice
    tables: dict[str, bytes]  # content of the files whose last part is in TABLES

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file whose name is wanted, one at a time."""
        ...


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turn what damage makes the standard library raise into a ValueError of one line; trouble of the disk passes."""
    try:
        yield
    except Refused:
        raise
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # gzip.BadGzipFile; an offset before the start of the file
            raise _damaged(path, error) from None
        raise
    except DAMAGE as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> Refused:
    cause = " ".join(str(error).split())[:120] or type(error).__name__
    return Refused(f"{path}: damaged or cut short ({cause}); get it again (delete the file if it is a download)")


def safe_name(name: str, path: Path) -> str:
    """The member's name as text that any file can hold. Raises Refused if it would leave the folder it is unpacked in."""
    forward = name.replace("\\", "/")
    if forward.startswith("/") or re.match(r"[A-Za-z]:", forward) or ".." in forward.split("/") or "\0" in forward:
        raise Refused(f"{path}: member {name!r} would leave its folder; refusing the archive")
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def parts(name: str) -> list[str]:
    """Folders and file of a member's name."""
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def is_picture(name: str) -> bool:
    """Whether the suffix is a picture's, in any case; macOS's resource forks (`__MACOSX/`, `._x.jpg`) are none."""
    pieces = parts(name)
    if not pieces or pieces[-1].startswith("._") or "__MACOSX" in pieces:
        return False
    return PICTURE.fullmatch(pieces[-1]) is not None


def is_table(name: str) -> bool:
    """Whether this file may describe the pictures."""
    pieces = parts(name)
    return bool(pieces) and pieces[-1] in TABLES and "__MACOSX" not in pieces


def check_size(name: str, size: int, path: Path, bounds: Bounds) -> None:
    """Raise Refused if a member that we would read says that it is too large."""
    limit = bounds.table_bytes if is_table(name) else bounds.picture_bytes
    if (is_picture(name) or is_table(name)) and not 0 <= size <= limit:
        raise Refused(f"{path}: member {name!r} unpacks to {size} bytes, more than the limit of {limit}; refusing the archive")


def check_total(total: int, packed: int, path: Path, bounds: Bounds) -> None:
    """Raise Refused if the members together are too large for their archive."""
    limit = bounds.unpacked(packed)
    if total > limit:
        raise Refused(f"{path}: unpacks {packed} bytes to more than {limit}, as a bomb does; refusing the archive")


def check_count(count: int, path: Path, bounds: Bounds) -> None:
    """Raise Refused if there are too many members."""
    if count > bounds.members:
        raise Refused(f"{path}: more than {bounds.members} members; refusing the archive")
