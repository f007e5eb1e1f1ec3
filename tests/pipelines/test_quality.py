"""Scores order pictures as eyes do, leave drawings alone and do not see turns; thresholds set aside what they say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from test_ledger import made_ledger

from pipelines.copies.thumbs import reduced
from pipelines.curation import Quality
from pipelines.ledger import VERDICTS, keep_the_rest
from pipelines.quality import LADDER, NAMES, native, scores, set_aside, tails


def look(images: Sequence[Image.Image], side: int = 64) -> dict[str, list[float]]:
    """Scores of pictures, by name."""
    thumbs = np.stack([np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)) for image in images])
    widths, heights = np.array([image.size for image in images], np.int32).T
    found = scores(thumbs, widths, heights, native([reduced(image).grey for image in images]))
    return {name: values.tolist() for name, values in found.items()}


def photograph(width: int = 160, height: int = 128, seed: int = 0) -> Image.Image:
    """Sharp discs and texture of all sizes on a ground that is lit from one side."""
    draw = np.random.default_rng(seed)
    ground = np.linspace(40, 200, width)[None, :, None] + draw.normal(0, 6, (height, width, 1)) + np.array([20, 0, -20])
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, r = draw.integers(0, width), draw.integers(0, height), draw.integers(2, 25)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(level) for level in draw.integers(0, 256, 3)))
    return image


def character(side: int, stroke: int, ink: int = 0, paper: int = 255) -> Image.Image:
    """A drawing of three strokes."""
    image = Image.new("RGB", (side, side), (paper,) * 3)
    pen = ImageDraw.Draw(image)
    for line in ((0.3, 0.2, 0.35, 0.8), (0.35, 0.5, 0.7, 0.4), (0.7, 0.25, 0.6, 0.85)):
        pen.line([round(part * side) for part in line], fill=(ink,) * 3, width=stroke)
    return image


def flat(level: int, side: int = 128) -> Image.Image:
    return Image.new("RGB", (side, side), (level,) * 3)


def noisy(level: float, deviation: float, side: int = 128) -> Image.Image:
    pixels = np.random.default_rng(0).normal(level, deviation, (side, side, 3))
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def mixed(share: float) -> Image.Image:
    return Image.blend(photograph(), Image.new("RGB", (160, 128), (128,) * 3), share)


@dataclass(frozen=True)
class Series:
    """Pictures that get worse step by step in the eyes of anybody."""

    score: str
    picture: Callable[[float], Image.Image]
    steps: tuple[float, ...]


def ink(share: float) -> Image.Image:
    image = flat(255)
    pen = ImageDraw.Draw(image)
    for number in range(round(36 * (1 - share))):
        x, y = 10 + number % 6 * 20, 10 + number // 6 * 20
        pen.ellipse((x, y, x + 6, y + 6), fill=(0, 0, 0))
    return image


WORSE = [
    Series("dark", lambda factor: ImageEnhance.Brightness(photograph()).enhance(factor), (1, 0.7, 0.4, 0.2, 0.05)),
    Series(
        "bright", lambda factor: ImageOps.invert(ImageEnhance.Brightness(photograph()).enhance(factor)), (1, 0.7, 0.4, 0.05)
    ),
    Series("blurry", lambda radius: photograph().filter(ImageFilter.GaussianBlur(radius)), (0, 0.5, 1, 2, 3, 5, 8)),
    Series("blurry", lambda radius: character(105, 3).filter(ImageFilter.GaussianBlur(radius)), (0, 1, 2, 3, 5)),
    Series("blurry", lambda radius: photograph(640, 512).filter(ImageFilter.GaussianBlur(radius)), (0, 3, 6, 12)),
    Series("low_information", ink, (0, 0.25, 0.5, 0.75, 1)),
    Series("low_information", lambda radius: photograph().filter(ImageFilter.GaussianBlur(radius)), (2, 4, 8, 16)),
    Series("odd_aspect", lambda width: photograph(round(width)), (128, 160, 256, 640)),
    Series("tiny", lambda side: character(round(side), 1), (300, 128, 28, 16, 8, 2)),
    Series("near_constant", mixed, (0, 0.5, 0.8, 0.95, 1)),
]


@pytest.mark.parametrize("series", WORSE, ids=lambda series: f"{series.score} {series.steps}")
def test_what_looks_worse_scores_worse(series: Series) -> None:
    found = look([series.picture(step) for step in series.steps])[series.score]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_scores_use_their_range() -> None:
    good, black, white = (look([image]) for image in (photograph(), flat(0), flat(255)))
    assert all(values[0] < 0.35 for values in good.values())
    assert black["dark"] == white["bright"] == [1.0]
    for bad in (black, white):
        assert bad["near_constant"] == bad["low_information"] == bad["blurry"] == [1.0]
    assert look([photograph().filter(ImageFilter.GaussianBlur(8))])["blurry"][0] > 0.8
    assert look([Image.new("RGB", (1, 1), (9, 9, 9))])["tiny"] == [1.0]


@pytest.mark.parametrize(("side", "stroke"), [(28, 2), (28, 3), (105, 1), (105, 3), (256, 2)])
@pytest.mark.parametrize("colours", [(0, 255), (255, 0)], ids=["black on white", "white on black"])
def test_a_drawing_is_no_bad_picture(side: int, stroke: int, colours: tuple[int, int]) -> None:
    found = look([character(side, stroke, *colours)])
    assert found["dark"][0] < 0.8
    assert found["bright"][0] < 0.8
    assert found["blurry"][0] < 0.2
    assert found["low_information"][0] < 0.9
    assert found["near_constant"][0] < 0.75


def test_near_constant_only_where_there_is_nothing_to_see() -> None:
    dot = flat(255)
    dot.putpixel((64, 64), (0, 0, 0))
    stain = flat(128)
    stain.paste((135, 128, 128), (40, 40, 90, 90))
    fine = Image.fromarray(np.tile(np.array([[100, 140], [140, 100]], np.uint8), (128, 128))).convert("RGB")
    two_colours = Image.new("RGB", (128, 128), (90, 90, 90))  # of one luma
    two_colours.paste((120, 78, 71), (0, 0, 64, 128))
    seen = look([dot, stain, fine, two_colours, character(105, 1)])["near_constant"]
    assert max(seen) < 0.99
    nothing = look([flat(0), flat(77), flat(255), noisy(128, 2), flat(9, 16), flat(3, 640)])["near_constant"]
    assert min(nothing) >= 0.99


def test_microscopy_is_neither_bright_nor_constant() -> None:
    cell = Image.new("RGB", (90, 90), (225, 215, 220))
    ImageDraw.Draw(cell).ellipse((20, 20, 70, 70), fill=(190, 150, 180))
    found = look([cell.filter(ImageFilter.GaussianBlur(1))])
    assert all(found[name][0] < 0.8 for name in ("dark", "bright", "blurry", "near_constant"))


@pytest.mark.parametrize("turn", list(Image.Transpose), ids=lambda turn: turn.name.lower())
def test_turned_and_mirrored_pictures_score_the_same(turn: Image.Transpose) -> None:
    images = [photograph(), photograph(250, 130), character(105, 2), character(28, 2), photograph(500, 333)]
    before, after = look(images), look([image.transpose(turn) for image in images])
    for name in NAMES:
        assert after[name] == pytest.approx(before[name], abs=0.02), name


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([32, 64, 96]), st.integers(0, 2**32 - 1))
def test_any_picture_scores_from_0_to_1_alone_as_in_company(width: int, height: int, side: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    images = [
        Image.fromarray(draw.integers(0, draw.integers(1, 257), (height, width, 3), dtype=np.uint8)),
        flat(7),
        photograph(),
    ]
    together = look(images, side)
    assert tuple(together) == NAMES
    for name, values in together.items():
        assert all(0 <= value <= 1 for value in values), name
        assert values[0] == look(images[:1], side)[name][0]


def test_no_pictures_no_scores() -> None:
    none = np.zeros(0, np.int32)
    found = scores(np.zeros((0, 64, 64, 3), np.uint8), none, none, np.zeros((0, 2)))
    assert {name: (len(values), values.dtype) for name, values in found.items()} == dict.fromkeys(NAMES, (0, np.float32))


score = st.one_of(st.none(), st.floats(0, 1, width=32))
records = st.lists(st.tuples(st.one_of(st.none(), st.sampled_from(VERDICTS)), *[score] * len(NAMES)), min_size=1, max_size=12)
limits = st.fixed_dictionaries({name: st.one_of(st.none(), st.floats(0, 1)) for name in NAMES})


def scored(rows: list[tuple[str | None, ...]]) -> pl.DataFrame:
    """A ledger with these verdicts and scores."""
    ledger = made_ledger([f"k{number:02d}" for number in range(len(rows))])
    columns = ["verdict", *(f"quality_{name}" for name in NAMES)]
    values = zip(*rows, strict=True)
    return ledger.with_columns(pl.Series(name, next(values), dtype=ledger.schema[name]) for name in columns)


@given(records, limits, st.randoms(use_true_random=False))
def test_exactly_undecided_records_at_a_threshold_are_set_aside(rows: list, thresholds: dict, shuffle: object) -> None:
    ledger, quality = scored(rows), Quality(**thresholds)
    done = set_aside(ledger, quality)
    for before, after in zip(ledger.iter_rows(named=True), done.iter_rows(named=True), strict=True):
        bad = [
            name
            for name in NAMES
            if None not in (thresholds[name], before[f"quality_{name}"])
            and before[f"quality_{name}"] >= np.float32(thresholds[name])
        ]
        if before["verdict"] is not None or not bad:
            assert after == before
        else:
            assert after["verdict"] == "low_quality"
            assert [part.split(":")[0].replace(" ", "_") for part in after["reason"].split("; ")] == bad
    shuffled = ledger.sample(fraction=1.0, shuffle=True, seed=shuffle.randint(0, 99))
    assert set_aside(shuffled, quality).sort("key").equals(done)


@given(records, limits, st.sampled_from(NAMES), st.floats(0, 1))
def test_a_higher_threshold_never_sets_more_aside(rows: list, thresholds: dict, name: str, higher: float) -> None:
    ledger = scored(rows)
    raised = thresholds | {name: None if thresholds[name] is None else max(thresholds[name], higher)}
    few, many = (
        set(set_aside(ledger, Quality(**values)).filter(pl.col("verdict") == "low_quality")["key"])
        for values in (raised, thresholds)
    )
    assert few <= many


def test_the_reason_names_score_and_threshold() -> None:
    ledger = scored([(None, None, None, 0.83, 0.9, None, None, None)])
    done = set_aside(ledger, Quality(blurry=0.8, low_information=0.9))
    assert done["reason"].to_list() == ["blurry: 0.83, from 0.8 on set aside; low information: 0.9, from 0.9 on set aside"]


@given(records)
def test_tails_foretell_what_a_threshold_sets_aside(rows: list) -> None:
    ledger = keep_the_rest(scored(rows))
    found = tails(ledger)
    assert found.height == len(NAMES) * len(LADDER)
    undecided = ledger.filter(pl.col("verdict") == "kept").with_columns(verdict=pl.lit(None, pl.String))
    for name, threshold, count in found.iter_rows():
        alone = Quality(**(dict.fromkeys(NAMES) | {name: threshold}))
        assert set_aside(undecided, alone).filter(pl.col("verdict") == "low_quality").height == count
