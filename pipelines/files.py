"""Writing so that a reader never sees half a file: temporary name, fsync, rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success it is synced and renamed, on any error it is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; on success it takes the place of `target`, on any error it is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*.part"):
        shutil.rmtree(stale)  # left by a killed run
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    temporary.mkdir()
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            if path.is_file():
                with path.open("rb") as handle:
                    os.fsync(handle.fileno())
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(target: Path, data: bytes) -> None:
    """Replace `target` by `data` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Replace `target` by `text` (UTF-8) atomically."""
    write_bytes(target, text.encode())


def write_json(target: Path, value: Any) -> None:
    """Replace `target` by readable JSON with sorted keys, so equal values give equal bytes."""
    write_text(target, json_text(value))


def json_text(value: Any) -> str:
    """Readable JSON with sorted keys."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_json(path: Path) -> Any:
    """Read JSON. Raises ValueError naming the file if it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run `dvc repro`") from None


def joint_checksum(sums: Sequence[tuple[str, str]]) -> str:
    """`sha256:` of files by name and hex SHA-256: of one its own, of several that of their lines `<sha256>  <name>`."""
    if len(sums) == 1:
        return f"sha256:{sums[0][1]}"
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
