"""Near copies among pictures, or between two sets of them: proposals by hashes and features, confirmed on thumbnails."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.copies.agree import judge
from pipelines.copies.align import aligned
from pipelines.copies.propose import Floats, Indices, buckets, codes_of
from pipelines.copies.stacked import StackedFeatures, StackedThumbs
from pipelines.copies.store import ThumbRows
from pipelines.copies.threads import in_order
from pipelines.copies.turns import INVERSE, TURNS, turned, turned_waves
from pipelines.copies.waves import BAND, MIDDLES, WHOLE, View, hashes, inverse, placement, waves
from pipelines.features import FeatureRows

MOST_BITS = 16  # of 63 in which the hashes of a proposed pair differ at most
LEAST_LIKENESS = 0.85  # cosine of the waves of a proposed pair
WAYS = 2  # in which one pair is looked at, ...
AS_LIKELY = 0.03  # ... the second if it is about as likely as the first
LIKELIEST = 8  # other pictures that one picture is compared with, beside those that it is among the likeliest of
FEATURE_BITS = 64
FEATURE_MOST_BITS = 14
LEAST_FEATURE_LIKENESS = 0.85
FLAT = 2.0  # grey levels; a picture that deviates less is no evidence of anything
BLOCK_PAIRS = 512  # looked at at once
BLOCK_WAVES = 4096  # pictures asked about at once
FEW = 100  # pictures that are compared all with all
BLOCK_THUMBS = 512  # pictures whose pixels are looked through at once
PROMISING = 0.85  # correlation of two thumbnails as they are laid, the least with which they are judged
FLOOR = 0.5  # agreement below which a pair is not worth keeping as evidence
COEFFICIENTS = BAND * BAND
NAMES = tuple(TURNS)
MOST_HELD = 1_000_000  # proposals in memory, or twice what was left the last time, before they are thinned out

PAIRS: dict[str, type[pl.DataType]] = {
    "a": pl.Int64,
    "b": pl.Int64,
    "proposed_by": pl.String,  # hashes or features
    "transform": pl.String,  # what turns picture a into picture b
    "distance": pl.Int32,  # bits between the hashes; of middles, where these proposed the pair
    "agreement": pl.Float32,  # 0 to 1
    "scale": pl.Float32,  # of what lies in b: below 1 it is a cut-out of a, above 1 a lies within it
}


@dataclass(frozen=True)
class Seen:
    """Pictures as the search sees them. `sides_N`: root of width times height, px. `features`: theirs, or None.

    `sets_N`: where given, only pairs of pictures of different sets are looked for.
    """

    thumbs: ThumbRows | StackedThumbs
    sides_N: Floats
    features: FeatureRows | StackedFeatures | None = None
    sets_N: Indices | None = None

    def __len__(self) -> int:
        return len(self.thumbs)

    def waves(self, view: View) -> Floats:
        """Cosine coefficients of a view of each picture [N, BAND, BAND]."""
        found = np.empty((len(self), BAND, BAND), np.float32)
        for part in _blocks(len(self), BLOCK_THUMBS):
            found[part] = waves(self.thumbs.take(part).grey_NHW, view)
        return found

    @cached_property
    def waves_NFF(self) -> Floats:
        """Cosine coefficients of the whole pictures."""
        return self.waves(WHOLE)

    @cached_property
    def tells_N(self) -> npt.NDArray[np.bool_]:
        """Whether a picture shows anything at all."""
        deviation = np.empty(len(self), np.float32)
        for part in _blocks(len(self), BLOCK_THUMBS):
            deviation[part] = self.thumbs.take(part).grey_NHW.std((1, 2))
        return deviation >= FLAT


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
    return _confirmed(ours, theirs, _likeliest(_proposals(ours, theirs, NAMES if turns else NAMES[:1], within)), within)


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


PROPOSED: dict[str, type[pl.DataType]] = {
    "a": pl.Int32,
    "b": pl.Int32,
    "turn": pl.Int8,  # of a, its place in NAMES
    "view": pl.Int8,  # 0: whole on whole; i: a is view i of b; -i: b is view i of a (of MIDDLES, from 1)
    "distance": pl.Int16,
    "likeness": pl.Float32,
    "by_features": pl.Boolean,
}


def _likeliest(proposals: Iterator[pl.DataFrame]) -> pl.DataFrame:
    """Of each pair the likeliest ways to lay it, and of each picture the likeliest others; sorted."""
    kept, most = pl.DataFrame(schema=PROPOSED), MOST_HELD
    for part in proposals:
        kept = pl.concat([kept, part])
        if kept.height > most:
            kept = _thinned(kept)
            most = max(MOST_HELD, 2 * kept.height)
    kept = _thinned(kept)
    return kept.sort("a", "b", "turn", "view")


def _thinned(proposed: pl.DataFrame) -> pl.DataFrame:
    # numpy's sorts hold a few numbers a proposal; those of a frame hold all columns several times
    a, b, turn, view, likeness = (proposed[name].to_numpy() for name in ("a", "b", "turn", "view", "likeness"))
    order = np.lexsort((view, turn, -np.rint(likeness * 1000).astype(np.int16), b, a))  # of ways as likely the plainest
    a, b, likeness = a[order], b[order], likeness[order]
    new = np.ones(len(a), bool)
    new[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    pair, starts = np.cumsum(new, dtype=np.int64) - 1, np.flatnonzero(new)
    best = np.maximum.reduceat(likeness, starts) if len(starts) else likeness
    likely = (np.arange(len(a)) - starts[pair] < WAYS) & (likeness >= best[pair] - np.float32(AS_LIKELY))
    near = (_ranks(a[starts], best) < LIKELIEST) | (_ranks(b[starts], best) < LIKELIEST)
    near[pair[proposed["by_features"].to_numpy()[order]]] = True
    return proposed[order[likely & near[pair]]]


def _ranks(pictures_P: npt.NDArray[np.int32], likeness_P: Floats) -> Indices:
    """Place of each pair among those of its picture, the likeliest first, from 0; of those as likely the first given."""
    order = np.lexsort((-likeness_P, pictures_P))
    ordered = pictures_P[order]
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return ranks


def _proposals(ours: Seen, theirs: Seen, names: Sequence[str], within: bool) -> Iterator[pl.DataFrame]:
    """Pairs by their hashes, a view and a turn at a time; then by features."""
    if len(ours) == 0 or len(theirs) == 0:
        return
    yield from _by_hashes(ours, theirs, names, 0, within)
    for view in range(1, len(MIDDLES) + 1):
        yield from _by_hashes(ours, theirs, names, view, within)
        if not within:  # within one set the other way round is met at the other picture
            for found in _by_hashes(theirs, ours, names, view, within):
                yield found.with_columns(
                    a="b",
                    b="a",
                    view=-pl.col("view"),
                    turn=pl.col("turn").replace_strict(_INVERSE_NUMBERS, return_dtype=pl.Int8),
                ).select(list(PROPOSED))
    if ours.features is not None and theirs.features is not None:
        yield from _by_features(ours, theirs, within)


_INVERSE_NUMBERS = {number: NAMES.index(INVERSE.get(name, name)) for number, name in enumerate(NAMES)}


def _by_hashes(ours: Seen, theirs: Seen, names: Sequence[str], view: int, within: bool) -> Iterator[pl.DataFrame]:
    """Pairs of which our whole picture looks like that view of theirs."""
    others = theirs.waves(MIDDLES[view - 1]) if view else theirs.waves_NFF
    others_NK = others.reshape(len(others), -1)
    lengths_N = _lengths(others_NK)
    tells = ours.tells_N, theirs.tells_N
    codes = hashes(others)
    table = buckets(codes, COEFFICIENTS, first=1) if len(theirs) > FEW else None
    assert table is None or table.tables  # made before threads share them

    def asked(job: tuple[int, int]) -> pl.DataFrame:
        number, start = job
        mine = turned_waves(ours.waves_NFF[start : start + BLOCK_WAVES], names[number])
        mine_BK = mine.reshape(len(mine), -1)
        if table is None:  # all with all is less work than buckets
            query, b = np.divmod(np.arange(len(mine) * len(theirs)), len(theirs))
            distance = np.bitwise_count(hashes(mine)[query] ^ codes[b])
        else:
            query, b, distance = table.meet(hashes(mine), np.abs(mine_BK), MOST_BITS)
        likeness = _dot(mine_BK, query, others_NK, b) / (_lengths(mine_BK)[query] * lengths_N[b])
        a = query + start
        keep = (likeness >= LEAST_LIKENESS) & tells[0][a] & tells[1][b]
        if within:
            # a turn of two wholes is found from either side
            keep &= (a < b) if view == 0 and names[number] not in INVERSE else (a != b)
            keep &= _apart(ours, a, b)
        return _proposed(a[keep], b[keep], number, view, distance[keep], likeness[keep], by_features=False)

    share = map if table is None and len(ours) <= FEW else in_order
    yield from share(asked, [(number, start) for number in range(len(names)) for start in range(0, len(ours), BLOCK_WAVES)])


def _apart(seen: Seen, a: Indices, b: Indices) -> npt.NDArray[np.bool_]:
    """Whether two pictures may make a pair: those of one set may not, where sets are named."""
    return np.ones(len(a), bool) if seen.sets_N is None else np.asarray(seen.sets_N[a] != seen.sets_N[b])


def _lengths(waves_NK: Floats) -> Floats:
    """Lengths of coefficients without the mean [N], never 0."""
    return np.asarray(np.maximum(np.sqrt(np.vecdot(waves_NK[:, 1:], waves_NK[:, 1:])), 1e-6), np.float32)


def _dot(first_NK: Floats, a: Indices, second_MK: Floats, b: Indices) -> Floats:
    """Products of rows a of the first with rows b of the second, without their means; a block at a time."""
    found = np.empty(len(a), np.float32)
    for part in _blocks(len(a)):
        found[part] = np.vecdot(first_NK[a[part], 1:], second_MK[b[part], 1:])
    return found


def _proposed(
    a: Indices, b: Indices, turn: int, view: int, distance: npt.NDArray[np.uint8], likeness: Floats, by_features: bool
) -> pl.DataFrame:
    columns = {"a": a.astype(np.int32), "b": b.astype(np.int32), "distance": distance.astype(np.int16), "likeness": likeness}
    frame = pl.DataFrame(columns)
    return frame.with_columns(turn=pl.lit(turn, pl.Int8), view=pl.lit(view, pl.Int8), by_features=pl.lit(by_features)).select(
        pl.col(name).cast(kind) for name, kind in PROPOSED.items()
    )


def _by_features(ours: Seen, theirs: Seen, within: bool) -> Iterator[pl.DataFrame]:
    """Pairs whose features point the same way, unturned."""
    assert ours.features is not None
    assert theirs.features is not None
    total, codes = 0.0, np.empty(len(theirs), np.uint64)
    for part in _blocks(len(theirs)):
        total = total + theirs.features.take(part)[:, :FEATURE_BITS].sum(0, dtype=np.float64)
    middle = np.asarray(total / len(theirs), np.float32)
    for part in _blocks(len(theirs)):
        codes[part] = codes_of(theirs.features.take(part)[:, :FEATURE_BITS] - middle)
    table = buckets(codes, len(middle))
    for part in _blocks(len(ours)):
        features = ours.features.take(part)
        mine = features[:, :FEATURE_BITS] - middle
        query, b, _ = table.meet(codes_of(mine), np.abs(mine), FEATURE_MOST_BITS)
        a = query + part.start
        likeness = np.empty(len(a), np.float32)
        for some in _blocks(len(a)):
            likeness[some] = np.vecdot(features[query[some]], theirs.features.take(b[some]))
        keep = (likeness >= LEAST_FEATURE_LIKENESS) & ours.tells_N[a] & theirs.tells_N[b]
        if within:
            keep &= (a < b) & _apart(ours, a, b)
        a, b = a[keep], b[keep]
        distance = np.bitwise_count(hashes(ours.waves_NFF[a]) ^ hashes(theirs.waves_NFF[b]))
        yield _proposed(a, b, 0, 0, distance, likeness[keep], by_features=True)


def _blocks(count: int, size: int = BLOCK_WAVES) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


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
