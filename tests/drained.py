"""A source's records read to their end."""

from collections.abc import Generator
from typing import Any

from pipelines.sources import RawRecord


def drained(stream: Generator[RawRecord, None, Any]) -> tuple[list[RawRecord], Any]:
    """All records, and what the source returns at its end."""
    found: list[RawRecord] = []
    while True:
        try:
            found.append(next(stream))
        except StopIteration as end:
            return found, end.value
