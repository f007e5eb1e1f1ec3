"""Seven scores of how a picture looks, each from 0 (good) to 1 (bad), and what is set aside by them.

They rest on what eyes need, not on what photographs are like on average: a drawing of thin black strokes on white is neither
bright nor constant, white on black is not dark. None changes when a picture is mirrored or turned. Levels run from 0 to 255;
a patch is one of the 32 x 32 that tile a picture, a cell one of 8 x 8.

dark             how far even the lightest 2 % of the patches stay from full light (HSV value, so that pure blue is not dark)
bright           the same of the negative: how far even the darkest 2 % stay from no light
                 (both after the percentiles of brightness in CleanVision, Cleanlab 2022)
blurry           share of the energy of edges that outlives one more blur, of 9 px: a sharp edge loses most, a soft one little
                 (Crete et al., "The blur effect", 2007; squares instead of absolutes, so the sharpest edges count). A longer
                 picture is judged at 128 to 256 px, a large JPEG at what it is decoded to for curation.image_side where that is
                 less: softness that no copy of that size shows is no fault
low_information  share of the cells without visible detail, which is what differs from its neighbours by more than a ramp does
                 (not the entropy of grey levels: a clean drawing has next to none)
odd_aspect       1 - shorter side / longer side: 0.5 is 2 : 1, 0.9 is 10 : 1
tiny             0 from a shorter side of 256 px on, and an eighth more for each halving: 0.5 is 16 px, 1 is 1 px
near_constant    1 - the largest difference there is to see, in any channel, as share of 255 levels: from 0.99 on cells differ
                 by 2 levels at most and nothing smaller stands out of noise
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from pipelines.copies.thumbs import FINE_PATCHES
from pipelines.curation import Quality
from pipelines.ledger import give, undecided

LUMA = (0.299, 0.587, 0.114)
NAMES = tuple(Quality.model_fields)
LADDER = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # thresholds that `tails` tries
REACH = 9  # px of the blur that edges must outlive
PATCHES, CELLS = FINE_PATCHES, 8  # a side
TAIL = 0.02  # of the patches: strokes of a pen cover more, lamps and specks less
NOISE = 6.0  # levels that noise and coding alone make: between two patches, or two neighbouring pixels
FAINT = 1.0  # squared levels between neighbours; where edges are no stronger a picture counts as blurry
BLOCK = 64  # pictures scored at once: their patches stay in the cache
BLOCK_PIXELS = 1 << 17  # whose differences are taken at once, for the same reason
DETAIL = (4.0, 32.0)  # levels of detail in a cell: from the first it is seen, from the second it is plain

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def native(greys: Sequence[Image.Image]) -> Doubles:
    """What only full resolution tells: mean squared differences, in levels, of rows and columns together [N, 2].

    The first of neighbours, the second of pixels REACH px apart over REACH squared: of neighbours after a blur of REACH px.
    `greys` are pictures of mode L, at most LONGEST px long.
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    for number, grey in enumerate(greys):
        by_size.setdefault(grey.size, []).append(number)
    found_NK = np.empty((len(greys), 2))
    for (width, height), numbers in by_size.items():
        most = max(1, BLOCK_PIXELS // (width * height))
        for start in range(0, len(numbers), most):
            part = numbers[start : start + most]
            joined = b"".join(greys[number].tobytes() for number in part)
            found_NK[part] = _differences(np.frombuffer(joined, np.uint8).reshape(-1, height, width))
    return found_NK


def _differences(grey_NHW: Bytes) -> Doubles:
    """`native` of pictures of one size; a square of a difference is the two squares less twice their product."""
    count, height, width = grey_NHW.shape
    levels_NHW = grey_NHW.astype(np.float32)
    # a row of 256 squares is below 2 ** 24, so every sum is exact and the same on any machine
    power_NH = np.vecdot(levels_NHW, levels_NHW).astype(np.float64)
    found_KN = []
    for reach in (1, REACH):
        across, down = min(reach, width - 1), min(reach, height - 1)
        right, left = levels_NHW[..., across:], levels_NHW[..., : width - across]
        edges_NX = np.concatenate([grey_NHW[..., :across], grey_NHW[..., width - across :]], 2, dtype=np.float64).reshape(
            count, -1
        )
        products_N = np.vecdot(right, left).sum(1, dtype=np.float64)
        of_rows_N = 2 * power_NH.sum(1) - np.vecdot(edges_NX, edges_NX) - 2 * products_N
        lower, upper = levels_NHW[:, down:], levels_NHW[:, : height - down]
        products_N = np.vecdot(lower, upper).sum(1, dtype=np.float64)
        of_columns_N = power_NH[:, down:].sum(1) + power_NH[:, : height - down].sum(1) - 2 * products_N
        rows_N = of_rows_N / (height * (width - across) * max(1, across) ** 2)
        found_KN.append((rows_N + of_columns_N / (width * (height - down) * max(1, down) ** 2)) / 2)
    return np.stack(found_KN, 1)


def scores(
    thumbs_NHWC: Bytes, width_N: npt.NDArray[np.int32], height_N: npt.NDArray[np.int32], native_NK: Doubles
) -> dict[str, Floats]:
    """The seven scores of a batch, by name, float32 [N] each.

    `thumbs_NHWC` are pictures squashed to squares, uint8 RGB of a side that is a multiple of PATCHES; sides are in px; a row of
    `native_NK` is what `native` gave.
    """
    near_N, far_N = native_NK.reshape(-1, 2).T
    shorter_N, longer_N = np.minimum(width_N, height_N), np.maximum(width_N, height_N)
    starts = range(0, len(width_N), BLOCK)
    blocks = [_of_patches(_patches(thumbs_NHWC[at : at + BLOCK]), near_N[at : at + BLOCK]) for at in starts]
    found = {name: np.concatenate([block[name] for block in blocks]) for name in (blocks[0] if blocks else ())}
    found |= {
        "blurry": np.minimum((far_N + FAINT) / (near_N + FAINT), 1),
        "odd_aspect": 1 - shorter_N / longer_N,
        "tiny": np.clip(1 - np.log2(shorter_N) / 8, 0, 1),
    }
    return {name: np.asarray(found.get(name, []), np.float32) for name in NAMES}


def _of_patches(patches_CNPP: Floats, near_N: Doubles) -> dict[str, Floats | Doubles]:
    """The scores that patches tell."""
    lightest_NX, darkest_NX = (fold(patches_CNPP, 0).reshape(len(near_N), -1) for fold in (np.max, np.min))
    tail = int(TAIL * PATCHES**2)
    return {
        "dark": 1 - np.partition(lightest_NX, -tail, axis=1)[:, -tail] / 255,
        "bright": np.partition(darkest_NX, tail - 1, axis=1)[:, tail - 1] / 255,
        "low_information": 1 - _share_with_detail(patches_CNPP),
        "near_constant": 1 - _visible_range(patches_CNPP, near_N) / 255,
    }


def _patches(thumbs_NHWC: Bytes) -> Floats:
    """Mean levels of the patches, float32 [C, N, P, P]."""
    side = thumbs_NHWC.shape[1]
    size = side // PATCHES
    assert side == size * PATCHES, "the side of thumbnails is no multiple of PATCHES"
    rows_NPX = thumbs_NHWC.reshape(-1, PATCHES, size, side * 3).sum(2, dtype=np.uint16)
    channels = [_folded(rows_NPX[..., channel::3], size, np.add) for channel in range(3)]
    return np.asarray(np.stack(channels).astype(np.float32) / size**2, np.float32)


def _share_with_detail(patches_CNPP: Floats) -> Floats:
    """Share of the cells that hold detail, 0 to 1, [N]; a cell with little counts in part."""
    grey_NPP = sum(weight * channel_NPP for weight, channel_NPP in zip(LUMA, patches_CNPP, strict=True))
    bent_NPP = np.zeros_like(grey_NPP)
    bent_NPP[:, 1:-1] = np.abs(2 * grey_NPP[:, 1:-1] - grey_NPP[:, 2:] - grey_NPP[:, :-2])
    bent_NPP[..., 1:-1] += np.abs(2 * grey_NPP[..., 1:-1] - grey_NPP[..., 2:] - grey_NPP[..., :-2])
    least, plain = DETAIL
    seen_NCC = np.clip((_cells(bent_NPP, np.maximum) - least) / (plain - least), 0, 1)
    return np.asarray(seen_NCC.mean((1, 2)), np.float32)


def _visible_range(patches_CNPP: Floats, near_N: Doubles) -> Floats:
    """Largest difference in levels, [N]: between cells, or of a patch or of neighbouring pixels beyond NOISE."""
    areas_CNCC = _cells(patches_CNPP, np.add) / (PATCHES // CELLS) ** 2
    areas_N, spots_N = (_range(values).max(0) for values in (areas_CNCC, patches_CNPP))
    return np.asarray(np.maximum.reduce([areas_N, spots_N - NOISE, np.sqrt(near_N) - NOISE]), np.float32)


def _range(values_CNPP: Floats | Doubles) -> Floats | Doubles:
    values_CNX = values_CNPP.reshape(*values_CNPP.shape[:2], -1)
    return np.asarray(values_CNX.max(2) - values_CNX.min(2))


def _cells(patches_NPP: Floats, fold: np.ufunc) -> Floats:
    """What `fold` makes of the patches of each cell, [..., P, P] to [..., cells, cells]."""
    size = PATCHES // CELLS
    rows_NCP = fold.reduce(patches_NPP.reshape(*patches_NPP.shape[:-2], CELLS, size, PATCHES), axis=-2)
    return np.asarray(_folded(rows_NCP, size, fold))


def _folded(values_NX: npt.NDArray[Any], size: int, fold: np.ufunc) -> npt.NDArray[Any]:
    """What `fold` makes of every `size` neighbours of the last axis; over strides, which is faster than a short axis."""
    return reduce(fold, [values_NX[..., start::size] for start in range(size)])


def set_aside(ledger: pl.DataFrame, thresholds: Quality) -> pl.DataFrame:
    """Give `low_quality` to undecided records with a score at or above its threshold; the reason names all such scores."""
    faults = [
        pl.when(pl.col(f"quality_{name}") >= limit).then(
            pl.format(f"{name.replace('_', ' ')}: {{}}, from {limit} on set aside", pl.col(f"quality_{name}").round(3))
        )
        for name, limit in thresholds.model_dump().items()
        if limit is not None
    ]
    if not faults:
        return ledger
    found = undecided(ledger).select("key", reason=pl.concat_str(faults, separator="; ", ignore_nulls=True))
    bad = found.filter(pl.col("reason") != "")
    return give(ledger, bad.with_columns(verdict=pl.lit("low_quality")))


def tails(ledger: pl.DataFrame) -> pl.DataFrame:
    """How many kept records each score would set aside at each threshold of LADDER: columns score, threshold, records."""
    kept = ledger.filter(pl.col("verdict") == "kept")
    steps = [pl.lit(threshold).alias("threshold") for threshold in LADDER]
    counted = [
        kept.select(
            pl.lit(name).alias("score"), step, (pl.col(f"quality_{name}") >= step).sum().cast(pl.Int64).alias("records")
        )
        for name in NAMES
        for step in steps
    ]
    return pl.concat(counted)
