"""Writing so that a reader never sees half a file: temporary name, fsync, rename."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)\.(?P<kind>part|old)")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success it is synced and renamed, on any error it is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale, pid in _beside(target, "part"):
        if not _is_alive(pid):
            stale.unlink(missing_ok=True)  # left by a killed run
    temporary = _name_beside(target, "part")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; on success it takes the place of `target`, on any error it is removed.

    `target` is at all times a whole folder or none: what a killed run left beside it goes first, and the former folder is put
    back where the kill fell between moving it aside and the new one taking its place.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for former, _ in _beside(target, "old"):
        former.rename(target if not target.exists() else former.with_suffix(".part"))
    for stale, _ in _beside(target, "part"):
        shutil.rmtree(stale)
    temporary = _name_beside(target, "part")
    temporary.mkdir()
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            if path.is_file():
                with path.open("rb") as handle:
                    os.fsync(handle.fileno())
        _take_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_place(new: Path, target: Path) -> None:
    """Rename the new folder to `target`, then remove the former one, which takes its time and so has another name by then."""
    former = _name_beside(target, "old")
    if target.exists():
        target.rename(former)
    try:
        new.rename(target)
    except OSError:
        if former.exists():
            former.rename(target)
        raise
    if former.exists():
        former.rename(new)
        shutil.rmtree(new)


def _name_beside(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{kind}")


def _beside(target: Path, kind: str) -> list[tuple[Path, int]]:
    """Temporary paths of `target` and the processes that named them."""
    with os.scandir(target.parent) as entries:
        found = [TEMPORARY.fullmatch(entry.name) for entry in entries if entry.name.startswith(f".{target.name}.")]
    ours = [match for match in found if match and match["name"] == target.name and match["kind"] == kind]
    return sorted((target.with_name(match[0]), int(match["pid"])) for match in ours)


def abandoned(folder: Path, wanted: Container[str]) -> list[Path]:
    """What killed runs left in a folder: temporary files and folders of processes that are gone.

    A former folder that is all that is left of one in `wanted` is not among them: the next run puts it back.
    """
    if not folder.is_dir():
        return []
    found = [(path, TEMPORARY.fullmatch(path.name)) for path in sorted(folder.iterdir())]
    return [
        path
        for path, match in found
        if match
        and not _is_alive(int(match["pid"]))
        and (match["kind"] == "part" or match["name"] not in wanted or (folder / match["name"]).exists())
    ]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


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
