"""Source kind `folder`: a local folder with one folder a class, or with a label table beside its pictures.

The locator is a path from sources_folder on, an absolute one, or a `file:` URL. Files are read in the order of their paths, one
at a time; source_id is the path from the folder on. Links, devices and hidden files are passed over and never followed.
"""

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.cards import Source
from pipelines.sources import Look, RawRecord
from pipelines.sources.archive import check_label
from pipelines.sources.members import Bounds, Chosen, Refused, clean_text, is_hidden
from pipelines.sources.reading import look_into, read_records
from pipelines.transfer import Place
from pipelines.transfer.locators import path_of, scheme_of, shown

CHANGING = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


def check(source: Source) -> None:
    """Raise ValueError if the card asks for what a folder cannot do."""
    if scheme_of(source.locator) not in ("", "file"):
        raise ValueError(f"source.locator: expected the path of a folder or a file: URL, found {shown(source.locator)!r}")
    check_label(source.label)
    if source.checksum is not None:
        raise ValueError("source.checksum: goes with a single file; what a folder holds is pinned by its records")
    if source.options:
        raise ValueError(f"source.options: a folder takes none, found {', '.join(sorted(map(str, source.options)))}")


def records(source: Source, place: Place, bounds: Bounds | None = None) -> Generator[RawRecord, None, dict[str, object]]:
    """Yield the folder's records lazily; return `passed_over`, the files that make no record.

    Raises ValueError (one line) if there is no such folder, no picture with a class, or a file that cannot be read.
    """
    folder = FolderFiles(folder_of(source.locator, place.folder), bounds or Bounds())
    passed_over = yield from read_records(folder, source.label)
    return {"passed_over": passed_over}


def look(source: Source, place: Place) -> Look:
    """Classes, sizes and layout from names and tables; no picture is opened."""
    return look_into(FolderFiles(folder_of(source.locator, place.folder), Bounds()), source)


def folder_of(locator: str, base: Path) -> Path:
    """The folder that a locator names. Raises ValueError if there is none."""
    path = path_of(locator, base)
    if path.is_file():
        raise ValueError(f"{path}: expected a folder, found a file; archives are of the kind archive")
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder; relative locators start at sources_folder of the parameters ({base})")
    return path


class FolderFiles:
    """See `members.Files`."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path = path
        self.bounds = bounds
        self.skipped = 0

    def listing(self, keep: Callable[[str, int], bool]) -> Iterator[tuple[str, int, bytes | None]]:
        """Name and bytes of each file, sorted by name."""
        for inside in self._walk():
            with self._in_words(inside):
                size = (self.path / inside).lstat().st_size
            name = clean_text(inside)
            yield name, size, self._content(inside, size) if keep(name, size) else None

    def read(self, choose: Callable[[str], Chosen]) -> Iterator[tuple[str, Chosen, bytes]]:
        """Name, choice and content of each file that is chosen, sorted by name."""
        for inside in self._walk():
            name = clean_text(inside)
            if choice := choose(name):
                yield name, choice, self._content(inside, self.bounds.picture_bytes)

    def _walk(self) -> Iterator[str]:
        """The path of every regular file, sorted; one list of names a level is in memory."""
        self.skipped = 0
        count = 0
        levels = [iter(self._names(""))]
        while levels:
            inside = next(levels[-1], None)
            if inside is None:
                levels.pop()
            elif inside.endswith("/"):
                levels.append(iter(self._names(inside)))
            else:
                count += 1
                self._check_count(count)
                yield inside

    def _names(self, inside: str) -> list[str]:
        """The paths in a folder, folders with a slash at their end, sorted."""
        found = []
        with self._in_words(inside), os.scandir(self.path / inside) as entries:
            for entry in entries:
                if is_hidden([entry.name]) or "\\" in entry.name:  # a backslash would pass for a folder
                    self.skipped += 1
                elif entry.is_dir(follow_symlinks=False):
                    found.append(f"{inside}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    found.append(f"{inside}{entry.name}")
                else:
                    self.skipped += 1
                self._check_count(len(found))
        return sorted(found)

    def _content(self, inside: str, limit: int) -> bytes:
        """What a file holds; what took its place since it was listed, a link or a pipe, is not followed."""
        with self._in_words(inside):
            number = os.open(self.path / inside, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(number, "rb", buffering=0) as handle:
                about = os.fstat(number)
                if not stat.S_ISREG(about.st_mode):
                    raise Refused(f"{self.path}: {clean_text(inside)!r} is no longer a file; try again when nothing changes it")
                if about.st_size > limit:
                    raise Refused(
                        f"{self.path}: {clean_text(inside)!r} has {about.st_size} bytes, more than the limit of {limit}"
                    )
                data = handle.read(about.st_size + 1)
                if len(data) != about.st_size:
                    raise Refused(f"{self.path}: {clean_text(inside)!r} is being written; try again when nothing changes it")
                return data

    def _check_count(self, count: int) -> None:
        if count > self.bounds.members:
            raise Refused(f"{self.path}: holds more than {self.bounds.members} files")

    @contextmanager
    def _in_words(self, inside: str) -> Iterator[None]:
        """Say which file could not be read; trouble of the disk passes."""
        try:
            yield
        except CHANGING as error:
            raise Refused(f"{self.path}: {clean_text(inside)!r} cannot be read ({error.strerror})") from None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link took its place
                raise Refused(f"{self.path}: {clean_text(inside)!r} is no longer a file; try again") from None
            raise
