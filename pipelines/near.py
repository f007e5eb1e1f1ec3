"""Pairs of pictures that are copies but for size, coding or a turn, found on thumbnails: a hash proposes, pixels confirm.

The limits were set on real sets (benchmarks/duplicates.py shows what they give): copies at 60 to 150 % of the size, mirrored
or turned, coded again as JPEG down to quality 30 pass; other drawings of a character, other solar cells of a make, other frames
of a video and emoji that differ in colour only do not. Below about 48 px a side, where a thumbnail holds all there is, a
resized or coarsely coded copy may be missed: a miss costs less there than a false alarm.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.perceptual import LUMA, THUMB_SIDE, TURNS, Bytes, Codes, Floats, grey, hashes, spectra, turn_thumbs

HASH_DISTANCE = 12  # bits of 64 within which a pair is proposed
FLAT = 2.0  # grey levels; a picture that deviates less is no evidence of anything
DETAIL_NOISE = 2.0  # grey levels of detail that coding alone may add or take
MIN_AGREEMENT = 0.93
# Largest differences that a copy may show, each in levels and levels per level of detail (coding hurts detailed pictures more):
PATCH_LIMIT = (1.9, 0.235)  # grey of a patch
AREA_LIMIT = (1.4, 0.09)  # grey of 2 x 2 patches, over which the errors of coding cancel
COLOUR_LIMIT = (5.0, 0.8)  # colour less its grey, of 2 x 2 patches
COLOUR_MOST = 16.0  # and never more than this
PATCHES = 8  # a side
BLOCK_CELLS = 1_000_000  # of a hash comparison held at once
BLOCK_PAIRS = 2048  # compared on pixels at once

Indices = npt.NDArray[np.int64]
PAIRS_SCHEMA: dict[str, type[pl.DataType]] = {
    "a": pl.Int64,
    "b": pl.Int64,
    "transform": pl.String,
    "distance": pl.Int32,
    "agreement": pl.Float32,
}


@dataclass(frozen=True)
class Looks:
    """What pairs of thumbnails are compared by, prepared once a picture."""

    spectra_NFF: Floats
    codes_N: Codes
    detail_NHW: Floats  # grey less its local mean
    patches_NPPC: Floats  # mean colour, RGB
    flat_N: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.codes_N)


def looks(thumbs_NHWC: Bytes) -> Looks:
    """Prepare thumbnails, uint8 [N, THUMB_SIDE, THUMB_SIDE, 3]; about 5 kB each."""
    parts = [_looks(thumbs_NHWC[start : start + BLOCK_PAIRS]) for start in range(0, max(1, len(thumbs_NHWC)), BLOCK_PAIRS)]
    return Looks(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Looks)))


def _looks(thumbs_NHWC: Bytes) -> Looks:
    grey_NHW = grey(thumbs_NHWC)
    waves = spectra(thumbs_NHWC)
    size = THUMB_SIDE // PATCHES
    tiles = thumbs_NHWC.reshape(-1, PATCHES, size, PATCHES, size, 3)
    patches = np.asarray(tiles.mean((2, 4), dtype=np.float32), np.float32)
    return Looks(waves, hashes(waves), _detail(grey_NHW), patches, grey_NHW.std((1, 2)) < FLAT)


def thumbs_of(column: pl.Series) -> Bytes:
    """Thumbnails of a Binary column as uint8 [N, THUMB_SIDE, THUMB_SIDE, 3]."""
    pixels = np.frombuffer(b"".join(column.to_list()), np.uint8)
    return pixels.reshape(-1, THUMB_SIDE, THUMB_SIDE, 3)


def pairs_within(pictures: Looks) -> pl.DataFrame:
    """Near copies among pictures: a < b, transform, distance (bits), agreement (0 to 1); one row a pair, sorted.

    Picture b is picture a after `transform`; where several fit, none is preferred, then the one that agrees best.
    """
    return _pairs(pictures, pictures, within=True)


def pairs_between(ours: Looks, theirs: Looks) -> pl.DataFrame:
    """Near copies of our pictures (a) among theirs (b), in the form of `pairs_within`."""
    return _pairs(ours, theirs, within=False)


def _pairs(ours: Looks, theirs: Looks, within: bool) -> pl.DataFrame:
    found = [pl.DataFrame(schema=PAIRS_SCHEMA)]
    for turn in TURNS:
        codes = hashes(ours.spectra_NFF, turn)
        for a, b in _proposals(codes, theirs.codes_N, within):
            kept = ~(ours.flat_N[a] | theirs.flat_N[b])
            found.append(_confirmed(ours, theirs, a[kept], b[kept], turn, codes))
    order = pl.DataFrame({"transform": list(TURNS), "turned": [turn != "none" for turn in TURNS]})
    ranked = pl.concat(found).join(order, on="transform").sort("a", "b", "turned", -pl.col("agreement"), "transform")
    return ranked.unique(["a", "b"], keep="first", maintain_order=True).drop("turned")


def _proposals(ours_N: Codes, theirs_M: Codes, within: bool) -> Iterator[tuple[Indices, Indices]]:
    """Index pairs whose hashes are close, in batches of bounded size."""
    rows = max(1, BLOCK_CELLS // max(1, len(theirs_M)))
    for start in range(0, len(ours_N), rows):
        first = start if within else 0  # pairs below the diagonal come with their mirror image
        distances = np.bitwise_count(ours_N[start : start + rows, None] ^ theirs_M[None, first:])
        a, b = np.divmod(np.flatnonzero(distances <= HASH_DISTANCE), distances.shape[1])
        a, b = a + start, b + first
        if within:
            a, b = a[a < b], b[a < b]
        for batch in range(0, len(a), BLOCK_PAIRS):
            yield a[batch : batch + BLOCK_PAIRS], b[batch : batch + BLOCK_PAIRS]


def _confirmed(ours: Looks, theirs: Looks, a: Indices, b: Indices, turn: str, codes: Codes) -> pl.DataFrame:
    """Those of the proposed pairs whose pixels agree."""
    energy = (ours.detail_NHW[a] ** 2).mean((1, 2)) + (theirs.detail_NHW[b] ** 2).mean((1, 2))
    detail = np.sqrt(energy / 2)
    close = _patches_agree(turn_thumbs(ours.patches_NPPC[a], turn), theirs.patches_NPPC[b], detail)
    a, b, energy = a[close], b[close], energy[close]
    difference = turn_thumbs(ours.detail_NHW[a], turn) - theirs.detail_NHW[b]
    agreement = 1 - (difference**2).mean((1, 2)) / (energy + DETAIL_NOISE**2)
    good = agreement >= MIN_AGREEMENT
    a, b = a[good], b[good]
    columns = {
        "a": a,
        "b": b,
        "transform": [turn] * len(a),
        "distance": np.bitwise_count(codes[a] ^ theirs.codes_N[b]).astype(np.int32),
        "agreement": agreement[good],
    }
    return pl.DataFrame(columns, schema=PAIRS_SCHEMA)


def _patches_agree(ours_NPPC: Floats, theirs_NPPC: Floats, detail_N: Floats) -> npt.NDArray[np.bool_]:
    """Whether no patch and no area differs in grey or colour by more than coding so much detail makes it."""
    difference = ours_NPPC - theirs_NPPC
    grey_NPP = np.asarray(difference @ LUMA, np.float32)
    colour = np.abs(_areas(np.asarray(difference - grey_NPP[..., None], np.float32))).max((1, 2, 3), initial=0)
    agree = np.abs(grey_NPP).max((1, 2), initial=0) <= PATCH_LIMIT[0] + PATCH_LIMIT[1] * detail_N
    agree &= np.abs(_areas(grey_NPP)).max((1, 2), initial=0) <= AREA_LIMIT[0] + AREA_LIMIT[1] * detail_N
    agree &= colour <= np.minimum(COLOUR_LIMIT[0] + COLOUR_LIMIT[1] * detail_N, COLOUR_MOST)
    return np.asarray(agree)


def _areas(patches: Floats) -> Floats:
    """Means of every 2 x 2 neighbouring patches, [N, P, P, ...] to [N, P - 1, P - 1, ...]."""
    rows = patches[:, :-1] + patches[:, 1:]
    return np.asarray((rows[:, :, :-1] + rows[:, :, 1:]) / 4, np.float32)


def _detail(grey_NHW: Floats) -> Floats:
    """Grey less the mean of the 5 x 5 pixels around."""
    padded = np.pad(grey_NHW, ((0, 0), (2, 2), (2, 2)), mode="edge")
    rows, sums = np.zeros_like(padded[:, :THUMB_SIDE]), np.zeros_like(grey_NHW)
    for shift in range(5):
        rows += padded[:, shift : shift + THUMB_SIDE]
    for shift in range(5):
        sums += rows[:, :, shift : shift + THUMB_SIDE]
    return np.asarray(grey_NHW - sums / 25, np.float32)
