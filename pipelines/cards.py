"""The card of a domain: what it is, whose it is, where it comes from. One YAML file, `collections/<id>.yaml`."""

import re
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.curation import CurationChanges
from pipelines.licences import canonical
from pipelines.settings import Settings, read_yaml, validate

DOMAIN_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")


class Label(Settings):
    """Where a source says which class a record belongs to. Unset fields are found out by looking."""

    layout: Literal["folders", "table", "meta_album"] | None = None  # files: class folders, a label table, labels.csv + images/
    table: str | None = None  # layout table: the label table's name within the source
    image_column: str | None = None  # tables: the column that holds, names or addresses the picture; shards: its suffix
    column: str | None = None  # tables: the column that holds the label; shards: cls, txt or json:FIELD
    group_column: str | None = Field(
        default=None, min_length=1
    )  # tables: the column of its video or patient; shards: as column


class Source(Settings):
    """Where raw records come from: the kind names the module in `pipelines/sources/` that reads them."""

    kind: str
    locator: str = Field(min_length=1)  # a generator's name, a path, an URL, a hub or OpenML id; `${NAME}` for a secret
    checksum: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    label: Label = Label()
    options: dict[str, Any] = Field(default_factory=dict)  # what this kind of source alone understands; checked by its module


class Group(Settings):
    """Which records may not be parted, told from their names; or by a table: `source.label.group_column`."""

    pattern: str = Field(min_length=1)  # found in source_id; the group is its only capture group, or the one named `group`

    @field_validator("pattern")
    @classmethod
    def _pattern_captures(cls, value: str) -> str:
        try:
            found = re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"expected a regular expression, found {value!r} ({error})") from None
        if found.groups != 1 and "group" not in found.groupindex:
            raise ValueError(f"expected one capture group in parentheses, or one named (?P<group>...), found {value!r}")
        return value


class Counts(Settings):
    """How large the source says it is."""

    classes: int = Field(ge=1)
    images: int = Field(ge=1)


class Card(Settings):
    """A domain as its curator describes it."""

    id: str
    title: str = Field(min_length=1)
    domain: str = Field(min_length=1)  # the subject area, e.g. characters, textures, microscopy
    description: str = Field(min_length=1)
    licence: str = Field(min_length=1)  # an SPDX expression (LicenseRef-... for one without an id), or `unknown`
    citation: str = ""
    homepage: str = ""
    published: str = ""  # when: a year, a month or a day, ISO 8601
    counts: Counts | None = None  # as the source states them, before curation
    source: Source
    group: Group | None = None
    curation: CurationChanges = CurationChanges()

    @field_validator("id")
    @classmethod
    def _id_is_a_name(cls, value: str) -> str:
        if not DOMAIN_ID.fullmatch(value):
            raise ValueError(f"expected a-z, 0-9 and _, starting with a letter, at most 40 characters, found {value!r}")
        return value

    @field_validator("published", mode="before")
    @classmethod
    def _published_is_a_date(cls, value: object) -> object:
        text = str(value) if isinstance(value, int | date) and not isinstance(value, bool) else value  # as YAML reads them
        if text == "" or (isinstance(text, str) and DATE.fullmatch(text) and _is_day(f"{text}-01-01"[:10])):
            return text
        raise ValueError(f"expected a year, a month or a day such as 1998, 1998-11 or 1998-11-30, found {value!r}")

    @field_validator("licence")
    @classmethod
    def _licence_is_spdx(cls, value: str) -> str:
        return canonical(value)

    @model_validator(mode="after")
    def _one_group_rule(self) -> "Card":
        if self.group is not None and self.source.label.group_column is not None:
            raise ValueError("group.pattern and source.label.group_column both say what belongs together; keep one of them")
        return self


def card_files(folder: Path) -> list[Path]:
    """The cards in a folder, by name; what else is YAML there (overrides) has a dot in its stem, which no id has."""
    return sorted(path for path in folder.glob("*.yaml") if "." not in path.stem)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def load_card(path: Path) -> Card:
    """Read and validate a card.

    Raises ValueError (one line: file, field, what was expected) if the file is missing or malformed, or names another domain.
    """
    if not path.exists():
        known = ", ".join(card.stem for card in card_files(path.parent)) or "none"
        raise ValueError(f"{path}: no card for domain {path.stem!r}; write one or pick a known domain ({known})")
    card = validate(Card, read_yaml(path), str(path))
    if card.id != path.stem:
        raise ValueError(f"{path}: id: expected {path.stem!r} as in the file's name, found {card.id!r}")
    return card
