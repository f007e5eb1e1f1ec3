"""Pairs of pictures that may be copies: by the hashes of their parts and turns, and by their features."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.copies.likeliest import PROPOSED
from pipelines.copies.propose import Floats, Indices, buckets, codes_of
from pipelines.copies.seen import BLOCK_WAVES, Seen, apart, blocks
from pipelines.copies.threads import in_order
from pipelines.copies.turns import INVERSE, TURNS, turned_waves
from pipelines.copies.waves import BAND, MIDDLES, hashes

MOST_BITS = 16  # of 63 in which the hashes of a proposed pair differ at most
LEAST_LIKENESS = 0.85  # cosine of the waves of a proposed pair
FEATURE_BITS = 64
FEATURE_MOST_BITS = 14
LEAST_FEATURE_LIKENESS = 0.85
FEW = 100  # pictures that are compared all with all
COEFFICIENTS = BAND * BAND
NAMES = tuple(TURNS)


def proposals(ours: Seen, theirs: Seen, names: Sequence[str], within: bool) -> Iterator[pl.DataFrame]:
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
            keep &= apart(ours, a, b)
        return _proposed(a[keep], b[keep], number, view, distance[keep], likeness[keep], by_features=False)

    share = map if table is None and len(ours) <= FEW else in_order
    yield from share(asked, [(number, start) for number in range(len(names)) for start in range(0, len(ours), BLOCK_WAVES)])


def _lengths(waves_NK: Floats) -> Floats:
    """Lengths of coefficients without the mean [N], never 0."""
    return np.asarray(np.maximum(np.sqrt(np.vecdot(waves_NK[:, 1:], waves_NK[:, 1:])), 1e-6), np.float32)


def _dot(first_NK: Floats, a: Indices, second_MK: Floats, b: Indices) -> Floats:
    """Products of rows a of the first with rows b of the second, without their means; a block at a time."""
    found = np.empty(len(a), np.float32)
    for part in blocks(len(a)):
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
    for part in blocks(len(theirs)):
        total = total + theirs.features.take(part)[:, :FEATURE_BITS].sum(0, dtype=np.float64)
    middle = np.asarray(total / len(theirs), np.float32)
    for part in blocks(len(theirs)):
        codes[part] = codes_of(theirs.features.take(part)[:, :FEATURE_BITS] - middle)
    table = buckets(codes, len(middle))
    for part in blocks(len(ours)):
        features = ours.features.take(part)
        mine = features[:, :FEATURE_BITS] - middle
        query, b, _ = table.meet(codes_of(mine), np.abs(mine), FEATURE_MOST_BITS)
        a = query + part.start
        likeness = np.empty(len(a), np.float32)
        for some in blocks(len(a)):
            likeness[some] = np.vecdot(features[query[some]], theirs.features.take(b[some]))
        keep = (likeness >= LEAST_FEATURE_LIKENESS) & ours.tells_N[a] & theirs.tells_N[b]
        if within:
            keep &= (a < b) & apart(ours, a, b)
        a, b = a[keep], b[keep]
        distance = np.bitwise_count(hashes(ours.waves_NFF[a]) ^ hashes(theirs.waves_NFF[b]))
        yield _proposed(a, b, 0, 0, distance, likeness[keep], by_features=True)
