"""Source kind `openml`: a picture data set of OpenML by its id, such as those of Meta-Album (`locator: "44241"`).

The openml package asks the server; the files beside the data set's table are fetched as all files are: resumed, checked and
kept. They are one archive, read without unpacking, or loose pictures; records and their order are those of the archive's or
the folder's kind. The server is `options.server`, else OPENML_SERVER, else OpenML's; a key comes from OPENML_APIKEY.
"""

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from pipelines.cards import Source
from pipelines.sources import Look, RawRecord
from pipelines.sources.archive import check_label, open_archive
from pipelines.sources.members import Bounds, Chosen, Files, check_size, is_picture, safe_name
from pipelines.sources.openml.address import OFFICIAL, server_of
from pipelines.sources.openml.files import Brought, bring
from pipelines.sources.reading import look_into, read_records
from pipelines.transfer import Place


def check(source: Source) -> None:
    """Raise ValueError if the card asks for what a data set of OpenML cannot do."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", source.locator):
        raise ValueError(f"source.locator: expected the id of an OpenML data set, such as '44241', found {source.locator!r}")
    check_label(source.label)
    if source.checksum is not None:
        raise ValueError("source.checksum: goes with a single file; an OpenML data set is pinned as a whole when it is fetched")
    others = sorted(set(map(str, source.options)) - {"server"})
    if others:
        raise ValueError(f"source.options: OpenML takes server alone, found {', '.join(others)}")
    server_of(source.options)


def records(source: Source, place: Place, bounds: Bounds | None = None) -> Generator[RawRecord, None, dict[str, object]]:
    """Yield the data set's records lazily; return `passed_over`, and the `name`, `version` and `md5_checksum` of OpenML.

    Raises ValueError (one line) if the data set is unknown, private, withdrawn, without pictures, damaged or (offline) not
    here, SourceChanged if it is not what the lock says, TransferError where another attempt may help.
    """
    found = bring(int(source.locator), server_of(source.options), place)
    passed_over = yield from read_records(_open(found, place, bounds or Bounds()), source.label)
    said = found.described
    return {"passed_over": passed_over, "name": said.name, "version": said.version, "md5_checksum": said.md5_checksum}


def look(source: Source, place: Place) -> Look:
    """Title, licence and citation of OpenML, classes and layout from names and tables; the files are fetched and kept."""
    server = server_of(source.options)
    found = bring(int(source.locator), server, place)
    seen = look_into(_open(found, place, Bounds()), source)
    said = found.described
    here = f"https://www.openml.org/d/{source.locator}" if server == OFFICIAL else None
    return seen._replace(
        said=[f"OpenML calls data set {source.locator} {said.name!r}, version {said.version}", *seen.said],
        title=said.name or seen.title,
        description=seen.description or " ".join(said.description.split()) or None,
        licence=said.licence or None,
        citation=" ".join(said.citation.split()) or None,
        homepage=said.homepage or here,
    )


def _open(found: Brought, place: Place, bounds: Bounds) -> Files:
    if len(found.files) == 1 and not is_picture(found.files[0][0]):
        return open_archive(found.files[0][1], bounds)
    return Loose(place.downloads, found.files, bounds)


class Loose:
    """Pictures that came one by one. See `members.Files`; `path` is where they are kept, under other names."""

    def __init__(self, path: Path, files: list[tuple[str, Path]], bounds: Bounds) -> None:
        self.path = path
        self.bounds = bounds
        self.skipped = 0
        self._files = sorted((safe_name(name, path), kept) for name, kept in files)

    def listing(self, keep: Callable[[str, int], bool]) -> Iterator[tuple[str, int, bytes | None]]:
        """Name and bytes of each file, sorted by name."""
        for name, kept in self._files:
            size = kept.stat().st_size
            check_size(name, size, self.path, self.bounds)
            yield name, size, kept.read_bytes() if keep(name, size) else None

    def read(self, choose: Callable[[str], Chosen]) -> Iterator[tuple[str, Chosen, bytes]]:
        """Name, choice and content of each file that is chosen, sorted by name."""
        for name, kept in self._files:
            if choice := choose(name):
                yield name, choice, kept.read_bytes()
