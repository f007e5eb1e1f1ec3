"""Source kind `archive`: a zip, tar or tar.gz with one folder a class, or in the layout of Meta-Album.

The kind of archive is told by its content. Nothing is unpacked to disk, and one picture is in memory at a time. Order: a zip
by member name, a tar as packed; then the rows of labels.csv whose file is missing, as records without bytes. source_id is the
member's name; where a name comes again it gets `#2`, `#3` and so on.
"""

from collections import Counter
from collections.abc import Generator
from pathlib import Path

from pipelines.cards import Source
from pipelines.files import sha256_file
from pipelines.sources import RawRecord
from pipelines.sources.layouts import plan
from pipelines.sources.members import Archive, Bounds, Refused
from pipelines.sources.tars import TarArchive, is_tar
from pipelines.sources.zips import ZipArchive
from pipelines.transfer import Place
from pipelines.transfer.fetch import fetch
from pipelines.transfer.locators import check_locator

OTHERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "Parquet",
}


def check(source: Source) -> None:
    """Raise ValueError if the card asks for what an archive cannot do."""
    check_locator(source.locator)
    if source.options:
        raise ValueError(f"source.options: an archive takes none, found {', '.join(sorted(map(str, source.options)))}")
    if source.label.layout == "folders" and (source.label.column or source.label.image_column):
        raise ValueError("source.label: columns go with the layout meta_album, not with folders")


def records(source: Source, place: Place, bounds: Bounds | None = None) -> Generator[RawRecord, None, dict[str, object]]:
    """Yield the archive's records lazily; return `checksum` of the archive and `passed_over`, the files that make no record.

    Raises ValueError (one line: archive, member, what to do) before the first record if the archive is damaged in its
    directory, unsafe, a bomb or without pictures, later if a member's content is damaged; TransferError as `transfer.fetch`.
    """
    path = fetch(source.locator, place, source.checksum)
    archive = open_archive(path, bounds or Bounds())
    found = plan(archive, source.label)
    names = SourceIds()
    for name, data in archive.read(found.labels.keys()):
        for label in found.labels[name]:
            yield RawRecord(names.give(name), label, data)
    for name, label in found.missing:
        yield RawRecord(names.give(name), label, b"")
    checksum = source.checksum or f"sha256:{sha256_file(path)}"
    return {"checksum": checksum, "passed_over": found.passed_over}


def open_archive(path: Path, bounds: Bounds) -> Archive:
    """Open a zip, tar or tar.gz, told apart by content. Raises ValueError (one line) if it is none or not to be read."""
    with path.open("rb") as handle:
        head = handle.read(512)
    if not head:
        raise Refused(f"{path}: the file is empty; get it again (delete it if it is a download)")
    if head.startswith(b"PK"):
        return ZipArchive(path, bounds)
    if head.startswith(b"\x1f\x8b"):
        return TarArchive(path, True, bounds)
    other = next((name for magic, name in OTHERS.items() if head.startswith(magic)), None)
    if other is not None:
        raise Refused(f"{path}: expected a zip, tar or tar.gz, found {other}")
    if not is_tar(head):
        raise Refused(f"{path}: expected a zip, tar or tar.gz, found none of them; get it again or mend source.locator")
    return TarArchive(path, False, bounds)


class SourceIds:
    """Gives each record a name of its own: the member's name, from its second time on with `#2` and so on.

    A made-up name never meets a member's: those end in a picture's suffix.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def give(self, name: str) -> str:
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"
