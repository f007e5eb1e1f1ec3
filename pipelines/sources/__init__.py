"""Where raw records come from. A kind of source is one module here with three functions:

`check(source)` raises ValueError if the card asks for something that this kind cannot do;
`records(source, place)` yields raw records lazily, in an order that depends on the source alone;
`look(source, place)` says what is there and how it would be read, for `python -m pipelines add`.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from pipelines.cards import Card, Source
from pipelines.transfer import Place

KINDS = {
    "generated": "pipelines.sources.generated",
    "folder": "pipelines.sources.folder",
    "archive": "pipelines.sources.archive",
    "huggingface": "pipelines.sources.huggingface",
    "openml": "pipelines.sources.openml",
    "webdataset": "pipelines.sources.webdataset",
    "urls": "pipelines.sources.urls",
}


class RawRecord(NamedTuple):
    """One picture as its source holds it. `planted` is the truth about dirt that a generator put in, else None."""

    source_id: str
    label: str
    data: bytes
    planted: "Planted | None" = None
    fault: "Fault | None" = None  # why `data` is empty: the source names a picture that could not be had
    group: str | None = None  # what `source.label.group_column` of the card says of it


class Fault(NamedTuple):
    """Why a picture that the source names is not there."""

    reason: str
    status: int | None = None  # of the server's answer


class Planted(NamedTuple):
    """Known dirt: what was done, to which record it was done (same domain unless `domain` says another)."""

    kind: str
    of: str | None = None  # source_id of the original
    domain: str | None = None  # where the original lives, if elsewhere


class Look(NamedTuple):
    """What a look inside a source found."""

    source: Source  # as it should stand in the card: layout, columns and options that were guessed are filled in
    said: list[str]  # what was guessed and from what, a line each
    classes: dict[str, int] | None = None  # records a class; None where only reading all would tell
    records: int | None = None
    bytes: int | None = None  # of the pictures
    title: str | None = None  # what the source itself says of these, if it does
    description: str | None = None
    licence: str | None = None  # as the source writes it
    citation: str | None = None
    homepage: str | None = None


class Kind(Protocol):
    """What a module of this package offers."""

    def check(self, source: Source) -> None: ...

    def records(self, source: Source, place: Place) -> Iterator[RawRecord]: ...

    def look(self, source: Source, place: Place) -> Look: ...


def refuse_group_column(source: Source, why: str) -> None:
    """Raise ValueError if the card names a column of groups; for kinds without columns."""
    if source.label.group_column is not None:
        raise ValueError(f"source.label.group_column: {why}; tell groups by name with group.pattern")


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
