"""Bringing what a source names to this machine. Here: what a fetch may do, what it knew before, and what it tells.

`fetch.py` brings files (`download`, `request`, `retry`, `kept` and `expected` are its parts), `items.py` many small ones
(`small`, `store`), `objects.py` speaks to object stores (`refusals`), `locators.py` reads addresses.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol


class TransferError(OSError):
    """The network or the server failed; what came so far is kept, and another attempt goes on from there."""


class SourceChanged(ValueError):
    """The source is not what the lock says; nothing that was kept is touched."""


def kept_until_told(domain: str) -> str:
    """The end of what a SourceChanged says."""
    return f"the old data are kept, `python -m pipelines update {domain}` takes what is there now"


class Pin(NamedTuple):
    """What a fetched file was: enforced from then on. `etag` as the server gave it (strong ones alone), else None."""

    bytes: int
    sha256: str
    etag: str | None = None


@dataclass(frozen=True)
class Rules:
    """How a fetch behaves. None of it bears on what comes, only on whether and how fast."""

    connections: int = 4  # at one time
    retries: int = 5  # of one file, after its first attempt
    deadline: float | None = None  # s for all that one domain needs
    read_timeout: float = 60.0  # s that a server may be silent
    limit_bytes: int = 20 * 10**9  # of one file
    max_failed: float = 0.0  # share of single items (not files) that may be missing for good
    offline: bool = False  # use only what is here
    update: bool = False  # ask the source again, whatever is kept, and take what it has now


class Meter(Protocol):
    """Is told of bytes, from any thread."""

    def expect(self, size: int) -> None:
        """So many more bytes will come."""
        ...

    def got(self, size: int) -> None:
        """So many bytes are here."""
        ...


class Unmetered:
    """The Meter that nobody reads."""

    def expect(self, size: int) -> None: ...

    def got(self, size: int) -> None: ...


@dataclass
class Place:
    """Where a domain's source may look and keep things, under which rules, and what the lock says of it.

    `folder` anchors relative locators; `downloads` survives a killed run; `pinned` maps a file's locator as shown (see
    `locators.shown`) to what it was; `came` collects the same for the files of this run; `begun` (monotonic seconds) starts
    the deadline.
    """

    folder: Path
    downloads: Path
    domain: str = ""
    rules: Rules = Rules()
    pinned: Mapping[str, Pin] = field(default_factory=dict)
    meter: Meter = field(default_factory=Unmetered)
    came: dict[str, Pin] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
