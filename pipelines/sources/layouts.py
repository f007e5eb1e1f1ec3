"""Which class each picture of an archive or a folder belongs to: by its folder, or by a label table.

Meta-Album (Ullah et al. 2022, "Meta-Album: Multi-domain Meta-Dataset for Few-Shot Image Classification") holds
labels.csv (FILE_NAME, CATEGORY and more), info.json (the names of those columns, among others) and images/.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from pipelines.cards import Label
from pipelines.sources.columns import Columns, best_naming, find_columns, namings, no_column
from pipelines.sources.labelled import Labelled
from pipelines.sources.members import Refused, is_table, listed, parts, picture_parts, plain
from pipelines.sources.survey import Survey
from pipelines.sources.tables import Table, may_be_table

IMAGE_COLUMN, CLASS_COLUMN = "FILE_NAME", "CATEGORY"
MOST_TRIED = 20  # tables, those nearest to the top
SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation")
NO_CLASSES = frozenset((*SPLITS, "images", "image", "img", "imgs", "pictures", "photos", "data"))


class Plan(Protocol):
    """The labels of each file (none: it makes no record), and the rows whose file is missing."""

    passed_over: int  # rows of the table that make no record

    def labels(self, name: str) -> tuple[str, ...]: ...

    def group(self, name: str) -> str | None:
        """What the column of groups says of a file."""
        ...

    def missing(self) -> Iterator[tuple[str, str, str | None]]:
        """source_id, label and group."""
        ...

    def describes(self, name: str) -> bool:
        """Whether this file is part of the table."""
        ...


class Reading(NamedTuple):
    """A plan, the label section of a card that says the same, what was guessed, and what the source says of itself."""

    plan: Plan
    label: Label
    said: list[str]
    info: dict[str, Any]


class Folders:
    """One folder a class: a picture's label is the name of the folder that it lies in."""

    passed_over = 0

    def labels(self, name: str) -> tuple[str, ...]:
        pieces = picture_parts(name)
        return (pieces[-2],) if pieces is not None and len(pieces) > 1 else ()

    def group(self, name: str) -> str | None:
        return None

    def missing(self) -> Iterator[tuple[str, str, str | None]]:
        return iter(())

    def describes(self, name: str) -> bool:
        return False


FOLDERS = Label(layout="folders")


def plan(survey: Survey, label: Label) -> Reading:
    """How to read this; the layout and columns are found out where the card does not give them.

    Raises ValueError (one line) if the table that the layout needs is not there, not readable or not to be told apart.
    """
    if label.layout == "folders":
        return Reading(Folders(), FOLDERS, [], {})
    if label.layout == "table" or (label.layout is None and label.table is not None):
        return _by_table(survey, label)
    album = _meta_album(survey, label)
    if album is not None:
        return album
    if label.layout == "meta_album":
        raise Refused(f"{survey.files.path}: source.label.layout is meta_album, but it holds no labels.csv")
    if label.image_column or label.column or label.group_column:
        return _by_table(survey, label)
    return _found_out(survey, label)


def _found_out(survey: Survey, label: Label) -> Reading:
    """Class folders where the folders' names may be classes, else a table that names most pictures, else class folders."""
    folders = {found[0] for name in survey.names if (found := Folders().labels(name))}
    by_folder = Reading(Folders(), FOLDERS, ["each picture's class is the name of the folder that it lies in"], {})
    if len(folders - NO_CLASSES) < 2:
        fitting = _fitting(survey, label, [name for name in survey.tables if may_be_table(name)], must_fit=False)
        if fitting:
            return _read_by(survey, label, fitting)
    return by_folder


def _by_table(survey: Survey, label: Label) -> Reading:
    """By the table that the card names, else by the only one that names pictures."""
    path = survey.files.path
    names = [name for name in survey.tables if may_be_table(name)]
    if label.table is not None:
        wanted = parts(label.table)
        exact = [name for name in names if parts(name) == wanted]
        names = exact or [name for name in names if parts(name)[-len(wanted) :] == wanted]
        if len(names) != 1:
            held = listed(sorted(name for name in survey.tables if may_be_table(name)))
            more = f" ({survey.left_out} too large or too many)" if survey.left_out else ""
            raise Refused(f"{path}: source.label.table: expected one table {label.table!r}; tables: {held}{more}")
    fitting = _fitting(survey, label, names, must_fit=len(names) == 1)
    if not fitting:
        raise Refused(f"{path}: found no table (.csv, .tsv, .jsonl) with a column that names its pictures")
    return _read_by(survey, label, fitting)


def _fitting(survey: Survey, label: Label, names: list[str], must_fit: bool) -> list[tuple[Table, Columns]]:
    """The tables that name pictures; unless one must fit, those alone that name half of theirs and have a label column."""
    fitting = []
    for name in sorted(names, key=lambda name: (len(parts(name)), name))[:MOST_TRIED]:
        try:
            table = Table(name, survey.tables[name], survey.files.path)
            columns = find_columns(table, survey, label)
        except Refused:
            if must_fit:
                raise
            continue
        if columns is not None and (must_fit or columns.share >= 0.5):
            fitting.append((table, columns))
    return fitting


def _read_by(survey: Survey, label: Label, fitting: list[tuple[Table, Columns]]) -> Reading:
    if len(fitting) > 1:
        names = listed(table.name for table, _ in fitting)
        raise Refused(f"{survey.files.path}: several tables name pictures ({names}); name one in source.label.table")
    table, columns = fitting[0]
    labelled = Labelled(table, columns.image, columns.label, columns.naming, survey, group=label.group_column)
    said = [] if label.table else [f"{plain(table.name)} is the label table"]
    filled = Label(
        layout="table", table=table.name, image_column=columns.image, column=columns.label, group_column=label.group_column
    )
    return Reading(labelled, filled, said + columns.said, {})


def _meta_album(survey: Survey, label: Label) -> Reading | None:
    """By the labels.csv nearest to the top; None if there is none, or one of another kind that the card does not ask for."""
    path = survey.files.path
    name = _labels_csv(survey, label)
    if name is None:
        return None
    table = Table(name, survey.tables[name], path)
    info = _info(survey, table)
    image = _column(table, label.image_column, info.get("image_column_name"), IMAGE_COLUMN)
    column = _column(table, label.column, info.get("category_column_name"), CLASS_COLUMN)
    if not {image, column} <= set(table.columns):
        if label.layout == "meta_album":
            wanted = f"{plain(image)} and {plain(column)}"
            raise Refused(f"{path}: {plain(name)}: expected columns {wanted}, found {listed(table.columns)}")
        return None
    if label.group_column is not None and label.group_column not in table.columns:
        raise no_column(table, survey, "group_column", label.group_column)
    naming = best_naming(table, image, namings(table.folder, strict=True), survey)
    labelled = Labelled(table, image, column, naming, survey, is_table, label.group_column)
    filled = Label(layout="meta_album", table=label.table, image_column=image, column=column, group_column=label.group_column)
    told = f"{plain(name)} is as Meta-Album writes it: {plain(image)} names the picture, {plain(column)} is its class"
    said = [] if label.layout else [told]
    return Reading(labelled, filled, said, info)


def _labels_csv(survey: Survey, label: Label) -> str | None:
    found = [name for name in survey.tables if parts(name)[-1] == "labels.csv"]
    if label.table is not None:
        found = [name for name in found if parts(name) == parts(label.table)]
    nearest = min((len(parts(name)) for name in found), default=0)
    found = sorted(name for name in found if len(parts(name)) == nearest)
    if len(found) > 1 and len({tuple(parts(name)) for name in found}) > 1:
        names = listed(found)
        raise Refused(f"{survey.files.path}: holds several sets ({names}); name one's labels.csv in source.label.table")
    return found[0] if found else None


def _info(survey: Survey, table: Table) -> dict[str, Any]:
    """The info.json beside labels.csv."""
    beside = next((name for name in survey.tables if tuple(parts(name)) == (*table.folder, "info.json")), None)
    if beside is None:
        return {}
    try:
        info = json.loads(survey.tables[beside].decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Refused(f"{survey.files.path}: {plain(beside)} is not valid JSON") from None
    return info if isinstance(info, dict) else {}


def _column(table: Table, given: str | None, informed: object, usual: str) -> str:
    """The card's column, else info.json's if it is there or the usual one is not."""
    if given is not None:
        return given
    if isinstance(informed, str) and informed and (informed in table.columns or usual not in table.columns):
        return informed
    return usual
