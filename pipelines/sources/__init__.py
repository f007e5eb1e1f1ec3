"""Where raw records come from. A kind of source is one module here with two functions:

`check(source)` raises ValueError if the card asks for something that this kind cannot do;
`records(source, place)` yields raw records lazily, in an order that depends on the source alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from pipelines.cards import Card, Source

KINDS = {
    "generated": "pipelines.sources.generated",
    "archive": "pipelines.sources.archive",
    "parquet": "pipelines.sources.parquet",
}


class RawRecord(NamedTuple):
    """One picture as its source holds it. `planted` is the truth about dirt that a generator put in, else None."""

    source_id: str
    label: str
    data: bytes
    planted: "Planted | None" = None


class Planted(NamedTuple):
    """Known dirt: what was done, to which record it was done (same domain unless `domain` says another)."""

    kind: str
    of: str | None = None  # source_id of the original
    domain: str | None = None  # where the original lives, if elsewhere


@dataclass(frozen=True)
class Place:
    """Where a source may look and keep things: `folder` anchors relative locators, `downloads` survives a killed run."""

    folder: Path
    downloads: Path


class Kind(Protocol):
    """What a module of this package offers."""

    def check(self, source: Source) -> None: ...

    def records(self, source: Source, place: Place) -> Iterator[RawRecord]: ...


def kind_of(card: Card, where: str) -> Kind:
    """The module that reads this card's source. Raises ValueError naming the card if the kind or its options are unknown."""
    name = KINDS.get(card.source.kind)
    if name is None:
        raise ValueError(f"{where}: source.kind: expected one of {', '.join(KINDS)}, found {card.source.kind!r}")
    module = cast(Kind, import_module(name))
    try:
        module.check(card.source)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return module
