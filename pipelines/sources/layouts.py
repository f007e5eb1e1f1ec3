"""Which class each file of an archive belongs to: by its folder, or by the table of a Meta-Album data set.

Meta-Album (Ullah et al. 2022, "Meta-Album: Multi-domain Meta-Dataset for Few-Shot Image Classification") holds
labels.csv (FILE_NAME, CATEGORY and more), info.json (the names of those columns, among others) and images/.
"""

import csv
import io
import json
from typing import Literal, NamedTuple

from pipelines.cards import Label
from pipelines.sources.members import Archive, Refused, is_picture, is_table, parts

IMAGE_COLUMN, CLASS_COLUMN = "FILE_NAME", "CATEGORY"


class Plan(NamedTuple):
    """What to read: each wanted member with the label of every record that it makes."""

    layout: Literal["folders", "meta_album"]
    labels: dict[str, list[str]]
    missing: list[tuple[str, str]]  # source_id and label of table rows whose file is not there
    passed_over: int  # files that are no pictures or have no class, and table rows that name none


class Table(NamedTuple):
    """labels.csv: its folder within the archive, and its rows as (file name, label)."""

    folder: tuple[str, ...]
    rows: list[tuple[str, str]]


def plan(archive: Archive, label: Label) -> Plan:
    """How to read this archive; the layout is found out where the card does not give it.

    Raises ValueError (one line) if the table that the layout needs is not there or not readable, or no picture has a class.
    """
    where = _table_name(archive)
    if label.layout == "meta_album" and where is None:
        raise Refused(f"{archive.path}: source.label.layout is meta_album, but the archive holds no labels.csv")
    if label.layout == "folders" or where is None:
        found = _by_folder(archive.names)
    else:
        columns = _columns(archive, where, label)
        table = _read_table(archive, where, columns, must_fit=label.layout == "meta_album")
        found = _by_table(archive.names, table) if table else _by_folder(archive.names)
    if not found.labels and not found.missing:
        raise Refused(f"{archive.path}: no picture with a class; {_expected(found, archive)}")
    return found


def _expected(found: Plan, archive: Archive) -> str:
    if found.layout == "meta_album":
        return "expected rows of labels.csv that name pictures"
    if any(is_picture(name) for name in archive.names):
        return "expected pictures in class folders (<class>/<file>) or named by labels.csv"
    return f"found {len(archive.names)} files, none with a picture's suffix (.jpg, .png, ...)"


def _by_folder(names: list[str]) -> Plan:
    labels = {name: [parts(name)[-2]] for name in names if is_picture(name) and len(parts(name)) > 1}
    return Plan("folders", labels, [], sum(name not in labels for name in names))


def _by_table(names: list[str], table: Table) -> Plan:
    pictures = {tuple(parts(name)): name for name in names if is_picture(name)}
    labels: dict[str, list[str]] = {}
    missing: list[tuple[str, str]] = []
    unusable = 0
    for file_name, label in table.rows:
        if not is_picture(file_name) or not label:  # .DS_Store rows are in the published sets
            unusable += 1
            continue
        inside = tuple(parts(file_name))
        member = pictures.get((*table.folder, "images", *inside)) or pictures.get((*table.folder, *inside))
        if member is None:
            missing.append(("/".join((*table.folder, "images", *inside)), label))
        else:
            labels.setdefault(member, []).append(label)
    passed_over = sum(name not in labels and not is_table(name) for name in names)
    return Plan("meta_album", labels, missing, passed_over + unusable)


def _table_name(archive: Archive) -> str | None:
    """The labels.csv nearest to the root."""
    found = [name for name in archive.tables if parts(name)[-1] == "labels.csv"]
    return min(found, key=lambda name: (len(parts(name)), name), default=None)


def _columns(archive: Archive, labels_csv: str, label: Label) -> tuple[str, str]:
    """Names of the image and the class column: of the card, else of info.json, else the usual ones."""
    folder = parts(labels_csv)[:-1]
    beside = next((name for name in archive.tables if parts(name) == [*folder, "info.json"]), None)
    info: object = {}
    if beside is not None:
        try:
            info = json.loads(archive.tables[beside])
        except (ValueError, RecursionError):
            raise Refused(f"{archive.path}: {beside} is not valid JSON") from None
    given = info if isinstance(info, dict) else {}
    image = label.image_column or given.get("image_column_name") or IMAGE_COLUMN
    category = label.column or given.get("category_column_name") or CLASS_COLUMN
    return str(image), str(category)


def _read_table(archive: Archive, name: str, columns: tuple[str, str], must_fit: bool) -> Table | None:
    """The table, or None if it lacks the columns and need not fit. Raises ValueError if it must fit or is not readable."""
    try:
        text = archive.tables[name].decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        found = reader.fieldnames or []
        if not set(columns) <= set(found):
            if must_fit:
                raise Refused(
                    f"{archive.path}: {name}: expected columns {' and '.join(columns)}, found {', '.join(found) or 'none'}"
                )
            return None
        image, category = columns
        rows = [((row[image] or "").strip(), (row[category] or "").strip()) for row in reader]
    except UnicodeDecodeError:
        raise Refused(f"{archive.path}: {name}: expected UTF-8 text") from None
    except csv.Error as error:
        raise Refused(f"{archive.path}: {name}: not readable as CSV ({error})") from None
    return Table(tuple(parts(name)[:-1]), rows)
