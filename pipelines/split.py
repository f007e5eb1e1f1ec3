"""Splits: by class where every split keeps enough classes, else by image within each class. Units are never parted.

A unit is what hangs together by copies and by groups (`groups.units`). Where a unit spans several classes, a split by class
keeps these classes together; where they then do not spread over the splits well enough, the split is by image instead.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.curation import Curation, Splits
from pipelines.draw import lots
from pipelines.groups import joined, units
from pipelines.ledger import SPLITS

By = Literal["class", "image"]
Left = dict[str, npt.NDArray[np.int64]]  # of each class, what train, validation and test still lack


class Split(NamedTuple):
    """A ledger with its column `split`, what was drawn, and why that, in words."""

    ledger: pl.DataFrame
    by: By
    reason: str


def split(ledger: pl.DataFrame, settings: Curation) -> Split:
    """Set the column `split` of every kept record.

    The shares are met as nearly as whole units allow. The draw is fixed by (seed, label) or (seed, key), whatever the order of
    the rows. Raises ValueError if `splits.by` is `class` and a split would keep fewer than `splits.min_classes`.
    """
    kept = ledger.filter(pl.col("verdict") == "kept").select("key", "label", "cluster", "group")
    kept = kept.with_columns(units(kept))
    by_class, reason = None, "splits.by is image"
    if settings.splits.by != "image":
        by_class, reason = _by_class(kept, settings)
        if by_class is None and settings.splits.by == "class":
            raise ValueError(f"curation.splits.by: class needs {reason}; use `by: image` or `auto`")
        reason = reason if by_class is not None else f"one by class needs {reason}"
    chosen = _by_image(kept, settings) if by_class is None else kept.join(by_class, on="label")
    found = ledger.drop("split").join(chosen.select("key", "split"), on="key", how="left", maintain_order="left")
    return Split(found.select(ledger.columns), "image" if by_class is None else "class", reason)


def place(unit: dict[str, int], left: Left, totals: dict[str, int]) -> str:
    """The split of a unit of several images, counted by class: where it lowers the squared error of the classes' shares most.

    What it takes is taken off `left`. Of units within one class, the largest first, no split misses its target by as much as
    the largest unit.
    """
    gain_S = sum(left[label] * (count / totals[label] ** 2) for label, count in sorted(unit.items()))
    chosen = int(np.argmax(gain_S))
    for label, count in unit.items():
        left[label][chosen] -= count
    return SPLITS[chosen]


def fill(singles: int, left_S: npt.NDArray[np.int64]) -> list[str]:
    """Splits for this many images in the order of their lots, each to where most is lacking: train first, then the others."""
    counts_S, left_S = np.zeros_like(left_S), left_S.copy()
    for _ in range(singles):
        lacking = int(np.argmax(left_S))
        counts_S[lacking] += 1
        left_S[lacking] -= 1
    return [name for name, count in zip(SPLITS, counts_S, strict=True) for _ in range(count)]


def _by_class(kept: pl.DataFrame, settings: Curation) -> tuple[pl.DataFrame | None, str]:
    """The split of each label, or None where a split would keep too few of them; and the reason for either."""
    parts = joined(kept["label"], kept["unit"]).rename({"name": "label"})
    parts = parts.with_columns(pl.len().over("part").alias("classes"), lots(parts["part"], settings.seed))
    total, wanted = parts.height, settings.splits
    left: Left = {"": _targets(total, wanted)}
    tied = parts.filter(pl.col("classes") > 1)
    bundles = tied.select("part", "classes", "lot").unique().sort("classes", "lot", "part", descending=[True, False, False])
    names = {part: place({"": classes}, left, {"": total}) for part, classes, _ in bundles.iter_rows()}
    singles = parts.filter(pl.col("classes") == 1).sort("lot", "label")
    names |= dict(zip(singles["part"], fill(singles.height, left[""]), strict=True))
    drawn = parts.select("label", pl.col("part").replace_strict(names, return_dtype=pl.String).alias("split"))
    sizes = tuple(int((drawn["split"] == name).sum()) for name in SPLITS)
    asked = [size for size, share in zip(sizes, (1.0, wanted.validation, wanted.test), strict=True) if share]
    if min(asked) >= wanted.min_classes:
        return drawn, f"every split keeps {wanted.min_classes} classes or more"
    hanging = f", {tied.height} of which hang together by groups or copies," if tied.height else ""
    return None, f"{wanted.min_classes} classes in every split, but {total} classes{hanging} give {sizes}"


def _by_image(kept: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Keys with their split."""
    totals: dict[str, int] = dict(kept.group_by("label").len().iter_rows())
    left = {label: _targets(total, settings.splits) for label, total in totals.items()}
    kept = kept.with_columns(pl.len().over("unit").alias("images"))
    found = [pl.DataFrame(schema={"key": pl.String, "split": pl.String})]
    several = kept.filter(pl.col("images") > 1)
    if several.height:
        named = {unit: place(counts, left, totals) for unit, counts in _largest_first(several, settings.seed)}
        found.append(several.select("key", pl.col("unit").replace_strict(named, return_dtype=pl.String).alias("split")))
    singles = kept.filter(pl.col("images") == 1)
    for (label,), rows in singles.with_columns(lots(singles["key"], settings.seed)).sort("lot", "key").group_by("label"):
        found.append(rows.select("key", split=pl.Series(fill(rows.height, left[str(label)]), dtype=pl.String)))
    return pl.concat(found)


def _largest_first(several: pl.DataFrame, seed: int) -> Sequence[tuple[str, dict[str, int]]]:
    """Units with their images by class, the largest first, then by lot."""
    counted: dict[str, dict[str, int]] = {}
    for unit, label, count in several.group_by("unit", "label").len().iter_rows():
        counted.setdefault(unit, {})[label] = count
    names = pl.Series(sorted(counted), dtype=pl.String)
    order = dict(zip(names, lots(names, seed), strict=True))
    return sorted(counted.items(), key=lambda item: (-sum(item[1].values()), order[item[0]], item[0]))


def _targets(total: int, splits: Splits) -> npt.NDArray[np.int64]:
    """How many of `total` go to train, validation and test."""
    validation, test = round(total * splits.validation), round(total * splits.test)
    return np.array([total - validation - test, validation, test], np.int64)
