"""What a person decided by hand on single records, `collections/<domain>.overrides.yaml`; it wins over every rule.

keep:
  3f2a...-9c1d22aa: {reason: the only photograph of the back}
drop:
  77ab...-00ff1234: {reason: a hand covers the coin}
relabel:
  0a1b...-12345678: {label: "2e", reason: is a two euro coin}
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field, field_validator, model_validator

from pipelines.cards import card_files
from pipelines.files import atomic_folder, write_bytes
from pipelines.layout import Layout
from pipelines.settings import Settings, read_yaml, validate

LONGEST = 500  # characters of a reason or a label
NOTHING = b"# nothing was decided by hand\n"  # DVC warns of an empty file


class Decision(Settings):
    """Why a hand decided as it did."""

    reason: str = Field(max_length=LONGEST)

    @field_validator("reason")
    @classmethod
    def _reason_says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty; expected why, in words")
        return " ".join(value.split())


class Relabelling(Decision):
    """The class a record belongs to; one that no record had before is a new class."""

    label: str = Field(max_length=LONGEST)

    @field_validator("label", mode="before")
    @classmethod
    def _label_is_text(cls, value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(f"expected text, found {value!r}; put it in quotes")
        if not value.strip():
            raise ValueError("is empty; expected the name of a class")
        return value


class Overrides(Settings):
    """Decisions by record key; a key stands under one of them only."""

    keep: dict[str, Decision] = Field(default_factory=dict)
    drop: dict[str, Decision] = Field(default_factory=dict)
    relabel: dict[str, Relabelling] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _an_empty_part_is_none(cls, values: Any) -> Any:
        return {name: part for name, part in values.items() if part is not None} if isinstance(values, dict) else values

    def rows(self) -> Iterator[tuple[str, str, Decision]]:
        """(keep, drop or relabel; key; decision) of every record decided on."""
        parts: dict[str, Mapping[str, Decision]] = {"keep": self.keep, "drop": self.drop, "relabel": self.relabel}
        for hand, part in parts.items():
            for key, decision in part.items():
                yield hand, key, decision


NO_OVERRIDES = Overrides()


def load_overrides(path: Path) -> Overrides:
    """Read a domain's overrides; none where there is no file or it holds nothing.

    Raises ValueError (one line: file, key, what was expected) if the file is malformed or decides twice on a record.
    """
    if not path.exists() or not path.read_bytes().strip():
        return NO_OVERRIDES
    overrides = validate(Overrides, read_yaml(path), str(path))
    seen: dict[str, str] = {}
    for hand, key, _ in overrides.rows():
        if key in seen:
            raise ValueError(f"{path}: {hand}: {key}: stands under {seen[key]} too; expected one decision a record")
        seen[key] = hand
    return overrides


def apply(ledger: pl.DataFrame, overrides: Overrides, where: str) -> pl.DataFrame:
    """Set `override` and `label`, and give kept and dropped_by_hand, whatever verdict stood there.

    Raises ValueError (one line: `where`, key, what was expected) for a key that is not in the ledger, a relabelling to the
    label that the record has, and keeping or relabelling what cannot be read.
    """
    rows = [(key, hand, decision.reason, getattr(decision, "label", None)) for hand, key, decision in overrides.rows()]
    schema = ["key", "hand", "why", "hand_label"]
    given = pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.String), orient="row")
    _check(ledger, given, where)
    joined = ledger.join(given, on="key", how="left", maintain_order="left")
    hand, kept, dropped = pl.col("hand"), pl.col("hand") == "keep", pl.col("hand") == "drop"
    return joined.with_columns(
        override=hand,
        label=pl.coalesce("hand_label", "label"),
        verdict=pl.when(kept).then(pl.lit("kept")).when(dropped).then(pl.lit("dropped_by_hand")).otherwise("verdict"),
        reason=pl.when(kept | dropped).then(_said()).otherwise("reason"),
        kept_key=pl.when(kept).then("key").otherwise("kept_key"),
    ).select(ledger.columns)


def _said() -> pl.Expr:
    verb = pl.col("hand").replace_strict({"keep": "kept", "drop": "dropped", "relabel": "relabelled"}, return_dtype=pl.String)
    return pl.format("{} by hand: {}", verb, "why")


def _check(ledger: pl.DataFrame, given: pl.DataFrame, where: str) -> None:
    known = given.join(ledger.select("key", "label", "verdict", "reason"), on="key", how="left", maintain_order="left")
    for row in known.iter_rows(named=True):
        at = f"{where}: {row['hand']}: {row['key']}"
        if row["label"] is None:
            raise ValueError(f"{at}: no record has this key; expected one of the domain's ledger.parquet")
        if row["verdict"] == "unreadable" and row["hand"] != "drop":
            raise ValueError(f"{at}: the picture cannot be read ({row['reason']}); expected a readable one, or drop")
        if row["hand_label"] == row["label"]:
            raise ValueError(f"{at}: label: the record is labelled {row['label']!r} already; expected another label")


def tell_relabelled(ledger: pl.DataFrame, overrides: Overrides) -> pl.DataFrame:
    """Say behind the reason of every relabelled record from which label it came and why."""
    rows = [(key, decision.reason) for key, decision in overrides.relabel.items()]
    given = pl.DataFrame(rows, schema={"key": pl.String, "why": pl.String}, orient="row")
    joined = ledger.join(given, on="key", how="left", maintain_order="left")
    told = pl.format("{}; relabelled by hand: {} (was '{}')", "reason", "why", "source_label")
    return joined.with_columns(reason=pl.coalesce(told, "reason")).select(ledger.columns)


def lay_out(layout: Layout) -> str:
    """Write what DVC depends on: for each card a copy of its overrides, a file that says so where there are none.

    Returns in words for which domains hands decided. Raises ValueError if a file is malformed, and leaves what was there.
    """
    with atomic_folder(layout.seen) as target:
        names = [card.stem for card in card_files(layout.cards)]
        found = [name for name in names if layout.overrides(name).exists()]
        for name in names:
            load_overrides(layout.overrides(name))
            write_bytes(target / f"{name}.yaml", layout.overrides(name).read_bytes() if name in found else NOTHING)
    return f"hands decided on {', '.join(found)}" if found else "hands decided on nothing"
