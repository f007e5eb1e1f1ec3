"""Source kind `archive`: a zip, or a tar (plain, or packed by gzip, bzip2, xz or zstd), with class folders or a label table.

The kind of archive is told by its content. Nothing is unpacked to disk, one picture is in memory at a time, and what is kept
of each member is a few bytes. Order: as the members lie in the archive; then the rows of a table whose file is missing, as
records without bytes. source_id is the member's name; where a name comes again it gets `#2`, `#3` and so on.

With the layout `folders` in the card, an archive is read in one pass; else a first pass reads the names (and, of a packed tar,
unpacks all of it). Archives inside an archive and other files that are no pictures are passed over, and never written.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from pipelines.cards import Label, Source
from pipelines.sources import Look, RawRecord
from pipelines.sources.members import Bounds, Files, Refused, one_line
from pipelines.sources.reading import look_into, read_records
from pipelines.sources.tars import TarFiles, is_tar
from pipelines.sources.unpacking import open_packed, packing_of
from pipelines.sources.zip_directory import END
from pipelines.sources.zips import ZipFiles
from pipelines.transfer import Place
from pipelines.transfer.fetch import fetch, fetch_behind
from pipelines.transfer.locators import check_locator

WANTED = "expected a zip or a tar (plain, or packed by gzip, bzip2, xz or zstd)"
OTHERS = {
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"PAR1": "Parquet",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
}


def check(source: Source) -> None:
    """Raise ValueError if the card asks for what an archive cannot do."""
    check_locator(source.locator)
    check_label(source.label)
    if source.options:
        raise ValueError(f"source.options: an archive takes none, found {', '.join(sorted(map(str, source.options)))}")


def check_label(label: Label) -> None:
    """Raise ValueError if the label section of a source of files contradicts itself."""
    if label.layout == "folders" and (label.column or label.image_column or label.table or label.group_column):
        raise ValueError("source.label: columns go with the layouts table and meta_album, not with folders")
    if label.column is not None and label.column == label.image_column:
        raise ValueError(f"source.label: column and image_column are the same, {label.column!r}")
    if label.group_column is not None and label.group_column == label.image_column:
        raise ValueError(f"source.label: group_column and image_column are the same, {label.group_column!r}")


def records(source: Source, place: Place, bounds: Bounds | None = None) -> Generator[RawRecord, None, dict[str, object]]:
    """Yield the archive's records lazily; return `checksum` of the archive and `passed_over`, the files that make no record.

    Raises ValueError (one line: archive, member, what to do) if the archive is damaged, unsafe, a bomb or without pictures: a
    zip's directory is checked before the first record, a tar as it is read; TransferError as `transfer.fetch`.
    """
    path, settle = fetch_behind(source.locator, place, source.checksum)
    try:
        passed_over = yield from read_records(open_archive(path, bounds or Bounds()), source.label)
    except ValueError:
        settle()  # that it is another file than the lock or the card says goes before what is wrong inside
        raise
    return {"checksum": f"sha256:{settle().sha256}", "passed_over": passed_over}


def look(source: Source, place: Place) -> Look:
    """Classes, sizes and layout from the directory of a zip, or from one pass over a tar; no picture is decoded."""
    path = fetch(source.locator, place, source.checksum)
    return look_into(open_archive(path, Bounds()), source)


def open_archive(path: Path, bounds: Bounds) -> Files:
    """Open a zip or a tar, told apart by content. Raises ValueError (one line) if it is none or not to be read."""
    with path.open("rb") as handle:
        head = handle.read(512)
    if not head:
        raise Refused(f"{path}: the file is empty; get it again (delete it if it is a download)")
    if head.startswith(b"PK"):
        return ZipFiles(path, bounds)
    packing = packing_of(head)
    if packing is not None:
        return _packed_tar(path, packing, bounds)
    other = next((name for magic, name in OTHERS.items() if head.startswith(magic)), None)
    if other is not None:
        raise Refused(f"{path}: {WANTED}, found {other}")
    if is_tar(head):
        return TarFiles(path, None, bounds)
    if _ends_as_zip(path):
        return ZipFiles(path, bounds)  # behind a program that unpacks it, which nobody runs
    raise Refused(f"{path}: {WANTED}, found none of them; get it again or mend source.locator")


def _packed_tar(path: Path, packing: str, bounds: Bounds) -> Files:
    with one_line(path), closing(open_packed(path, packing)) as stream:
        head = stream.read(512)
    if not is_tar(head):
        raise Refused(f"{path}: {WANTED}, found a single file packed by {packing}; unpack it first")
    return TarFiles(path, packing, bounds)


def _ends_as_zip(path: Path) -> bool:
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - (1 << 16) - END.size))
        return b"PK\x05\x06" in handle.read()
