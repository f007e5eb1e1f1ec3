"""Class balance: a class needs a minimum of images to be kept and gives at most a cap of them; so many classes are taken.

What a hand keeps stays, counts toward both, and is what diversity starts from.
"""

import polars as pl

from pipelines.curation import Curation
from pipelines.diversity import diverse
from pipelines.draw import lots
from pipelines.features import Features
from pipelines.ledger import give

GIVEN = {"key": pl.String, "verdict": pl.String, "reason": pl.String}


def balance(ledger: pl.DataFrame, features: Features, settings: Curation) -> pl.DataFrame:
    """Give `rare_class` to the records of classes below `min_per_class`; `over_cap` to classes beyond `max_classes`, and to
    what is beyond `cap_per_class` in a class.

    Undecided records count, and those that a hand keeps. Which classes are taken is a draw fixed by (seed, label), classes that
    hold an image kept by hand before others; which images a full class keeps is one fixed by (seed, key), or by their features
    (`settings.draw`), whatever the other classes and the order of the rows. Images without features come last.
    """
    by_hand = (pl.col("verdict") == "kept") & (pl.col("override") == "keep")
    counted = ledger.filter(pl.col("verdict").is_null() | by_hand).select("key", "label", hand=pl.col("verdict").is_not_null())
    counted = counted.with_columns(pl.len().over("label").alias("images"), pl.col("hand").sum().over("label").alias("hands"))
    enough = pl.col("images") >= settings.min_per_class
    rare = counted.filter(~enough).select(
        "key",
        "hand",
        verdict=pl.lit("rare_class"),
        reason=pl.format("class has {} usable images, {} are needed", "images", pl.lit(settings.min_per_class)),
    )
    usable, left_out = _drawn_classes(counted.filter(enough), settings)
    given = pl.concat([rare, left_out, _over(usable, features, settings)])
    return give(ledger, given.filter(~pl.col("hand")).select(list(GIVEN)))


def _drawn_classes(counted: pl.DataFrame, settings: Curation) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records of the classes that are taken, and verdicts for all others."""
    classes = counted.select("label", chosen=pl.col("hands") > 0).unique()
    classes = classes.with_columns(lots(classes["label"], settings.seed)).sort(
        "chosen", "lot", "label", descending=[True, False, False]
    )
    taken = classes.head(settings.max_classes or classes.height).select("label")
    reason = f"class is not among the {taken.height} of {classes.height} that are drawn (curation.max_classes)"
    others = counted.join(taken, on="label", how="anti")
    return counted.join(taken, on="label", how="semi"), others.select(
        "key", "hand", verdict=pl.lit("over_cap"), reason=pl.lit(reason)
    )


def _over(usable: pl.DataFrame, features: Features, settings: Curation) -> pl.DataFrame:
    """Verdicts for what full classes do not keep."""
    full = usable.filter(pl.col("images") > settings.cap_per_class)
    full = full.with_columns(lots(full["key"], settings.seed)).sort(
        "label", "hand", "lot", "key", descending=[False, True, False, False]
    )
    how = "drawn" if settings.draw == "random" else f"drawn by {settings.draw}"
    over = [pl.DataFrame(schema=GIVEN | {"hand": pl.Boolean})]
    for (label,), members in full.group_by("label", maintain_order=True):
        kept = _chosen(str(label), members, features, settings)
        over.append(
            members.filter(~pl.col("key").is_in(kept.implode())).select(
                "key",
                verdict=pl.lit("over_cap"),
                reason=pl.format(f"class has {{}} usable images, {settings.cap_per_class} are {how}", "images"),
                hand="hand",
            )
        )
    return pl.concat(over).select("key", "hand", "verdict", "reason")


def _chosen(label: str, members: pl.DataFrame, features: Features, settings: Curation) -> pl.Series:
    """Keys of what a full class keeps: those kept by hand, which stand first, and others up to the cap."""
    hands = int(members["hand"].sum())
    room = max(0, settings.cap_per_class - hands)
    if settings.draw == "random" or not room:
        return members["key"].head(hands + room)
    features_ND, has_N = features.of(members["key"])
    seen = members.filter(has_N)
    count = min(room, seen.height - int(seen["hand"].sum()))
    dice = lots(pl.Series([f"{label}:{number}" for number in range(count)], dtype=pl.String), settings.seed).to_list()
    rows = diverse(features_ND[has_N], count, int(seen["hand"].sum()), settings.draw, dice)
    unseen = members.filter(pl.Series(~has_N) & ~pl.col("hand"))["key"].head(room - count)
    return pl.concat([members["key"].head(hands), seen["key"].gather(rows), unseen])
