"""What archives and folders share: bounds against bombs, names that stay in their folder, and which files are pictures."""

import errno
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa

PICTURE = re.compile(
    r".+\.(?:jpe?g|jpe|jfif|png|gif|bmp|dib|webp|tiff?|p[pgbn]m|tga|ico|avif|hei[cf]|jp2|j2k)", re.IGNORECASE | re.DOTALL
)
PACKED = re.compile(r".+\.(?:zip|tar|tgz|tbz2?|txz|tzst|gz|bz2|xz|zst|7z|rar)", re.IGNORECASE | re.DOTALL)
SUSPECT = re.compile(r"[\\\0]|\.\.|\A/|\A[A-Za-z]:")  # a name without any of these stays in its folder
LONGEST_SAID, MOST_SAID = 300, 12  # characters of a name and names of a list in a message
TABLES = ("labels.csv", "info.json")  # what the Meta-Album layout says about its pictures

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    pa.ArrowException,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    RecursionError,  # a chain of extended tar headers
    TypeError,
)  # what the libraries raise on a crafted or cut archive

Chosen = TypeVar("Chosen")


class Refused(ValueError):
    """An archive that we do not read, with the reason for its user."""


@dataclass(frozen=True)
class Bounds:
    """How large an archive may become. `ratio` (unpacked to packed bytes) holds from `ratio_floor` bytes on."""

    picture_bytes: int = 64 << 20
    table_bytes: int = 256 << 20  # of all label tables together, and of all names where a table needs them
    total_bytes: int = 64 << 30
    members: int = 5_000_000
    ratio: int = 200
    ratio_floor: int = 64 << 20

    def unpacked(self, packed: int) -> int:
        """Bytes that an archive of `packed` bytes may unpack to."""
        return min(self.total_bytes, max(self.ratio_floor, self.ratio * packed))


class Files(Protocol):
    """An archive or a folder as a row of files. Its walks raise ValueError (one line) for what is damaged, unsafe or a bomb."""

    path: Path
    bounds: Bounds
    skipped: int  # what the walk so far left out without a name: links, devices and hidden files of a folder

    def listing(self, keep: Callable[[str, int], bool]) -> Iterator[tuple[str, int, bytes | None]]:
        """Name and bytes of each file, in the order of `read`; the content too where `keep(name, bytes)` says so."""
        ...

    def read(self, choose: Callable[[str], Chosen]) -> Iterator[tuple[str, Chosen, bytes]]:
        """Name, choice and content of each file for which `choose(name)`, called once a file, gives something true."""
        ...


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turn what damage makes a library raise into a ValueError of one line; trouble of the disk passes."""
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
    if SUSPECT.search(name):
        forward = name.replace("\\", "/")
        if forward.startswith("/") or re.match(r"[A-Za-z]:", forward) or ".." in forward.split("/") or "\0" in forward:
            raise Refused(f"{path}: member {name!r} would leave its folder; refusing the archive")
    return name if name.isascii() else clean_text(name)


def clean_text(name: str) -> str:
    """The name with U+FFFD for what is no text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def plain(text: str) -> str:
    """The text as a message may hold it: what is not to be printed is escaped, and what is long is cut."""
    text = text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}..."
    return text if text.isprintable() else repr(text)[1:-1]


def listed(names: Iterable[str]) -> str:
    """The first names, as a message may hold them."""
    few = list(islice(names, MOST_SAID + 1))
    more = ", ..." if len(few) > MOST_SAID else ""
    return ", ".join(map(plain, few[:MOST_SAID])) + more or "none"


def parts(name: str) -> list[str]:
    """Folders and file of a member's name."""
    pieces = name.replace("\\", "/").split("/")
    if "" in pieces or "." in pieces:
        return [piece for piece in pieces if piece not in ("", ".")]
    return pieces


def is_picture(name: str) -> bool:
    """Whether the suffix is a picture's, in any case; hidden files and those of `__MACOSX/` are none."""
    return picture_parts(name) is not None


def picture_parts(name: str) -> list[str] | None:
    """Folders and file of a picture's name; None for what is no picture."""
    pieces = parts(name)
    if not pieces or PICTURE.fullmatch(pieces[-1]) is None or is_hidden(pieces):
        return None
    return pieces


def is_hidden(pieces: list[str]) -> bool:
    """Whether a file or a folder on its way is hidden or macOS's (`.x`, `__MACOSX/`)."""
    return "__MACOSX" in pieces or "/." in f"/{'/'.join(pieces)}"


def is_packed(name: str) -> bool:
    """Whether this file is itself an archive, or a packed file."""
    pieces = parts(name)
    return bool(pieces) and PACKED.fullmatch(pieces[-1]) is not None and not is_hidden(pieces)


def is_table(name: str) -> bool:
    """Whether this file is one of Meta-Album's tables."""
    pieces = parts(name)
    return bool(pieces) and pieces[-1] in TABLES and not is_hidden(pieces)


def check_size(name: str, size: int, path: Path, bounds: Bounds) -> None:
    """Raise Refused if a member that we would read says that it is too large."""
    if 0 <= size <= bounds.picture_bytes:
        return
    if not 0 <= size < 1 << 63:
        raise Refused(f"{path}: member {name!r} says that it has {size} bytes; refusing the archive")
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
