"""Near copies on thumbnails: what is found, what is not, and what must hold whatever the pictures."""

import io
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipelines.copies import Seen, ThumbRows, agreements, own_share, pairs_between, pairs_within, thumb
from pipelines.copies.agree import judge
from pipelines.copies.find import BLOCK_PAIRS, PAIRS
from pipelines.copies.likeliest import LIKELIEST
from pipelines.copies.store import scratch_thumbs
from pipelines.copies.thumbs import SIDE, THUMB_BYTES, rows_of, thumbs_of
from pipelines.copies.turns import TURNS, turned, turned_waves
from pipelines.copies.waves import MIDDLES, hashes, inverse, placement, waves
from pipelines.features import FeatureRows

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
COPIES = 0.96  # just below the agreement at which curation takes a pair for copies unless told otherwise


def scene(seed: int, side: int = 96) -> Image.Image:
    """Smooth colours with some edges and grain, unlike any other seed's."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (7, 7, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    for _ in range(6):
        x, y, w, h = (int(value) for value in rng.integers(0, side * 3 // 4, 4))
        image.paste(tuple(int(value) for value in rng.integers(0, 256, 3)), (x, y, x + w // 3 + 3, y + h // 3 + 3))
    return image


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def seen(*images: Image.Image) -> Seen:
    keys = pl.Series([f"k{number}" for number in range(len(images))], dtype=pl.String)
    sides = np.array([np.sqrt(image.width * image.height) for image in images], np.float32)
    return Seen(ThumbRows.of(keys, [thumb(image) for image in images]), sides)


def copies(pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.filter(pl.col("agreement") >= COPIES)


@pytest.mark.parametrize("turn", TURNS)
def test_turns_of_pictures_and_of_waves_are_those_of_pillow(turn: str) -> None:
    image = scene(0, SIDE)
    laid = image.transpose(transpose) if (transpose := TRANSPOSES[turn]) is not None else image
    grey_NHW, laid_NHW = (np.asarray(picture.convert("L"))[None] for picture in (image, laid))
    assert (turned(grey_NHW, turn) == laid_NHW).all()
    np.testing.assert_allclose(turned_waves(waves(grey_NHW), turn), waves(laid_NHW), atol=1e-2)
    assert hashes(turned_waves(waves(grey_NHW), turn)) == hashes(waves(laid_NHW))


def test_hash_of_a_flat_picture_is_zero() -> None:
    flat = thumbs_of(rows_of([thumb(Image.new("RGB", (50, 50), (90, 20, 200)))]))
    for view in MIDDLES:
        assert hashes(waves(flat.grey_NHW, view)).tolist() == [0]


@pytest.mark.parametrize("view", MIDDLES)
def test_a_placement_seen_from_the_other_side_and_back_is_the_same(view: object) -> None:
    there = placement(view)
    np.testing.assert_allclose(inverse(inverse(there)), there, rtol=1e-5)
    back = inverse(there)
    ends = np.array([-1.0, 1.0])
    np.testing.assert_allclose(back[0] * (there[0] * ends + there[1]) + back[1], ends, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (16, 300), (64, 64), (65, 127), (128, 96), (640, 480)])
def test_a_thumbnail_has_its_bytes_whatever_the_size(size: tuple[int, int]) -> None:
    assert len(thumb(Image.new("RGB", size, (250, 30, 10)))) == THUMB_BYTES
    found = thumbs_of(rows_of([thumb(Image.new("RGB", size, (250, 30, 10)))]))
    assert (found.colour_NPPC == (250, 30, 10)).all()
    assert np.unique(found.grey_NHW).tolist() == [93]


@pytest.mark.parametrize("turn", TRANSPOSES)
@pytest.mark.parametrize("scale", [0.6, 0.83, 1.0, 1.5])
def test_resized_turned_and_recoded_copies_are_found(turn: str, scale: float) -> None:
    originals = [scene(seed) for seed in range(12)]
    side = round(96 * scale)
    changed = [jpeg(image.resize((side, side), Image.Resampling.BICUBIC), 40) for image in originals]
    if (transpose := TRANSPOSES[turn]) is not None:
        changed = [image.transpose(transpose) for image in changed]
    found = copies(pairs_within(seen(*originals, *changed)))
    assert found.select("a", "b", "transform").rows() == [(n, n + 12, turn) for n in range(12)]
    between = copies(pairs_between(seen(*originals), seen(*changed)))
    assert between.select("a", "b", "transform").rows() == [(n, n, turn) for n in range(12)]


def cut(image: Image.Image, number: int) -> Image.Image:
    width, height = image.size
    x, y = (width // 10) * (number % 3) // 2, (height // 10) * (number // 3 % 3) // 2
    return image.crop((x, y, x + round(width * 0.9), y + round(height * 0.9)))


CHANGES: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "cut": cut,
    "framed": lambda image, number: ImageOps.expand(image, 10, ("black", "white", "grey")[number % 3]),
    "grey": lambda image, _: image.convert("L").convert("RGB"),
    "brighter": lambda image, _: image.point(lambda level: min(255, round(level * 1.1))),
    "darker": lambda image, _: image.point(lambda level: round(level * 0.7)),
    "cut, mirrored, JPEG 40": lambda image, number: jpeg(ImageOps.mirror(cut(image, number)), 40),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_nothing_else(change: str) -> None:
    originals = [scene(seed, 120) for seed in range(12)]
    found = pairs_within(seen(*originals, *(CHANGES[change](image, number) for number, image in enumerate(originals))))
    wanted = {(number, number + 12) for number in range(12)}
    pairs = set(found.filter(pl.col("agreement") >= 0.9).select("a", "b").iter_rows())
    assert pairs <= wanted, "different scenes"
    assert len(pairs) >= 11
    assert copies(found).height >= 9


def test_a_pair_says_which_lies_within_the_other() -> None:
    images = [scene(seed, 120) for seed in range(6)]
    found = copies(pairs_within(seen(*images, *(cut(image, 4) for image in images))))
    assert found["scale"].is_between(0.86, 0.94).all()
    framed = copies(pairs_within(seen(*images, *(ImageOps.expand(image, 12, "black") for image in images))))
    assert framed["scale"].is_between(1.14, 1.26).all()


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
    waves = [90 + 60 * x + 70 * np.sin(2 * np.pi * (4 * x + 3 * y) + phase) for phase in np.arange(0, 6, 0.8)]
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


def bars() -> list[Image.Image]:
    """One upright stroke in many places and lengths: moved and stretched, each would fit on any other."""
    drawings = []
    for x in range(40, 51, 3):  # left of the middle, so that none is another one mirrored
        for top in range(10, 22, 4):
            for length in range(40, 61, 5):
                canvas_HW = np.full((105, 105), 255, np.uint8)
                canvas_HW[top : top + length, x : x + 3] = 0
                drawings.append(Image.fromarray(canvas_HW).convert("RGB"))
    return drawings


def blobs() -> list[Image.Image]:
    """Soft blots of unlike size, place and colour."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:48, :48] / 48
    found = []
    for _ in range(60):
        cy, cx, size = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.3)
        blot_HW1 = np.exp(-((y - cy) ** 2 + (x - cx) ** 2 * rng.uniform(0.5, 2)) / size**2)[..., None]
        found.append(Image.fromarray((230 - blot_HW1 * rng.uniform(20, 160, 3)).astype(np.uint8)))
    return found


@pytest.mark.parametrize("pictures", [flat_pictures, line_drawings, textures, recoloured, bars, blobs])
def test_flat_line_and_texture_pictures_give_no_false_alarm(pictures: Callable[[], list[Image.Image]]) -> None:
    found = copies(pairs_within(seen(*pictures())))
    assert found.is_empty(), found


def test_a_grey_picture_is_no_copy_of_a_colour_picture_of_another_brightness() -> None:
    heart = scene(1).convert("L")
    red = Image.merge("RGB", [heart, heart.point(lambda v: v // 3), heart.point(lambda v: v // 3)])
    assert copies(pairs_within(seen(red, heart.convert("RGB")))).is_empty()
    assert copies(pairs_within(seen(red, red.convert("L").convert("RGB")))).height == 1


def test_a_symmetrical_copy_is_named_by_the_plainest_turn() -> None:
    image = Image.new("RGB", (64, 64), "white")
    image.paste("black", (16, 16, 48, 48))
    assert pairs_within(seen(image, jpeg(image, 90)))["transform"].to_list() == ["none"]


def test_without_turns_only_unturned_copies_are_found() -> None:
    image = scene(3)
    pictures = seen(image, ImageOps.mirror(image).resize((80, 80)), image.resize((80, 80)))
    assert copies(pairs_within(pictures, turns=False)).select("a", "b").rows() == [(0, 2)]


def test_many_copies_hang_together_and_cross_the_blocks_of_a_comparison() -> None:
    count = 120
    assert count * LIKELIEST > BLOCK_PAIRS
    found = copies(pairs_within(seen(*[jpeg(scene(3), 50 + number % 40) for number in range(count)])))
    reached, ahead = {0}, [0]
    links: dict[int, set[int]] = {}
    for a, b in found.select("a", "b").iter_rows():
        links.setdefault(a, set()).add(b)
        links.setdefault(b, set()).add(a)
    while ahead:
        new = links.get(ahead.pop(), set()) - reached
        reached |= new
        ahead += new
    assert len(reached) == count


def test_features_propose_what_hashes_do_not() -> None:
    images = [scene(seed) for seed in range(4)]
    pictures = seen(*images, *(ImageOps.expand(image.crop((20, 10, 96, 90)), (0, 0, 8, 3), "white") for image in images))
    rng = np.random.default_rng(0)
    features_ND = np.concatenate([rows := rng.standard_normal((4, 64)).astype(np.float32), rows])
    features_ND /= np.linalg.norm(features_ND, axis=1, keepdims=True)
    told = Seen(pictures.thumbs, pictures.sides_N, FeatureRows.of(features_ND))
    assert set(pairs_within(told)["proposed_by"]) <= {"hashes", "features"}
    assert pairs_within(told).height >= pairs_within(pictures).height


def test_pairs_that_were_not_proposed_can_be_compared() -> None:
    image = scene(2, 120)
    pictures = seen(cut(image, 0), ImageOps.expand(ImageOps.mirror(image), 10, "black"), scene(7))
    near, far = agreements(pictures, np.array([0, 0]), np.array([1, 2]), ["mirrored", "none"])
    assert near > 0.8 > 0.5 > far


def test_no_pair_to_look_at_is_no_fault() -> None:
    """Proposals that do not even lie alike leave nothing to judge."""
    nothing = np.zeros((0, SIDE, SIDE), np.float32), np.zeros((0, 8, 8, 3), np.uint8)
    assert judge(nothing, nothing, np.zeros((0, 4), np.float32), (np.zeros(0, np.float32),) * 2).shape == (0,)


def test_no_pictures_no_pairs() -> None:
    none = seen()
    assert len(none) == 0
    for found in (pairs_within(none), pairs_between(none, seen(scene(0))), pairs_between(seen(scene(0)), none)):
        assert found.is_empty()
        assert dict(found.schema) == {name: kind() for name, kind in PAIRS.items()}


@pytest.mark.parametrize("thickness", [6, 10, 16])
@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_the_share_within_a_plain_frame(thickness: int, colour: str) -> None:
    image = scene(5, 100)
    framed = ImageOps.expand(image, thickness, colour)
    plain, share = own_share(seen(image, framed).thumbs)
    assert plain == 1.0
    # never more pixels of its own than the picture within has, and hardly fewer
    assert 0.85 * 100**2 < share * framed.width * framed.height <= 100**2


def test_thumbnails_in_a_file_are_those_in_memory(tmp_path: object) -> None:
    images = [scene(seed) for seed in range(9)]
    memory = seen(*images).thumbs
    with scratch_thumbs(tmp_path / "thumbs") as scratch:
        for number in range(0, 9, 2):
            part = images[number : number + 2]
            keys = pl.Series([f"k{number + place}" for place in range(len(part))])
            scratch.add(keys, [thumb(image) for image in part])
        stored = scratch.read()
        assert stored.keys.to_list() == memory.keys.to_list()
        chosen = pl.Series(["k7", "k2", "k5"])
        assert stored.pick(chosen).raw(slice(None)) == memory.pick(chosen).raw(slice(None))
        assert (stored.take(np.array([3, 1])).grey_NHW == memory.take(np.array([3, 1])).grey_NHW).all()
    assert not (tmp_path / "thumbs").exists()


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(sorted(TRANSPOSES)), st.integers(60, 110)), max_size=8), st.data())
def test_what_holds_for_any_pictures(drawn: list[tuple[int, str, int]], data: st.DataObject) -> None:
    def picture(number: int, turn: str, side: int) -> Image.Image:
        image = scene(number).resize((side, side), Image.Resampling.BICUBIC)
        return image.transpose(transpose) if (transpose := TRANSPOSES[turn]) is not None else image

    images = [picture(*one) for one in drawn]
    found = pairs_within(seen(*images))
    assert (found["a"] < found["b"]).all()
    assert found.select("a", "b").is_unique().all()
    assert found["agreement"].is_between(0, 1).all()
    assert {(a, b) for a, b in copies(found).select("a", "b").iter_rows()} == {
        (a, b) for a in range(len(drawn)) for b in range(a + 1, len(drawn)) if drawn[a][0] == drawn[b][0]
    }
    order = data.draw(st.permutations(range(len(drawn))))
    other = copies(pairs_within(seen(*(images[place] for place in order))))
    as_before = {frozenset((order[a], order[b])) for a, b in other.select("a", "b").iter_rows()}
    assert as_before == {frozenset(pair) for pair in copies(found).select("a", "b").iter_rows()}


def test_sets_that_share_nothing_have_no_pairs() -> None:
    between = pairs_between(seen(*(scene(number) for number in range(20))), seen(*(scene(40 + number) for number in range(20))))
    assert copies(between).is_empty()
    flat = Image.new("RGB", (64, 64), "navy")
    assert pairs_between(seen(flat), seen(flat)).is_empty(), "a flat picture is no evidence of anything"
