"""Splits: by class where every split keeps enough classes, else by image within each class."""

from typing import Literal

import polars as pl

from pipelines.curation import Curation, Splits
from pipelines.draw import lots


def split(ledger: pl.DataFrame, settings: Curation) -> tuple[pl.DataFrame, Literal["class", "image"]]:
    """Set the column `split` of every kept record; says whether whole classes or images were drawn.

    Copies never straddle splits, for at most one of a cluster is kept. The draw is fixed by (seed, label) or (seed, key).
    Raises ValueError if `splits.by` is `class` and a split would keep fewer than `splits.min_classes`.
    """
    kept = ledger.filter(pl.col("verdict") == "kept").select("key", "label")
    labels = kept["label"].unique().sort()
    sizes = _sizes(labels.len(), settings.splits)
    asked = [size for size, share in zip(sizes, (1.0, settings.splits.validation, settings.splits.test), strict=True) if share]
    enough = min(asked) >= settings.splits.min_classes
    if settings.splits.by == "class" and not enough:
        raise ValueError(
            f"curation.splits.by: class needs {settings.splits.min_classes} classes in every split, "
            f"but {labels.len()} classes give {sizes}; use `by: image` or `auto`"
        )
    if settings.splits.by != "image" and enough:
        placed = pl.DataFrame({"label": labels}).with_columns(lots(labels, settings.seed)).sort("lot", "label")
        placed = placed.with_columns(split=pl.Series(_names(sizes)))
        chosen = kept.join(placed.select("label", "split"), on="label")
        by: Literal["class", "image"] = "class"
    else:
        chosen, by = _by_image(kept, settings), "image"
    joined = ledger.drop("split").join(chosen.select("key", "split"), on="key", how="left", maintain_order="left")
    return joined.select(ledger.columns), by


def _sizes(total: int, splits: Splits) -> tuple[int, int, int]:
    """How many of `total` go to train, validation and test."""
    validation, test = round(total * splits.validation), round(total * splits.test)
    return total - validation - test, validation, test


def _names(sizes: tuple[int, int, int]) -> list[str]:
    return ["train"] * sizes[0] + ["validation"] * sizes[1] + ["test"] * sizes[2]


def _by_image(kept: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    parts = []
    for _, group in (
        kept.with_columns(lots(kept["key"], settings.seed)).sort("lot", "key").group_by("label", maintain_order=True)
    ):
        parts.append(group.with_columns(split=pl.Series(_names(_sizes(group.height, settings.splits)), dtype=pl.String)))
    return pl.concat(parts) if parts else kept.with_columns(split=pl.lit(None, dtype=pl.String))
