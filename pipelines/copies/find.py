"""Near copies among pictures, or between two sets of them: proposals by hashes and features, confirmed on thumbnails."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl

from pipelines.copies.agree import judge
from pipelines.copies.align import aligned
from pipelines.copies.likeliest import PROPOSED, likeliest
from pipelines.copies.proposals import NAMES, proposals
from pipelines.copies.propose import Floats, Indices
from pipelines.copies.seen import Seen
from pipelines.copies.threads import in_order
from pipelines.copies.turns import INVERSE, turned
from pipelines.copies.waves import MIDDLES, inverse, placement

BLOCK_PAIRS = 512  # looked at at once
PROMISING = 0.85  # correlation of two thumbnails as they are laid, the least with which they are judged
FLOOR = 0.5  # agreement below which a pair is not worth keeping as evidence

PAIRS: dict[str, type[pl.DataType]] = {
    "a": pl.Int64,
    "b": pl.Int64,
    "proposed_by": pl.String,  # hashes or features
    "transform": pl.String,  # what turns picture a into picture b
    "distance": pl.Int32,  # bits between the hashes; of middles, where these proposed the pair
    "agreement": pl.Float32,  # 0 to 1
    "scale": pl.Float32,  # of what lies in b: below 1 it is a cut-out of a, above 1 a lies within it
}


def pairs_within(seen: Seen, turns: bool = True) -> pl.DataFrame:
    """Pairs of pictures that may be copies, a < b, in the form of PAIRS: one row a pair, sorted; those that agree at FLOOR."""
    return _pairs(seen, seen, turns, within=True)


def pairs_between(ours: Seen, theirs: Seen, turns: bool = True) -> pl.DataFrame:
    """Pairs of our pictures (a) and theirs (b), in the form of `pairs_within`."""
    return _pairs(ours, theirs, turns, within=False)


def agreements(seen: Seen, a_P: Indices, b_P: Indices, turns: Sequence[str]) -> Floats:
    """How well picture a agrees with picture b after the turn, 0 to 1 [P]; the best of whole on whole, cut and framed."""
    views = range(-len(MIDDLES), len(MIDDLES) + 1)
    columns = {"a": a_P, "b": b_P, "turn": [NAMES.index(turn) for turn in turns], "pair": np.arange(len(a_P))}
    asked = pl.DataFrame(columns).join(pl.DataFrame({"view": list(views)}), how="cross")
    asked = asked.with_columns(distance=pl.lit(0, pl.Int16), likeness=pl.lit(1.0, pl.Float32), by_features=pl.lit(False))
    asked = asked.with_columns(pl.col(name).cast(kind) for name, kind in PROPOSED.items())
    best = np.zeros(len(a_P), np.float32)
    for block in asked.iter_slices(BLOCK_PAIRS):
        rows, agreement, _ = _looked_at(seen, seen, block)
        np.maximum.at(best, block["pair"].to_numpy()[rows], agreement)
    return best


def _pairs(ours: Seen, theirs: Seen, turns: bool, within: bool) -> pl.DataFrame:
    return _confirmed(ours, theirs, likeliest(proposals(ours, theirs, NAMES if turns else NAMES[:1], within)), within)


def _confirmed(ours: Seen, theirs: Seen, proposed: pl.DataFrame, within: bool) -> pl.DataFrame:
    """One row a pair in the form of PAIRS, of those that pixels bear out."""
    found = in_order(partial(_judged, ours, theirs), proposed.iter_slices(BLOCK_PAIRS))
    pairs = pl.concat([pl.DataFrame(schema=PAIRS), *found])
    if within:
        pairs = _one_way(pairs)
    # of several ways to lay a pair the best counts; among equals the unturned one
    plain = pl.col("transform") != "none"
    ranked = pairs.sort("a", "b", -pl.col("agreement").round(2), plain, "transform", "proposed_by", maintain_order=True)
    return ranked.unique(["a", "b"], keep="first", maintain_order=True)


def _one_way(pairs: pl.DataFrame) -> pl.DataFrame:
    """The same pairs with a < b."""
    back = pairs.filter(pl.col("a") > pl.col("b"))
    back = back.with_columns(a="b", b="a", transform=pl.col("transform").replace(INVERSE), scale=1 / pl.col("scale"))
    return pl.concat([pairs.filter(pl.col("a") < pl.col("b")), back.select(pairs.columns)])


def _placements() -> Floats:
    """Where the second picture lies in the first, by `view` + len(MIDDLES)."""
    parts = [placement(view) for view in MIDDLES]
    whole = np.array([1, 0, 1, 0], np.float32)
    return np.stack([*reversed(parts), whole, *(inverse(part) for part in parts)])


def _judged(ours: Seen, theirs: Seen, pairs: pl.DataFrame) -> pl.DataFrame:
    """Those of the proposed pairs that agree well enough to be kept as evidence."""
    rows, agreement, laid = _looked_at(ours, theirs, pairs)
    kept = pairs[rows]
    columns = {
        "a": kept["a"].cast(pl.Int64),
        "b": kept["b"].cast(pl.Int64),
        "proposed_by": pl.Series(np.where(kept["by_features"].to_numpy(), "features", "hashes"), dtype=pl.String),
        "transform": pl.Series([NAMES[number] for number in kept["turn"]], dtype=pl.String),
        "distance": kept["distance"].cast(pl.Int32),
        "agreement": agreement,
        "scale": np.sqrt(laid[:, 0] * laid[:, 2]),
    }
    return pl.DataFrame(columns, schema=PAIRS)


def _looked_at(ours: Seen, theirs: Seen, pairs: pl.DataFrame) -> tuple[Indices, Floats, Floats]:
    """Which of the proposed pairs agree at FLOOR or better [K], how well [K], and how they lie [K, 4]."""
    a, b, turn = (pairs[name].to_numpy() for name in ("a", "b", "turn"))
    first, second = ours.thumbs.take(a), theirs.thumbs.take(b)
    grey, colours = first.grey_NHW.astype(np.float32), first.colour_NPPC.copy()
    for number in np.unique(turn):
        rows = turn == number
        grey[rows], colours[rows] = turned(grey[rows], NAMES[number]), turned(colours[rows], NAMES[number])
    other = second.grey_NHW.astype(np.float32)
    laid, correlation = aligned(grey, other, _placements()[pairs["view"].to_numpy() + len(MIDDLES)])
    rows = np.flatnonzero(correlation >= PROMISING)
    sides = ours.sides_N[a[rows]], theirs.sides_N[b[rows]]
    agreement = judge((grey[rows], colours[rows]), (other[rows], second.colour_NPPC[rows]), laid[rows], sides)
    good = agreement >= FLOOR
    return rows[good], agreement[good], laid[rows[good]]
