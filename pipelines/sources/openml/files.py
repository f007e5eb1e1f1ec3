"""The files of an OpenML data set, brought and kept by `transfer`.

Not by the openml package's `download_all_files`: it begins a file anew after each break, unpacks without bounds, and takes
the folder of a run that was killed while unpacking for whole. What is kept is used only if a note says that all came.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import NamedTuple, TypeVar

from pipelines.files import write_json
from pipelines.sources.members import is_picture, is_table
from pipelines.transfer import Pin, Place, TransferError
from pipelines.transfer.expected import Expected
from pipelines.transfer.fetch import fetch_all
from pipelines.transfer.locators import shown
from pipelines.transfer.retry import persist

Result = TypeVar("Result")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


class Described(NamedTuple):
    """A data set as OpenML describes it. `table` is the URL of its table; all its other files lie beside that."""

    name: str
    version: str
    status: str
    table: str
    description: str
    licence: str
    citation: str
    homepage: str
    md5_checksum: str  # of the table in ARFF, which holds no picture


class Remote(NamedTuple):
    """A file in the object store. `name` is its path below the data set's folder, `md5` of the content where it is known."""

    name: str
    url: str
    size: int
    md5: str | None


class Brought(NamedTuple):
    """A data set that is here: its files with their paths, and what all of them are together."""

    described: Described
    files: list[tuple[str, Path]]
    pin: Pin


class Note(NamedTuple):
    """What was asked of the server and came whole. `sums` are the SHA-256 of the files."""

    server: str
    described: Described
    files: list[Remote]
    sums: list[str]


def bring(number: int, server: str, place: Place) -> Brought:
    """The data set's pictures with their table: kept ones if they are here whole, else from the server, where a break left off.

    Raises ValueError (one line) if it is unknown, holds no pictures or (offline) is not here, SourceChanged if it is not
    what the lock says, TransferError where another attempt may help.
    """
    path = place.downloads / "openml" / f"{number}.json"
    note = None if place.rules.update else _read_note(path, server)
    if note is None:
        note = _ask(number, server, place)
    paths = fetch_all([file.url for file in note.files], place)
    sums = [place.came[shown(file.url)].sha256 for file in note.files]
    for file, kept, now, then in zip(note.files, paths, sums, note.sums, strict=True):
        if now != then:
            _verify(file, kept)
    pin = _pin(note.files, sums)
    _check(number, pin, place)
    if len(note.files) > 1:  # loose pictures are pinned together
        for file in note.files:
            del place.came[shown(file.url)]
    if sums != note.sums:
        write_json(path, note._replace(sums=sums))
    return Brought(note.described, [(file.name, kept) for file, kept in zip(note.files, paths, strict=True)], pin)


def _ask(number: int, server: str, place: Place) -> Note:
    if place.rules.offline:
        raise ValueError(f"OpenML data set {number} is not here whole, and offline nothing is fetched; run once without it")
    from pipelines.sources.openml.api import describe  # here: the packages behind these take seconds to import
    from pipelines.sources.openml.store import list_files

    name = f"OpenML data set {number} at {shown(server)}"
    try:
        described = _persist(lambda: describe(number, server, place), place, name)
        listed = _persist(lambda: list_files(number, described.table, place), place, name)
    except TransferError as error:
        raise TransferError(f"{name}: {error}") from None
    files = _pictures(number, listed)
    return Note(server, described, files, [""] * len(files))


def _persist(ask: Callable[[], Result], place: Place, name: str) -> Result:
    return persist(ask, place, stopped=Event(), reached=lambda: 0, name=name)


def _pictures(number: int, files: list[Remote]) -> list[Remote]:
    """Those files that make records: one archive, else the pictures and what describes them."""
    archives = [file for file in files if file.name.lower().endswith(ARCHIVES)]
    loose = [file for file in files if is_picture(file.name) or is_table(file.name)]
    if len(archives) == 1 and not loose:
        return archives
    found = ", ".join(repr(file.name) for file in files[:5]) or "nothing"
    if archives:
        raise ValueError(f"OpenML data set {number}: expected one archive or loose pictures, found {found}")
    if not any(is_picture(file.name) for file in loose):
        raise ValueError(f"OpenML data set {number} holds no images/ folder: beside its table there is {found}")
    return loose


def _verify(file: Remote, path: Path) -> None:
    """Raise TransferError, and let the file go, if it is not what the object store listed."""
    with path.open("rb") as handle:
        md5 = hashlib.file_digest(handle, "md5").hexdigest()
    if path.stat().st_size != file.size or file.md5 not in (None, md5):
        path.unlink()
        raise TransferError(f"{shown(file.url)}: came with another size or MD5 than listed; it was let go, fetch it anew")


def _pin(files: Iterable[Remote], sums: Iterable[str]) -> Pin:
    """Bytes of all, and the SHA-256 of a list of names, sizes and sums."""
    lines = sorted((file.name, file.size, checksum) for file, checksum in zip(files, sums, strict=True))
    text = "".join(f"{name}\t{size}\t{checksum}\n" for name, size, checksum in lines)
    return Pin(sum(size for _, size, _ in lines), hashlib.sha256(text.encode()).hexdigest())


def _check(number: int, pin: Pin, place: Place) -> None:
    """Note the pin. Raises SourceChanged if the lock says another and that is not to be replaced."""
    name = f"openml:{number}"
    locked = None if place.rules.update else place.pinned.get(name)
    Expected(name, place.domain or "DOMAIN", locked, None).check(pin)
    place.came[name] = pin


def _read_note(path: Path, server: str) -> Note | None:
    """The note of an earlier run, if it is whole and of this server."""
    try:
        where, described, files, sums = json.loads(path.read_text(encoding="utf-8"))
        note = Note(where, Described(*described), [Remote(*file) for file in files], sums)
        whole = note.server == server and len(files) == len(sums) > 0
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return note if whole else None
