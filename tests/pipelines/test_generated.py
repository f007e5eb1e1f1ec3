"""Generated domains: same bytes from the same seed, planted dirt that is what its truth says, options refused in one line."""

import io
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, UnidentifiedImageError

from pipelines.cards import Source, load_card
from pipelines.sources import RawRecord, kind_of
from pipelines.sources.generated import GENERATORS, check, dirt, generator, records
from pipelines.sources.generated.domain import encode, picture
from pipelines.sources.generated.spoil import UNREADABLE, in_mode, odd_modes, unreadable
from pipelines.transfer import Place

CARDS = Path(__file__).parents[2] / "collections"
NOWHERE = Place(Path("nowhere"), Path("nowhere"))
LEAKS = {"glyphs": "digits", "textures": "fractals"}


@cache
def drawn(name: str, seed: int = 3, images: int = 5, classes: int = 9) -> tuple[RawRecord, ...]:
    """The small version of a domain that most tests look at."""
    options = {"seed": seed, "images_per_class": images, "classes": classes}
    leak = {"leak_from": LEAKS[name]} if name in LEAKS else {}
    return tuple(records(Source(kind="generated", locator=name, options={**options, **leak}), NOWHERE))


def of_kind(name: str, kind: str) -> list[RawRecord]:
    return [r for r in drawn(name) if r.planted and r.planted.kind == kind]


def clean(name: str) -> dict[str, RawRecord]:
    return {r.source_id: r for r in drawn(name) if r.planted is None}


def upright(data: bytes) -> np.ndarray:
    """Grey plane, EXIF obeyed, as floats: what a careful reader sees."""
    image = Image.open(io.BytesIO(data))
    image.load()
    turned = ImageOps.exif_transpose(image)
    if turned.mode == "I;16":
        return np.asarray(turned).astype(float) / 257
    return np.asarray(turned.convert("RGB").convert("L")).astype(float)


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two grey planes seen from afar (18 x 18), where resized white noise is still the same picture."""
    far = [np.asarray(Image.fromarray(p.astype(np.float32)).resize((18, 18), Image.Resampling.BOX)) for p in (a, b)]
    return float(np.corrcoef(far[0].ravel(), far[1].ravel())[0, 1])


@pytest.mark.parametrize("name", GENERATORS)
def test_same_seed_gives_same_bytes_and_other_seed_gives_others(name: str) -> None:
    first = drawn(name, images=3, classes=4)
    assert first == drawn.__wrapped__(name, images=3, classes=4)
    if name != "digits":  # the digits are what they are
        other = drawn(name, seed=4, images=3, classes=4)
        assert not {r.data for r in first if r.planted is None} & {r.data for r in other if r.planted is None}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_picture_does_not_depend_on_how_many_are_drawn(name: str) -> None:
    fewer = {r.source_id: r for r in drawn(name, images=3, classes=4) if r.planted is None}
    shared = fewer.keys() & clean(name).keys()
    assert shared
    assert all(fewer[key].data == clean(name)[key].data for key in shared)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_kind_of_dirt_is_planted_and_counts_add_up(name: str) -> None:
    found = Counter(r.planted.kind if r.planted else "clean" for r in drawn(name))
    wanted = set(dirt.KINDS) if name in LEAKS else set(dirt.KINDS) - {"leak"}
    assert set(found) == wanted | {"clean"}
    assert found["clean"] + found["odd_mode"] == 9 * 5
    assert found["rare_class"] == dirt.RARE_IMAGES
    assert found["unreadable"] == dirt.FILES_UNREADABLE


@pytest.mark.parametrize("name", GENERATORS)
def test_copies_are_of_untouched_records_and_look_like_them(name: str) -> None:
    pristine = clean(name)
    originals = [r.planted.of for r in drawn(name) if r.planted and r.planted.kind in dirt.COPIES]
    assert len(originals) == len(set(originals))
    for record in drawn(name):
        if record.planted is None or record.planted.kind not in dirt.COPIES:
            continue
        kind, original = record.planted.kind, pristine[str(record.planted.of)]
        assert (record.label == original.label) == (kind != "conflict_copy")
        assert (record.data == original.data) == (kind == "exact_copy") or kind == "conflict_copy"
        seen = upright(record.data)
        assert alike(upright(original.data), seen[:, ::-1] if kind == "near_mirrored" else seen) > 0.9


@pytest.mark.parametrize("name", GENERATORS)
def test_clean_records_are_all_different(name: str) -> None:
    planes = np.stack([upright(r.data).ravel() for r in clean(name).values()])
    apart = np.abs(planes[:, None] - planes[None]).mean(axis=-1) + 255 * np.eye(len(planes))
    assert apart.min() > 3


@pytest.mark.parametrize("name", GENERATORS)
def test_unreadable_files_are(name: str) -> None:
    for record in of_kind(name, "unreadable"):
        with pytest.raises((UnidentifiedImageError, OSError, SyntaxError)):
            upright(record.data)


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("way", UNREADABLE)
def test_every_way_to_spoil_a_file_works_for_both_formats(encoding: str, way: str) -> None:
    pixels = picture(generator("textures"), 0, 0, 0)
    for seed in range(5):
        with pytest.raises((UnidentifiedImageError, OSError, SyntaxError)):
            upright(unreadable(pixels, encoding, way, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", GENERATORS)
def test_odd_modes_show_the_picture_they_stand_for(name: str) -> None:
    domain, found = generator(name), []
    for record in of_kind(name, "odd_mode"):
        image = Image.open(io.BytesIO(record.data))
        found.append("EXIF" if image.getexif().get(0x0112, 1) != 1 else image.mode)
        label, _, number = record.source_id.partition("/")
        pixels = picture(domain, 3, domain.classes.index(label), int(number.split(".")[0]))
        assert alike(upright(encode(pixels, "png")), upright(record.data)) > (0.5 if image.mode in ("1", "RGBA", "LA") else 0.9)
    assert set(found) <= set(odd_modes(domain))
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "I;16", "EXIF", "1"])
def test_every_odd_mode_is_read_back_upright(mode: str) -> None:
    pixels = picture(generator("glyphs"), 0, 5, 0)
    turns = set()
    for seed in range(12):
        data, _ = in_mode(pixels, mode, np.random.default_rng(seed))
        image = Image.open(io.BytesIO(data))
        turns.add(image.getexif().get(0x0112, 1))
        assert image.mode == ("RGB" if mode == "EXIF" else mode)
        assert alike(upright(encode(pixels, "png")), upright(data)) > 0.9
    assert turns == ({3, 6, 8} if mode == "EXIF" else {1})


@pytest.mark.parametrize(("name", "source"), LEAKS.items())
def test_leaks_are_records_of_the_other_domain(name: str, source: str) -> None:
    others = {r.source_id: r for r in drawn(source, images=2, classes=len(generator(source).classes) - 1) if r.planted is None}
    equal = 0
    for record in of_kind(name, "leak"):
        assert record.planted is not None
        assert record.planted.domain == source
        original = others[str(record.planted.of)]
        equal += record.data == original.data
        assert record.label in generator(name).classes
        assert alike(upright(original.data), upright(record.data)) > 0.9
    assert equal == 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31 - 1), classes=st.integers(2, 10), images=st.integers(2, 60), name=st.sampled_from(GENERATORS))
def test_a_plan_names_each_record_once_and_spares_originals(seed: int, classes: int, images: int, name: str) -> None:
    domain = generator(name)
    entries = dirt.plan(domain, seed, classes, images, generator("digits"))
    assert len({entry.filed for entry in entries}) == len(entries)
    shown_clean = {entry.shown for entry in entries if entry.kind == "clean"}
    copied = [entry.shown for entry in entries if entry.kind in dirt.COPIES]
    assert len(copied) == len(set(copied))
    assert set(copied) <= shown_clean
    assert {(c, 0) for c in range(classes)} <= shown_clean  # what other domains leak
    assert not {(c, 0) for c in range(classes)} & set(copied)
    whole = shown_clean | {entry.shown for entry in entries if entry.kind == "odd_mode"}
    assert whole == {(c, i) for c in range(classes) for i in range(images)}
    for entry in entries:
        assert entry.kind != "conflict_copy" or entry.filed[0] != entry.shown[0]
    assert entries == dirt.plan(domain, seed, classes, images, generator("digits"))


def test_planted_records_are_spread_through_the_domain() -> None:
    places = [place for place, r in enumerate(drawn("curves")) if r.planted]
    assert places[0] < len(drawn("curves")) / 4
    assert np.ptp(places) > len(drawn("curves")) / 2
    assert any(r.planted is None for r in drawn("curves")[places[0] :])


def test_without_dirt_all_records_are_clean() -> None:
    source = Source(kind="generated", locator="curves", options={"dirt": False, "images_per_class": 2, "classes": 3})
    found = list(records(source, NOWHERE))
    assert [r.planted for r in found] == [None] * 6


@pytest.mark.parametrize(
    ("locator", "options", "message"),
    [
        ("digitz", {}, "source.locator: expected one of digits, glyphs"),
        ("curves", {"images": 3}, "source.options.images: unknown option; known here: seed"),
        (
            "curves",
            {"images_per_class": 1},
            "source.options.images_per_class: expected a whole number from 2 to 10000, found 1",
        ),
        ("digits", {"images_per_class": 161}, "source.options.images_per_class: expected a whole number from 2 to 160"),
        ("curves", {"images_per_class": "many"}, "source.options.images_per_class: expected a whole number"),
        ("curves", {"classes": 21}, "source.options.classes: expected a whole number from 2 to 20, found 21"),
        ("curves", {"seed": -1}, "source.options.seed: expected a whole number from 0 to 2147483647, found -1"),
        ("curves", {"seed": True}, "source.options.seed: expected a whole number"),
        ("curves", {"dirt": "no"}, "source.options.dirt: expected true or false, found 'no'"),
        ("curves", {"leak_from": "curves"}, "source.options.leak_from: expected one of digits"),
        ("curves", {"leak_from": "nothing"}, "source.options.leak_from: expected one of digits"),
        ("curves", {"leak_from": ["digits"]}, "source.options.leak_from: expected one of digits"),
    ],
)
def test_wrong_options_are_refused_in_one_line(locator: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match="source") as caught:
        check(Source(kind="generated", locator=locator, options=options))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_cards_load_and_their_sources_are_in_order(name: str) -> None:
    card = load_card(CARDS / f"{name}.yaml")
    assert card.source.locator == name
    kind_of(card, name)
    assert card.source.options.get("leak_from") == LEAKS.get(name)
