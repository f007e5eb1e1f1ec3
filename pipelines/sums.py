"""SHA256SUMS: the digests of a folder's files in the form that `sha256sum -c` reads."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from pipelines.files import sha256_file, write_text

SUMS = "SHA256SUMS"


def sums_of(folder: Path) -> dict[str, str]:
    """The digest of every other file of a folder, by name."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    return {name: sha256_file(folder / name) for name in names}


def sums_text(digests: Mapping[str, str]) -> str:
    """Digests by name as a file."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def write_sums(folder: Path) -> None:
    """Write the SHA256SUMS of a finished folder."""
    write_text(folder / SUMS, sums_text(sums_of(folder)))


def parse_sums(text: str) -> dict[str, str]:
    """Digests by name. Lines of another form give no name of a file that could be."""
    return {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}


def read_sums(folder: Path) -> dict[str, str]:
    """What the SHA256SUMS of a folder says."""
    return parse_sums((folder / SUMS).read_text(encoding="utf-8", errors="replace"))


def domain_digest(folder: Path) -> str:
    """One digest for a whole domain: that of its SHA256SUMS."""
    return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()


def check_sums(folder: Path, read: Callable[[int], None]) -> dict[Path, str]:
    """What is wrong with which file of a folder, in words; `read(bytes)` is called after each file."""
    if not (folder / SUMS).exists():
        return {folder / SUMS: "missing"}
    listed = read_sums(folder)
    present = {path.name for path in folder.iterdir() if path.name != SUMS}
    found = {folder / name: "missing" for name in sorted(listed.keys() - present)}
    found |= {folder / name: f"not in {SUMS}" for name in sorted(present - listed.keys())}
    for name in sorted(listed.keys() & present):
        if sha256_file(folder / name) != listed[name]:
            found[folder / name] = "differs from its checksum"
        read((folder / name).stat().st_size)
    return found
