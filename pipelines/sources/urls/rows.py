"""What the rows of a picture table ask for: its columns, and where each picture is. Nothing is fetched here."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from pipelines.cards import Source
from pipelines.secrets import NAMED
from pipelines.sources.members import is_picture, parts
from pipelines.sources.urls.table import Table
from pipelines.sources.usual_names import ADDRESSES, LABELS, usual
from pipelines.sources.webdataset.labels import text_of
from pipelines.transfer.locators import scheme_of

HEAD = 1000  # rows that a guess looks at
SCHEMES = ("http", "https", "s3")


class Columns(NamedTuple):
    """Names of the columns."""

    address: str
    label: str
    id: str | None
    group: str | None = None


class Wanted(NamedTuple):
    """A picture that a row names: at `locator` of another machine or at `path` on this one, or `refused` with the reason."""

    source_id: str
    label: str
    locator: str | None = None
    path: Path | None = None
    refused: str | None = None
    group: str | None = None


def columns_of(table: Table, source: Source) -> tuple[Columns, list[str]]:
    """The columns of the card, else as content and names tell, and what was guessed, in words.

    Raises ValueError (one line: table, columns found) if they are missing or not to be told apart.
    """
    head = list(islice(table.rows(), HEAD))
    names = list(dict.fromkeys(name for row in head for name in row))
    where, listed = str(table.path), ", ".join(map(str, names[:30])) or "none"
    if not head:
        raise ValueError(f"{where}: holds no row; columns: {listed}")
    said: list[str] = []
    given = source.options.get("id_column")
    for field, name in (
        ("label.image_column", source.label.image_column),
        ("label.column", source.label.column),
        ("label.group_column", source.label.group_column),
        ("options.id_column", given),
    ):
        if name is not None and name not in names:
            raise ValueError(f"{where}: source.{field}: no column {name!r}; columns: {listed}")
    address = source.label.image_column or _address(head, names, said)
    if address is None:
        raise ValueError(f"{where}: which column holds the addresses? name it in source.label.image_column; columns: {listed}")
    taken = (address, given, source.label.group_column)
    label = source.label.column or _label(head, [name for name in names if name not in taken], said)
    if label is None:
        raise ValueError(f"{where}: which column holds the label? name it in source.label.column; columns: {listed}")
    if label == address:
        raise ValueError(f"{where}: column {label!r} cannot be both address and label; columns: {listed}")
    return Columns(address, label, given, source.label.group_column), said


def wanted(table: Table, columns: Columns, source: Source, folder: Path) -> Iterator[Wanted | None]:
    """What each row asks for, in order; None for a row without a label. `folder` holds the pictures of a table on this machine.

    Raises ValueError (one line: table, row) for a label or an id that is no single value, or a row without an id.
    """
    needed = [name for name in columns if name is not None]
    for number, row in enumerate(table.rows(needed), 1):
        where = f"{table.path}: row {number}"
        label = text_of(row.get(columns.label), f"{where}: {columns.label}")
        if label is None:
            yield None
            continue
        address = text_of(row.get(columns.address), f"{where}: {columns.address}") or ""
        name = f"{number}{_last(address)}" if columns.id is None else text_of(row.get(columns.id), f"{where}: {columns.id}")
        if name is None:
            raise ValueError(f"{where}: no id in column {columns.id!r}; expected one in each row")
        group = None if columns.group is None else text_of(row.get(columns.group), f"{where}: {columns.group}")
        yield _resolve(Wanted(name, label, group=group), address, source.locator, folder)


def _resolve(row: Wanted, address: str, table: str, folder: Path) -> Wanted:
    """Where the picture is: an http(s) or s3 address, or a path below the table's folder."""
    if not address:
        return row._replace(refused="the row names no address")
    if NAMED.search(address):
        return row._replace(refused="the address holds ${...}; secrets are for cards, never for what a table says")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", address)
    if scheme is not None:
        if scheme_of(address) not in SCHEMES:
            return row._replace(
                refused=f"an address of scheme {scheme[1].lower()!r} is not read; expected http, https, s3 or a path"
            )
        if not _well_formed(address):
            return row._replace(refused="the address is malformed")
        return row._replace(locator=address)
    pieces = parts(address)
    if address.startswith(("/", "\\")) or ".." in pieces or not pieces or "\0" in address:
        return row._replace(refused="the path leaves the table's folder")
    if scheme_of(table) in SCHEMES:
        base = re.split(r"[?#]", table)[0].rpartition("/")[0]
        if NAMED.search(base):
            return row._replace(refused="the table's own address holds ${...}; rows need whole addresses then")
        inside = "/".join(pieces)
        return row._replace(locator=f"{base}/{inside if scheme_of(table) == 's3' else quote(inside, safe='/%')}")
    return row._replace(path=folder.joinpath(*pieces))


def _well_formed(address: str) -> bool:
    """Whether it has a host; unlike a card's, it may hold a signature of its own."""
    try:
        parts_of = urlsplit(address)
        _ = parts_of.port  # raises where it is no number
    except ValueError:
        return False
    return bool(parts_of.hostname) and "://" in address and address.isprintable()


def _last(address: str) -> str:
    """`-` and the last part of the address, fit for a name; queries may hold secrets and are left out."""
    path = address
    if scheme := scheme_of(address):
        path = re.split("[?]" if scheme == "s3" else "[?#]", re.sub("^[^/]*//[^/?#]*", "", address))[0]
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.replace("\\", "/").rstrip("/").rpartition("/")[2])[-80:]
    return f"-{name}" if name else ""


def _address(head: list[dict[str, Any]], names: list[str], said: list[str]) -> str | None:
    """The column of addresses, else of paths to pictures; the usual name among several."""
    for what, fits in (("addresses", _is_address), ("paths of pictures", is_picture)):
        found = [name for name in names if _most(head, name, fits)]
        best = found[:1] if len(found) == 1 else usual(found, ADDRESSES)[:1]
        if best:
            others = f" (as {', '.join(name for name in found if name != best[0])} would)" if len(found) > 1 else ""
            said.append(f"column {best[0]} holds {what}{others}")
            return best[0]
        if found:
            return None
    return None


def _is_address(text: str) -> bool:
    return scheme_of(text) in SCHEMES


def _most(head: list[dict[str, Any]], name: str, fits: Any) -> bool:
    values = [value for row in head if (value := row.get(name)) not in (None, "")]
    return bool(values) and sum(isinstance(value, str) and fits(value.strip()) for value in values) >= 0.9 * len(values)


def _label(head: list[dict[str, Any]], names: list[str], said: list[str]) -> str | None:
    """The column with a usual name, one of words before one of numbers; else the only one left, or whose values repeat."""
    found = usual(names, LABELS)
    words = [name for name in found if not all(str(row.get(name, "")).strip().isdigit() for row in head)]
    repeating = [name for name in names if _repeats([str(value) for row in head if (value := row.get(name)) not in (None, "")])]
    for choice, reason in (
        (words or found, "by its name"),
        (names if len(names) == 1 else [], "the only one beside the address"),
        (repeating if len(repeating) == 1 else [], "the only one whose values repeat"),
    ):
        if choice:
            said.append(f"column {choice[0]} holds the label ({reason})")
            return choice[0]
    return None


def _repeats(values: list[str]) -> bool:
    return 1 < len(set(values)) < len(values)
