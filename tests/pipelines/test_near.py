"""Perceptual hashes and near copies on thumbnails: synthetic pictures with known truth."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pipelines.examine import thumb
from pipelines.near import BLOCK_PAIRS, looks, pairs_between, pairs_within, thumbs_of
from pipelines.perceptual import THUMB_SIDE, TURNS, hashes, spectra, turn_spectra, turn_thumbs

TRANSPOSES = {
    "none": None,
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "upside down": Image.Transpose.FLIP_TOP_BOTTOM,
    "turned 90": Image.Transpose.ROTATE_90,
    "turned 180": Image.Transpose.ROTATE_180,
    "turned 270": Image.Transpose.ROTATE_270,
    "transposed": Image.Transpose.TRANSPOSE,
    "transversed": Image.Transpose.TRANSVERSE,
}


def scene(seed: int, side: int = 96) -> Image.Image:
    """Smooth colours with some edges, unlike any other seed's."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (7, 7, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    for _ in range(6):
        x, y, width, height = rng.integers(8, side // 2, 4).tolist()
        image.paste(tuple(rng.integers(0, 256, 3).tolist()), (x, y, x + width // 2, y + height // 2))
    return image


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def thumbs(*images: Image.Image) -> np.ndarray:
    return thumbs_of(pl.Series([thumb(image) for image in images], dtype=pl.Binary))


def test_names_of_turns_mean_what_pillow_means() -> None:
    image = scene(0)
    for turn, transpose in TRANSPOSES.items():
        turned = image if transpose is None else image.transpose(transpose)
        got_NHWC, wanted_NHWC = turn_thumbs(thumbs(image), turn), thumbs(turned)
        assert np.abs(got_NHWC.astype(int) - wanted_NHWC).max() <= 1, turn


def test_spectra_turn_like_pictures() -> None:
    thumbs_NHWC = thumbs(*(scene(seed) for seed in range(20)))
    for turn in TURNS:
        turned = turn_spectra(spectra(thumbs_NHWC), turn)
        np.testing.assert_allclose(turned, spectra(turn_thumbs(thumbs_NHWC, turn)), atol=0.02)
        assert (hashes(turned) == hashes(spectra(thumbs_NHWC), turn)).all()


def test_hash_of_a_flat_picture_is_zero() -> None:
    assert hashes(spectra(thumbs(Image.new("RGB", (50, 50), (90, 20, 200))))).tolist() == [0]


@pytest.mark.parametrize("turn", TRANSPOSES)
@pytest.mark.parametrize("scale", [0.6, 0.83, 1.0, 1.5])
def test_resized_turned_and_recoded_copies_are_found(turn: str, scale: float) -> None:
    originals = [scene(seed) for seed in range(12)]
    side = round(96 * scale)
    copies = [jpeg(image.resize((side, side), Image.Resampling.BICUBIC), 40) for image in originals]
    if (transpose := TRANSPOSES[turn]) is not None:
        copies = [image.transpose(transpose) for image in copies]
    found = pairs_within(looks(thumbs(*originals, *copies)))
    assert found.select("a", "b", "transform").rows() == [(n, n + 12, turn) for n in range(12)]
    assert found["agreement"].is_between(0.93, 1.0).all()
    between = pairs_between(looks(thumbs(*originals)), looks(thumbs(*copies)))
    assert between.select("a", "b", "transform").rows() == [(n, n, turn) for n in range(12)]


def flat_pictures() -> list[Image.Image]:
    return [Image.new("RGB", (64, 64), (level, level, 255 - level)) for level in range(0, 256)]


def line_drawings() -> list[Image.Image]:
    rng = np.random.default_rng(1)
    drawings = []
    for _ in range(150):
        canvas_HW = np.full((64, 64), 255, np.uint8)
        place = rng.integers(12, 52, 2)
        for _ in range(60):
            place = np.clip(place + rng.integers(-2, 3, 2), 2, 61)
            canvas_HW[place[0] - 1 : place[0] + 1, place[1] - 1 : place[1] + 1] = 0
        drawings.append(Image.fromarray(canvas_HW).convert("RGB"))
    return drawings


def textures() -> list[Image.Image]:
    """Gratings on a slope whose phase differs, faint and strong noise."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:64, :64] / 64
    waves = [90 + 60 * x + 70 * np.sin(2 * np.pi * (4 * x + 3 * y) + phase) for phase in np.arange(0, 6, 0.4)]
    grains = [128 + strength * rng.standard_normal((64, 64)) for strength in (3, 8, 20, 60) for _ in range(25)]
    return [Image.fromarray(np.clip(plane, 0, 255).astype(np.uint8)).convert("RGB") for plane in (*waves, *grains)]


def recoloured() -> list[Image.Image]:
    """One shape, several colours of nearly the same grey."""
    images = []
    for colour in [(200, 60, 60), (60, 130, 60), (90, 90, 220), (110, 105, 100), (150, 80, 100)]:
        image = Image.new("RGB", (64, 64), "white")
        image.paste(colour, (10, 20, 50, 40))
        images.append(image)
    return images


@pytest.mark.parametrize("pictures", [flat_pictures, line_drawings, textures, recoloured])
def test_flat_line_and_texture_pictures_give_no_false_alarm(pictures) -> None:
    found = pairs_within(looks(thumbs(*pictures())))
    assert found.is_empty(), found


def test_a_symmetrical_copy_is_named_by_the_plainest_turn() -> None:
    image = Image.new("RGB", (64, 64), "white")
    image.paste("black", (16, 16, 48, 48))
    assert pairs_within(looks(thumbs(image, jpeg(image, 90))))["transform"].to_list() == ["none"]


def test_many_copies_cross_the_blocks_of_a_comparison() -> None:
    count = 70
    assert count * (count - 1) // 2 > BLOCK_PAIRS
    found = pairs_within(looks(np.repeat(thumbs(scene(3)), count, axis=0)))
    assert found.select("a", "b").rows() == [(a, b) for a in range(count) for b in range(a + 1, count)]


def test_no_pictures_no_pairs() -> None:
    none = looks(np.zeros((0, THUMB_SIDE, THUMB_SIDE, 3), np.uint8))
    assert len(none) == 0
    assert pairs_within(none).is_empty()
    assert pairs_between(none, looks(thumbs(scene(0)))).is_empty()
