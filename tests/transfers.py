"""What the tests of transfers share: a content, a place with quick rules, waits that are noted instead of waited."""

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from pipelines.transfer import Place, Rules, retry

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CHECKSUM = f"sha256:{SHA256}"


def place_in(folder: Path, **rules: Any) -> Place:
    """A place whose rules try once, unless told otherwise."""
    return Place(folder / "sources", folder / "downloads", "coins", Rules(**{"retries": 0, "read_timeout": 10.0} | rules))


def left(place: Place, *endings: str) -> list[str]:
    """Names in the downloads, or those with one of these endings."""
    names = sorted(path.name for path in place.downloads.iterdir()) if place.downloads.exists() else []
    return [name for name in names if not endings or name.endswith(endings)]


def note_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait between attempts from now on; none is waited."""
    waits: list[float] = []
    monkeypatch.setattr(retry, "sleep", lambda seconds, stopped: waits.append(seconds))
    return waits


class Counted:
    """A meter that adds up."""

    def __init__(self) -> None:
        self.expected = self.came = 0

    def expect(self, size: int) -> None:
        self.expected += size

    def got(self, size: int) -> None:
        self.came += size
