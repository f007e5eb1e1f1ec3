"""Make DVC see a damaged file. It goes by size and time of change, and a bit that a disk flips changes neither."""

import hashlib
import os
from pathlib import Path

from pipelines.layout import Layout


def look_again(path: Path, layout: Layout) -> None:
    """Let the next `dvc repro` read this file again, if it is there, and not put it back from a damaged copy.

    DVC trusts the copies in its cache. With `cache.type` hardlink or symlink file and copy are one, so both are damaged.
    """
    if not path.exists():
        return
    for copy in _damaged_copies(layout.dvc_cache, path.stat().st_size):
        copy.unlink()
    if path.exists():
        os.utime(path)
    else:
        path.unlink()  # a link to nothing now


def _damaged_copies(cache: Path, size: int) -> list[Path]:
    """Files of this size in a cache whose name is not the MD5 of what they hold."""
    return [copy for copy in cache.glob("??/*") if copy.stat().st_size == size and copy.parent.name + copy.name != _md5(copy)]


def _md5(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
