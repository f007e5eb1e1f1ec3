"""The cards that are here as one table: search by words, subject, licence, size and kind of source."""

import argparse
import re
import textwrap
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.cards import card_files, load_card
from pipelines.catalog import SIZES
from pipelines.housekeeping import state
from pipelines.layout import Layout
from pipelines.licences import allowed, canonical

SCHEMA: dict[str, type[pl.DataType]] = {
    "id": pl.String,
    "title": pl.String,
    "subject": pl.String,
    "description": pl.String,
    "kind": pl.String,
    "licence": pl.String,
    "classes": pl.Int64,  # as the source states them; null where it does not
    "images": pl.Int64,
    "size": pl.String,  # one of SIZES or null
    "homepage": pl.String,
    "state": pl.String,  # how far it has come here: card, downloaded, curated, embedded or collected
}
SHOWN = ("id", "subject", "classes", "images", "licence", "kind", "state")
WIDEST = {"subject": 30, "licence": 30}  # characters; longer texts are cut
HINT = "put a line `ID: train` under domains: in params.yaml, or say `python -m pipelines preset meta-album-mini`"


def catalogue(layout: Layout) -> pl.DataFrame:
    """Every card of `collections/`, one row each in the form of SCHEMA, by subject, name and size.

    Raises ValueError (one line: file, field, what was expected) for a card that is malformed.
    """
    rows = [_row(path, layout) for path in card_files(layout.cards)]
    name = pl.col("id").str.replace(rf"_({'|'.join(SIZES)})$", "")
    rank = pl.col("size").replace_strict(SIZES, range(len(SIZES)), default=None, return_dtype=pl.Int8)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort(pl.col("subject").str.to_lowercase(), name, rank, "id")


def _row(path: Path, layout: Layout) -> dict[str, Any]:
    card = load_card(path)
    begun = any(folder.exists() for folder in (layout.raw(card.id), layout.domain(card.id), layout.features(card.id)))
    last = card.id.rpartition("_")[2]
    return {
        "id": card.id,
        "title": card.title,
        "subject": card.domain,
        "description": card.description,
        "kind": card.source.kind,
        "licence": card.licence,
        "classes": card.counts.classes if card.counts else None,
        "images": card.counts.images if card.counts else None,
        "size": last if last in SIZES else None,
        "homepage": card.homepage,
        "state": state(card.id, layout) if begun else "card",  # most are cards only: do not read the manifest for each
    }


def find(
    frame: pl.DataFrame,
    words: Sequence[str] = (),
    subject: str | None = None,
    licence: Sequence[str] = (),
    max_images: int | None = None,
    min_classes: int | None = None,
    kind: str | None = None,
    size: str | None = None,
) -> pl.DataFrame:
    """The rows that fit everything that is given, in the order of `frame`; capitals and small letters are the same.

    Every word must occur in the id, title, subject or description, and `subject` within the subject. `licence` lists SPDX
    expressions or patterns such as CC-BY*: one must fit, for `A AND B` one on each side. Where a source states no counts, no
    limit on them fits. Raises ValueError for a licence that is neither an SPDX expression nor a pattern.
    """
    text = pl.concat_str("id", "title", "subject", "description", separator="\n").str.to_lowercase()
    fits = [text.str.contains(word.lower(), literal=True) for word in words]
    if subject is not None:
        fits.append(pl.col("subject").str.to_lowercase().str.contains(subject.lower(), literal=True))
    if licence:
        patterns = [_pattern(wanted) for wanted in licence]
        fits.append(pl.col("licence").is_in([given for given in frame["licence"].unique() if _fits(given, patterns)]))
    if max_images is not None:
        fits.append(pl.col("images") <= max_images)
    if min_classes is not None:
        fits.append(pl.col("classes") >= min_classes)
    if kind is not None:
        fits.append(pl.col("kind") == kind)
    if size is not None:
        fits.append(pl.col("size") == size)
    return frame.filter(*fits)


def _pattern(licence: str) -> str:
    if any(sign in licence for sign in "*?["):
        return licence.lower()
    try:
        return canonical(licence).lower()
    except ValueError as error:
        raise ValueError(f"--licence: {error}; CC-BY* and the like are patterns") from None


def _fits(licence: str, patterns: Sequence[str]) -> bool:
    if any(fnmatchcase(licence.lower(), pattern) for pattern in patterns):
        return True
    parts = [part for part in re.findall(r"[^\s()]+", licence) if part not in ("AND", "OR", "WITH")]
    return allowed(licence, [part for part in parts if any(fnmatchcase(part.lower(), pattern) for pattern in patterns)])


def show(frame: pl.DataFrame, total: int) -> str:
    """The rows as a table of at most 150 columns, with what to do next; a single row also with what its card says."""
    cells = [list(SHOWN), *([_cell(name, row[name]) for name in SHOWN] for row in frame.iter_rows(named=True))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(SHOWN))]
    right = [name in ("classes", "images") for name in SHOWN]
    lines = [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]
    if frame.height == 1:
        row = frame.row(0, named=True)
        lines += ["", row["title"], *textwrap.wrap(row["description"], 120), f"licence: {row['licence']}"]
        lines += [row["homepage"]] if row["homepage"] else []
    found = f"{frame.height} of {total} domains"
    return "\n".join([*lines, "", f"{found}; {HINT}" if frame.height else found])


def _cell(name: str, value: object) -> str:
    text = "-" if value is None else str(value)
    widest = WIDEST.get(name, len(text))
    return text if len(text) <= widest else text[: widest - 3] + "..."


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Print the cards that fit; exit status 1 if none does."""
    frame = catalogue(layout)
    names = ("words", "subject", "licence", "max_images", "min_classes", "kind", "size")
    found = find(frame, **{name: getattr(arguments, name) for name in names})
    print(show(found, frame.height))
    return 0 if found.height else 1
