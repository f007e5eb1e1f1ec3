"""Source kind `urls`: a table of picture addresses and labels (CSV, TSV, JSON lines, Parquet; a path or an URL).

`label.image_column` names the column of addresses, `label.column` that of labels, `label.group_column` that of groups,
`options.id_column` one that names the rows.
An address is http(s), s3, or a path below the table's folder. Order: the rows'. source_id is the row's id, else its number
from 1 and the last part of its address. A picture that cannot be had is a record with a fault; too many of them refuse the
download.
"""

import errno
from collections import Counter, deque
from collections.abc import Generator, Iterator
from pathlib import Path

from pipelines.cards import Source
from pipelines.sources import Fault, Look, RawRecord
from pipelines.sources.members import Bounds
from pipelines.sources.urls.rows import Wanted, columns_of, wanted
from pipelines.sources.urls.table import Table
from pipelines.transfer import Place
from pipelines.transfer.fetch import fetch
from pipelines.transfer.items import Fetched, Item, fetch_items
from pipelines.transfer.locators import check_locator, shown

LIMIT = Bounds().picture_bytes


def check(source: Source) -> None:
    """Raise ValueError if the card asks for what a table of addresses cannot do."""
    check_locator(source.locator)
    others = sorted(set(map(str, source.options)) - {"id_column"})
    if others:
        raise ValueError(f"source.options: urls takes id_column alone, found {', '.join(others)}")
    if not isinstance(source.options.get("id_column", ""), str):
        raise ValueError(f"source.options.id_column: expected a column's name, found {source.options['id_column']!r}")
    if source.label.table is not None or source.label.layout is not None:
        raise ValueError("source.label: urls takes image_column, column and group_column alone")


def records(source: Source, place: Place) -> Generator[RawRecord, None, dict[str, object]]:
    """Yield a record for each row with a label, lazily; return `checksum` of the table and `passed_over`, rows without a label.

    Raises ValueError (one line) if the table is not readable, and at its end if more of its pictures cannot be had
    than the share `place.rules.max_failed` (at once if the addresses alone tell so); TransferError, at its end, for
    pictures that another run may get.
    """
    path = fetch(source.locator, place, source.checksum)
    table = Table(path)
    columns, _ = columns_of(table, source)
    folder = path.parent.resolve()
    refusals, total, passed_over, remote = Failures(), 0, 0, False
    for row in wanted(table, columns, source, folder):
        passed_over += row is None
        if row is not None:
            total += 1
            remote |= row.locator is not None
            refusals.note(row.source_id, row.refused)
    if not total:
        raise ValueError(f"{path}: no row has a label in column {columns.label!r}")
    refusals.check(source, total, place)
    failures = Failures()
    rows = (row for row in wanted(table, columns, source, folder) if row is not None)
    for record in _fetched(rows, folder, place) if remote else (_here(row, folder) for row in rows):
        failures.note(record.source_id, record.fault.reason if record.fault else None)
        yield record
    failures.check(source, total, place)
    return {"checksum": f"sha256:{place.came[shown(source.locator)].sha256}", "passed_over": passed_over}


def look(source: Source, place: Place) -> Look:
    """Read the table alone."""
    path = fetch(source.locator, place)
    table = Table(path)
    columns, said = columns_of(table, source)
    label = source.label.model_copy(update={"image_column": columns.address, "column": columns.label})
    classes: Counter[str] = Counter()
    refused = 0
    for row in wanted(table, columns, source, path.parent.resolve()):
        if row is not None:
            classes[row.label] += 1
            refused += row.refused is not None
    if refused:
        said.append(f"{refused} of {classes.total()} rows have no address that can be read")
    return Look(source.model_copy(update={"label": label}), said, dict(sorted(classes.items())), classes.total())


class Failures:
    """How many pictures cannot be had, and the first three."""

    def __init__(self) -> None:
        self._count = 0
        self._offline = 0
        self._first: list[str] = []

    def note(self, source_id: str, reason: str | None) -> None:
        """Count a picture, if there is a reason why it cannot be had."""
        if reason is None:
            return
        self._count += 1
        self._offline += reason == "offline"
        if len(self._first) < 3:
            self._first.append(f"{source_id} ({reason})")

    def check(self, source: Source, total: int, place: Place) -> None:
        """Raise ValueError if more than the allowed share of `total` cannot be had."""
        where = shown(source.locator)
        if self._offline:
            raise ValueError(f"{where}: offline: {self._offline} of {total} pictures are not here; run once without --offline")
        if self._count > place.rules.max_failed * total:
            more = ", ..." if self._count > len(self._first) else ""
            raise ValueError(
                f"{where}: {self._count} of {total} pictures cannot be had: {', '.join(self._first)}{more}; mend the table, or "
                f"raise transfer.max_failed in params.yaml (the share allowed, {place.rules.max_failed:g} now)"
            )


def _fetched(rows: Iterator[Wanted], folder: Path, place: Place) -> Iterator[RawRecord]:
    """The record of each row, in order; what lies on other machines comes many at a time."""
    pending: deque[Wanted] = deque()  # rows that were asked for and have not come yet

    def items() -> Iterator[Item]:
        for row in rows:
            pending.append(row)
            if row.locator is not None:
                yield Item(row.source_id, row.locator)

    for came in fetch_items(items(), place, LIMIT):
        while pending[0].locator is None:
            yield _here(pending.popleft(), folder)
        yield _there(pending.popleft(), came)
    while pending:
        yield _here(pending.popleft(), folder)


def _there(row: Wanted, came: Fetched) -> RawRecord:
    assert came.source_id == row.source_id, "fetch_items keeps the order"
    fault = None if came.reason is None else Fault(came.reason, came.status)
    return RawRecord(row.source_id, row.label, b"" if fault else came.data, fault=fault, group=row.group)


def _here(row: Wanted, folder: Path) -> RawRecord:
    reason, data = row.refused, b""
    if row.path is not None:
        reason = _refuses(row.path, folder)
        data = row.path.read_bytes() if reason is None else b""
    fault = Fault(reason) if reason is not None else None
    return RawRecord(row.source_id, row.label, data, fault=fault, group=row.group)


def _refuses(path: Path, folder: Path) -> str | None:
    """Why a file of a table on this machine is not read."""
    try:
        inside = path.resolve().is_relative_to(folder)
        size = path.stat().st_size if inside and path.is_file() else None
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        return "no name that a file can have"  # too long, or links in a circle
    if not inside:
        return "the path leaves the table's folder"
    if size is None:
        return "no such file"
    return f"holds {size} bytes, expected 1 to {LIMIT}" if not 0 < size <= LIMIT else None
