"""Class balance: a class needs a minimum of images to be kept and gives at most a cap of them."""

import polars as pl

from pipelines.curation import Curation
from pipelines.draw import lots
from pipelines.ledger import give, undecided


def balance(ledger: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Give `rare_class` to the records of classes below `min_per_class` and `over_cap` beyond `cap_per_class`.

    Only undecided records count. Which ones a full class keeps is a draw fixed by (seed, key).
    """
    rest = undecided(ledger).select("key", "label")
    rest = rest.with_columns(lots(rest["key"], settings.seed), pl.len().over("label").alias("images"))
    rank = pl.struct("lot", "key").rank("ordinal").over("label")
    rare = rest.filter(pl.col("images") < settings.min_per_class).select(
        "key",
        verdict=pl.lit("rare_class"),
        reason=pl.format("class has {} usable images, {} are needed", "images", pl.lit(settings.min_per_class)),
    )
    over = rest.filter((pl.col("images") >= settings.min_per_class) & (rank > settings.cap_per_class)).select(
        "key",
        verdict=pl.lit("over_cap"),
        reason=pl.format("class has {} usable images, {} are drawn", "images", pl.lit(settings.cap_per_class)),
    )
    return give(ledger, pl.concat([rare, over]))
