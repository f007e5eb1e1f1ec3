"""Which column of a table names the pictures, how it does, and which column holds the class."""

from typing import NamedTuple

from pipelines.cards import Label
from pipelines.sources.members import Refused, listed, parts, picture_parts, plain
from pipelines.sources.survey import Survey
from pipelines.sources.tables import Table
from pipelines.sources.usual_names import ADDRESSES, LABELS, usual


class Naming(NamedTuple):
    """How a table names pictures: by the path from a folder on (None: by the file's name alone), with suffix or without."""

    base: tuple[str, ...] | None
    suffix: bool = True

    def key(self, pieces: list[str]) -> str | None:
        """What a row says that means the picture with this path; None where no row can mean it."""
        if self.base is None:
            name = pieces[-1]
        elif tuple(pieces[: len(self.base)]) == self.base:
            name = "/".join(pieces[len(self.base) :])
        else:
            return None
        return name if self.suffix else name.rpartition(".")[0]

    def words(self) -> str:
        """In words for the user."""
        what = "file name" if self.base is None else f"path from {plain('/'.join(self.base)) or 'the top'} on"
        return what if self.suffix else f"{what}, without suffix"


class Columns(NamedTuple):
    """The columns to read, the share of the first rows that name a picture, and what was guessed, in words."""

    image: str
    label: str
    naming: Naming
    share: float
    said: list[str]


def said_in(value: str) -> str:
    """What a cell says, in the form of `Naming.key`."""
    return "/".join(parts(value))


def namings(folder: tuple[str, ...], strict: bool = False) -> list[Naming]:
    """The ways to name a picture that are tried, the most certain first; `strict`: those of Meta-Album."""
    bases = list(dict.fromkeys([(*folder, "images"), folder, ()]))
    if strict:
        return [Naming(base) for base in bases[:2]]
    return [Naming(base, suffix) for suffix in (True, False) for base in (*bases, None)]


def find_columns(table: Table, survey: Survey, label: Label) -> Columns | None:
    """The columns of the card, else those that can be told; None where no column names pictures.

    Raises Refused if a column of the card is not there or the label column cannot be told.
    """
    where = f"{survey.files.path}: {plain(table.name)}"
    for field in ("image_column", "column", "group_column"):
        given = getattr(label, field)
        if given is not None and given not in table.columns:
            raise no_column(table, survey, field, given)
    head = table.head()
    taken = (label.column, label.group_column)
    candidates = [label.image_column] if label.image_column else [name for name in table.columns if name not in taken]
    places = [table.columns.index(name) for name in candidates]
    found = _best(head, places, namings(table.folder), survey, _usual_places(table.columns))
    if found is None:
        if label.image_column is None:
            return None
        raise Refused(f"{where}: no value of column {label.image_column!r} names a picture that is there")
    place, naming, hits = found
    image = table.columns[place]
    distinct = len({said_in(row[place]) for row in head if row[place]})
    said = [] if label.image_column else [f"column {image!r} of {plain(table.name)} names the pictures ({naming.words()})"]
    column, why = (label.column, "") if label.column else _label_column(table, head, (image, label.group_column), where)
    said += [f"column {column!r} of {plain(table.name)} holds the class ({why})"] if why else []
    return Columns(image, column, naming, hits / max(distinct, 1), said)


def no_column(table: Table, survey: Survey, field: str, name: str) -> Refused:
    """What to raise where a column of the card is not in its table."""
    where = f"{survey.files.path}: {plain(table.name)}"
    return Refused(f"{where}: source.label.{field}: no column {name!r}; columns: {listed(table.columns)}")


def best_naming(table: Table, image: str, ways: list[Naming], survey: Survey) -> Naming:
    """How this column names pictures; the first way where none fits."""
    found = _best(table.head(), [table.columns.index(image)], ways, survey, [])
    return ways[0] if found is None else found[1]


def _best(
    head: list[tuple[str, ...]], places: list[int], ways: list[Naming], survey: Survey, usual_places: list[int]
) -> tuple[int, Naming, int] | None:
    """The column and naming that mean most pictures, and how many; at equal numbers the usual, then the first."""
    wanted: dict[str, set[int]] = {}
    for row in head:
        for place in places:
            if row[place]:
                wanted.setdefault(said_in(row[place]), set()).add(place)
    hits: dict[tuple[int, int], set[str]] = {}
    for name in survey.names:
        pieces = picture_parts(name)
        if pieces is None:
            continue
        for way, naming in enumerate(ways):
            key = naming.key(pieces)
            for place in wanted.get(key, ()) if key else ():
                hits.setdefault((place, way), set()).add(key or "")
    order = [*usual_places, *places]
    ranked = sorted(hits, key=lambda pair: (-len(hits[pair]), order.index(pair[0]), pair[1]))
    return (ranked[0][0], ways[ranked[0][1]], len(hits[ranked[0]])) if ranked else None


def _usual_places(columns: list[str]) -> list[int]:
    return [columns.index(name) for name in usual(columns, ADDRESSES)]


def _label_column(table: Table, head: list[tuple[str, ...]], taken: tuple[str | None, ...], where: str) -> tuple[str, str]:
    """The label column, none of those `taken` for other things, and how it was told."""
    others = [name for name in table.columns if name not in taken]
    named = usual(others, LABELS)
    if named:
        return named[0], "by its name"
    repeating = []
    for name in others:
        place = table.columns.index(name)
        filled = [row[place] for row in head if row[place]]
        if 1 < len(set(filled)) < len(filled):
            repeating.append(name)
    if len(repeating) == 1:
        return repeating[0], "the only other one whose values repeat"
    raise Refused(f"{where}: cannot tell the label column; name it in source.label.column; columns: {listed(others)}")
