"""Archives and folders made for tests, and what their source says of them."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
from drained import drained

from pipelines.cards import Label, Source
from pipelines.sources import Look, RawRecord, archive, folder
from pipelines.transfer import Place

Files = list[tuple[str, bytes]]
KINDS = ["x.zip", "x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "x.tar.zst"]


def tar_bytes(files: Files) -> bytes:
    """A plain tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def pack(path: Path, files: Files) -> Path:
    """Write files as the kind that the suffix names; a path without one becomes a folder."""
    if not path.suffix:
        for name, data in files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in files:
                packed.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    elif path.suffix == ".zst":
        with pa.output_stream(str(path), compression="zstd") as stream:
            stream.write(tar_bytes(files))
    else:
        packers: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
        path.write_bytes(packers.get(path.suffix, bytes)(tar_bytes(files)))
    return path


def stream(path: Path, label: Label | None = None) -> Generator[RawRecord, None, dict[str, object]]:
    """The records of an archive or a folder, one by one."""
    found: Generator[RawRecord, None, dict[str, object]] = _kind(path).records(_source(path, label), _place(path))
    return found


def read(path: Path, label: Label | None = None) -> tuple[list[RawRecord], dict[str, object]]:
    """All records of an archive or a folder, and what the source returns at its end."""
    return drained(stream(path, label))


def look(path: Path, label: Label | None = None) -> Look:
    """What a look at an archive or a folder finds."""
    found: Look = _kind(path).look(_source(path, label), _place(path))
    return found


def _kind(path: Path) -> ModuleType:
    return folder if path.is_dir() else archive


def _source(path: Path, label: Label | None) -> Source:
    return Source(kind="folder" if path.is_dir() else "archive", locator=path.name, label=label or Label())


def _place(path: Path) -> Place:
    return Place(path.parent, path.parent / "downloads")
