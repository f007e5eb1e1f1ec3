"""Proposed pairs, and which of them are worth a look at their pixels."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.copies.propose import Floats, Indices

WAYS = 2  # in which one pair is looked at, ...
AS_LIKELY = 0.03  # ... the second if it is about as likely as the first
LIKELIEST = 8  # other pictures that one picture is compared with, beside those that it is among the likeliest of
MOST_HELD = 1_000_000  # proposals in memory, or twice what was left the last time, before they are thinned out

PROPOSED: dict[str, type[pl.DataType]] = {
    "a": pl.Int32,
    "b": pl.Int32,
    "turn": pl.Int8,  # of a, its place in NAMES
    "view": pl.Int8,  # 0: whole on whole; i: a is view i of b; -i: b is view i of a (of MIDDLES, from 1)
    "distance": pl.Int16,
    "likeness": pl.Float32,
    "by_features": pl.Boolean,
}


def likeliest(proposals: Iterator[pl.DataFrame]) -> pl.DataFrame:
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
