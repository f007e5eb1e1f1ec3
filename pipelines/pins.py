"""Locks: what a domain's source was when it was first fetched, `collections/<domain>.lock`, enforced from then on.

A lock is committed. It holds for one source section of the card; another section is pinned anew.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from pipelines.cards import Source
from pipelines.files import write_text
from pipelines.raw import RawSummary
from pipelines.settings import Settings, read_yaml, validate
from pipelines.transfer import Pin, SourceChanged, kept_until_told

MAX_FILES = 1000  # more are pinned by the content of all records alone
BY_FILES = ("archive", "huggingface", "openml", "webdataset")  # kinds whose files, once pinned, fix every record
HEAD = (
    "# What was fetched, enforced from then on. Commit it; `python -m pipelines update {}` takes what its source holds now.\n"
)


class PinnedFile(Settings):
    """One file as it came."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")  # 40: the commit of a repository
    etag: str | None = None


class Lock(Settings):
    """What a source was. `content` is the digest of all records in order."""

    source: str  # digest of the card's source section
    records: int = Field(ge=0)
    bytes: int = Field(ge=0)
    content: str
    files: dict[str, PinnedFile] = Field(default_factory=dict)

    def pinned(self) -> dict[str, Pin]:
        """The files by locator, as a Place wants them."""
        return {name: Pin(file.bytes, file.sha256, file.etag) for name, file in self.files.items()}


def load_lock(path: Path, source: Source) -> Lock | None:
    """The lock, or None where there is none or it is of another source section. Raises ValueError if it is malformed."""
    if not path.exists():
        return None
    lock = validate(Lock, read_yaml(path), f"{path} (restore it, or delete it to pin anew)")
    return lock if lock.source == source_digest(source) else None


def source_digest(source: Source) -> str:
    """Digest of what a card says of its source."""
    said = source.model_dump(mode="json")
    if said["label"]["group_column"] is None:
        del said["label"]["group_column"]  # locks are older than this field
    text = json.dumps(said, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def make_lock(source: Source, summary: RawSummary, came: Mapping[str, Pin]) -> Lock:
    """The lock of what just came."""
    files = came if len(came) <= MAX_FILES else {}
    return Lock(
        source=source_digest(source),
        records=summary.records,
        bytes=summary.bytes,
        content=summary.content,
        files={name: PinnedFile(**files[name]._asdict()) for name in sorted(files)},
    )


def enforce(lock: Lock, summary: RawSummary, source: Source, domain: str) -> None:
    """Raise SourceChanged if other records came than the lock says.

    Where every file is as pinned, other records mean another reader, not another source: then nothing is wrong.
    """
    if summary.content == lock.content or (source.kind in BY_FILES and lock.files):
        return
    change = f"holds {summary.records} records of {summary.bytes} bytes, {lock.records} of {lock.bytes} were pinned"
    verb = "shrank" if summary.records < lock.records else "changed"
    raise SourceChanged(f"domain {domain}: its source {verb}: it {change}; {kept_until_told(domain)}")


def save_lock(path: Path, lock: Lock, domain: str) -> bool:
    """Write the lock if it says anything new; returns whether it did."""
    values: dict[str, Any] = lock.model_dump(mode="json", exclude_none=True)
    if not values["files"]:
        del values["files"]
    text = HEAD.format(domain) + yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=200)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_text(path, text)
    return True
