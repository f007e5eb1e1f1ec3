"""The evidence that two pictures are copies, a row a pair: which step says so and how sure it is.

Pairs that fell short are kept as well, so that a threshold can be judged.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.clusters import Near
from pipelines.copies.turns import INVERSE, QUARTER_TURNS

SHAPE_TOLERANCE = 1.5  # between the proportions of two copies: people squash pictures, but a bar is no square
SHOWN = 0.8  # agreement from which on a pair that is no copy is kept as evidence all the same

EVIDENCE: dict[str, type[pl.DataType]] = {
    "key_a": pl.String,
    "key_b": pl.String,
    "step": pl.String,  # bytes, pixels or near
    "proposed_by": pl.String,  # near: hashes, features or cluster (copies of both hang together); else the step
    "distance": pl.Int32,  # bits between the perceptual hashes; 0 for exact copies, null where a cluster proposed
    "agreement": pl.Float32,  # 0 to 1
    "transform": pl.String,  # what turns the picture of key_a into that of key_b
    "scale": pl.Float32,  # below 1: b is a cut-out of a; above 1: a lies within b
    "copies": pl.Boolean,  # whether the pair counts: it agrees well enough, and its labels allow the turn
}


def exact_pairs(ranked: pl.DataFrame) -> pl.DataFrame:
    """Each exact copy beside the best of its kind: the best with the same bytes, or of those the best with the same pixels."""
    first = ranked.with_columns(
        same_bytes=pl.col("key").first().over("sha256"),
        same_pixels=pl.col("key").first().over(pl.coalesce("pixel_hash", "sha256")),
    )
    by_bytes = first.filter(pl.col("key") != pl.col("same_bytes")).select("key", other="same_bytes", step=pl.lit("bytes"))
    by_pixels = first.filter((pl.col("key") == pl.col("same_bytes")) & (pl.col("key") != pl.col("same_pixels")))
    both = pl.concat([by_bytes, by_pixels.select("key", other="same_pixels", step=pl.lit("pixels"))])
    return exact_rows(
        both.select(pl.min_horizontal("key", "other").alias("key_a"), pl.max_horizontal("key", "other").alias("key_b"), "step")
    )


def exact_rows(pairs: pl.DataFrame) -> pl.DataFrame:
    """Evidence of pairs (key_a, key_b, step) whose bytes or pixels are equal."""
    certain = {
        "proposed_by": pl.col("step"),
        "distance": pl.lit(0, pl.Int32),
        "agreement": pl.lit(1.0, pl.Float32),
        "transform": pl.lit("none"),
        "scale": pl.lit(1.0, pl.Float32),
        "copies": pl.lit(True),
    }
    return pairs.with_columns(**certain).select(list(EVIDENCE))


def near_rows(pairs: pl.DataFrame, keys: pl.Series, other_keys: pl.Series, agreement: float) -> pl.DataFrame:
    """Evidence of the pairs that `copies` found between numbered pictures; those far from `agreement` are left out."""
    shown = pairs.filter(pl.col("agreement") >= min(SHOWN, agreement))
    return shown.select(
        pl.Series("key_a", keys.gather(shown["a"])),
        pl.Series("key_b", other_keys.gather(shown["b"])),
        pl.lit("near").alias("step"),
        "proposed_by",
        "distance",
        "agreement",
        "transform",
        "scale",
        (pl.col("agreement") >= agreement).alias("copies"),
    )


def compared_rows(pairs: Sequence[tuple[str, str, Near]]) -> pl.DataFrame:
    """Evidence of pairs (keeper, other, how it lies) that were compared because copies of them hang together."""
    rows = []
    for keeper, key, near in pairs:
        a, b, turn = (
            (keeper, key, near.transform) if keeper < key else (key, keeper, INVERSE.get(near.transform, near.transform))
        )
        rows.append((a, b, "near", "cluster", None, near.agreement, turn, None, True))
    return pl.DataFrame(rows, schema=EVIDENCE, orient="row")


def sides(records: pl.DataFrame) -> npt.NDArray[np.float32]:
    """Root of width times height of each record, px."""
    area = pl.col("width").cast(pl.Float32) * pl.col("height").cast(pl.Float32)
    return records.select(area.sqrt()).to_series().to_numpy()


def shape() -> pl.Expr:
    """Width over height of the upright picture."""
    stored = pl.col("width") / pl.col("height")
    return pl.when(pl.col("exif_orientation") >= 5).then(1 / stored).otherwise(stored)


def same_shape(ours: str, theirs: str) -> pl.Expr:
    """Whether the pictures of a pair, squashed alike in their thumbnails, have about the same proportions."""
    one = pl.col(ours)
    laid = pl.when(pl.col("transform").is_in(QUARTER_TURNS)).then(1 / one).otherwise(one)
    return (laid / pl.col(theirs)).log().abs() <= math.log(SHAPE_TOLERANCE)
