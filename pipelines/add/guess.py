"""Which kind of source something is, told by what it holds: a listing, the first bytes, the first members of a tar."""

import os
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.add.address import Address, shards_locator
from pipelines.secrets import redact
from pipelines.sources.members import is_picture, one_line
from pipelines.sources.tars import is_tar
from pipelines.sources.unpacking import packing_of
from pipelines.transfer.locators import shown

PACKED = {"gzip": "tar.gz", "bzip2": "tar.bz2", "xz": "tar.xz", "zstd": "tar.zst"}
SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` of package datasets writes
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
SHARDS = (".tar", ".tar.gz", ".tgz")
MEMBERS, MEMBER_BYTES = 300, 256 << 20  # of a tar that a guess looks at
FILES = 20_000  # of a folder that a guess looks at


class Guess(NamedTuple):
    """`what` it is in a few words, for the user."""

    kind: str
    locator: str
    what: str


def guess_kind(address: Address, folder: Path, fetched: Callable[[str], Path]) -> Guess:
    """The kind of source that an address names. `folder` is where relative locators start; `fetched` brings a URL's file.

    Raises ValueError (one line) if it is none, or may be two: then it names the choices of `--kind`.
    """
    name = shown(address.locator)
    if address.form == "openml":
        return Guess("openml", address.locator, f"OpenML data set {name}")
    if address.form == "hub":
        return Guess("huggingface", address.locator, f"data set {name} of the Hugging Face Hub")
    if address.form == "pattern":
        return _of_pattern(address.locator)
    if address.path is not None and address.path.is_dir():
        return _of_folder(address.path, address.locator, folder)
    kind, what = _of_file(address.path or fetched(address.locator), name)
    return Guess(kind, address.locator, what)


def as_kind(kind: str, address: Address, folder: Path) -> Guess:
    """What the user says it is. Raises ValueError if no such thing can be of that kind."""
    if kind == "webdataset" and address.path is not None and address.path.is_dir():
        return Guess(kind, _shards_in(address.path, folder), f"{kind}, as --kind says")
    return Guess(kind, address.locator, f"{kind}, as --kind says")


def _of_pattern(locator: str) -> Guess:
    low = locator.lower()
    if low.partition("?")[0].endswith(SHARDS):
        return Guess("webdataset", locator, "a pattern of tar shards")
    if low.endswith((".parquet", ".arrow")):
        return Guess("huggingface", locator, "a pattern of Parquet or Arrow files")
    raise ValueError(f"{shown(locator)}: a pattern is for tar shards or Parquet files; name one file, a folder, or say --kind")


def _of_file(path: Path, name: str) -> tuple[str, str]:
    if not path.is_file():
        raise ValueError(f"{name}: expected a file or a folder, found a device or a pipe")
    with path.open("rb") as handle:
        head = handle.read(1024)
    if not head:
        raise ValueError(f"{name}: the file is empty")
    if head.startswith(b"PK"):
        return "archive", "a zip"
    if head.startswith(b"PAR1"):
        return _of_parquet(path, name)
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "huggingface", "an Arrow file"
    packing = PACKED.get(packing_of(head) or "", "tar" if is_tar(head) else None)
    if packing is not None:
        return _of_tar(path, name, packing)
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise ValueError(f"{name}: gives a web page, not data; give the address of the file itself")
    if b"\0" not in head and Path(name.partition("?")[0]).suffix.lower() in (*TABLES, "", ".txt"):
        return "urls", "a table"
    if is_picture(name):
        raise ValueError(f"{name}: a single picture; give the folder that holds one folder a class")
    raise ValueError(f"{name}: expected a zip, a tar, a Parquet or Arrow file or a table; if it is one, say which by --kind")


def _of_parquet(path: Path, name: str) -> tuple[str, str]:
    """Pictures are stored as bytes, alone or in a struct; a table of addresses has texts alone."""
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{name}: not readable as Parquet ({redact(' '.join(str(error).split()))[:120]})") from None
    holds = any(
        pa.types.is_struct(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_nested(kind)
        for kind in schema.types
    )
    return ("huggingface", "a Parquet file with pictures") if holds else ("urls", "a Parquet table without pictures")


def _of_tar(path: Path, name: str, packing: str) -> tuple[str, str]:
    """Samples have their label beside the picture under the same name; an archive has a folder a class."""
    suffixes: dict[str, set[str]] = defaultdict(set)
    try:
        with one_line(path):
            for member in islice(_names(path), MEMBERS):
                parent, slash, file = member.rpartition("/")
                key, _, suffix = file.partition(".")
                suffixes[f"{parent}{slash}{key}"].add(suffix.lower())
    except ValueError:  # the archive's own reader says what is wrong with it
        return "archive", f"a {packing}"
    samples = [key for key, found in suffixes.items() if any(is_picture(f"x.{s.rpartition('.')[2]}") for s in found)]
    beside = {word: sum(word in suffixes[key] for key in samples) for word in ("cls", "json", "txt")}
    if not any(beside.values()):
        return "archive", f"a {packing}"
    folders = {key.rpartition("/")[0] for key in samples}
    if not beside["cls"] and len(folders) > 1:
        raise ValueError(
            f"{name}: a tar of pictures in {len(folders)} folders with a text beside each: could be class folders or samples; "
            "say --kind archive or --kind webdataset"
        )
    labelled = " and ".join(word for word, count in beside.items() if count)
    return "webdataset", f"a {packing} of samples, each picture with its {labelled}"


def _names(path: Path) -> Iterator[str]:
    """Names of a tar's files, as long as reading on is cheap."""
    with tarfile.open(path, "r:*") as archive:
        size = 0
        while size < MEMBER_BYTES and (info := archive.next()) is not None:
            size += info.size
            if info.isfile():
                yield info.name


def _of_folder(path: Path, locator: str, folder: Path) -> Guess:
    if any((path / name).is_file() for name in SAVED):
        return Guess("huggingface", locator, "a folder that `save_to_disk` wrote")
    found = Counter(map(_sort, islice(_files(path), FILES)))
    sorts = [sort for sort in ("pictures", "Parquet or Arrow files", "tars") if found[sort]]
    if len(sorts) > 1:
        choices = {"pictures": "folder", "Parquet or Arrow files": "huggingface", "tars": "webdataset"}
        raise ValueError(
            f"{locator}: holds {' and '.join(f'{found[sort]} {sort}' for sort in sorts)}; "
            f"say {' or '.join(f'--kind {choices[sort]}' for sort in sorts)}"
        )
    if found["pictures"]:
        return Guess("folder", locator, "a folder of pictures")
    if found["Parquet or Arrow files"]:
        return Guess("huggingface", locator, "a folder of Parquet or Arrow files")
    if found["tars"]:
        return Guess("webdataset", _shards_in(path, folder), f"a folder of {found['tars']} tar shards")
    inside = next((str(file) for file in _files(path) if _sort(file.name) != "others"), "")
    hint = f"give what it holds instead: {inside}" if inside else "expected pictures, Parquet files or tar shards"
    raise ValueError(f"{locator}: holds no picture; {hint}")


def _shards_in(path: Path, folder: Path) -> str:
    files = sorted(file for file in path.iterdir() if file.is_file() and file.name.lower().endswith(SHARDS))
    if not files:
        raise ValueError(f"{path}: holds no tar itself; give a pattern such as {path}/*/*.tar")
    return shards_locator(files, folder)


def _sort(name: str | Path) -> str:
    low = str(name).lower()
    if is_picture(low):
        return "pictures"
    if low.endswith((".parquet", ".arrow")):
        return "Parquet or Arrow files"
    if low.endswith(SHARDS):
        return "tars"
    return "archives" if low.endswith((".zip", *TABLES)) else "others"


def _files(path: Path) -> Iterator[Path]:
    """The files below a folder in the order of their names; hidden ones are left out."""
    for at, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(at) / name for name in sorted(files) if not name.startswith("."))
