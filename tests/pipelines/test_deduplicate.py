"""Copies within a domain: verdicts, reasons, clusters, and what must hold whatever the data."""

import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.copies import ThumbRows, thumb
from pipelines.curation import Curation
from pipelines.deduplicate import deduplicate
from pipelines.evidence import EVIDENCE
from pipelines.examine import examine
from pipelines.ledger import SCHEMA, faults, keep_the_rest, undecided


def scene(seed: int, side: int = 72) -> Image.Image:
    small_HWC = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
    return Image.fromarray(small_HWC).resize((side, side), Image.Resampling.BICUBIC)


def coded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def run(records: list[tuple[str, str, bytes]], near: bool = True) -> tuple[pl.DataFrame, pl.DataFrame]:
    schema = {"source_id": pl.String, "label": pl.String, "data": pl.Binary}
    seen = examine(pl.DataFrame(records, schema=schema, orient="row"), Curation())
    return deduplicate(seen.drop("thumb"), thumb_rows(seen), Curation().duplicates if near else None)


def thumb_rows(seen: pl.DataFrame) -> ThumbRows:
    readable = seen.filter(pl.col("thumb").is_not_null())
    return ThumbRows.of(readable["key"], readable["thumb"])


def row(ledger: pl.DataFrame, source_id: str) -> dict[str, object]:
    return ledger.row(by_predicate=pl.col("source_id") == source_id, named=True)


def verdicts(ledger: pl.DataFrame) -> dict[str, str | None]:
    return dict(ledger.select("source_id", "verdict").iter_rows())


def test_exact_copies_keep_the_first_name() -> None:
    data = coded(scene(0))
    ledger, evidence = run([("b", "x", data), ("a", "x", data), ("c", "x", coded(scene(1)))], near=False)
    assert verdicts(ledger) == {"b": "duplicate", "a": None, "c": None}
    keeper = row(ledger, "a")["key"]
    assert row(ledger, "b")["reason"] == f"same bytes as {keeper}"
    assert row(ledger, "b")["kept_key"] == row(ledger, "b")["cluster"] == row(ledger, "a")["cluster"] == keeper
    assert row(ledger, "c")["cluster"] is None
    assert evidence.select("step", "distance", "agreement", "transform").rows() == [("bytes", 0, 1.0, "none")]
    assert dict(evidence.schema) == {name: kind() for name, kind in EVIDENCE.items()}


def test_equal_pixels_in_another_file() -> None:
    image = scene(0)
    ledger, evidence = run([("a", "x", coded(image)), ("b", "x", coded(image, "BMP"))], near=False)
    assert row(ledger, "b")["reason"] == f"same pixels as {row(ledger, 'a')['key']}"
    assert evidence["step"].to_list() == ["pixels"]


def test_the_best_copy_stays() -> None:
    big, small = scene(0, 96), scene(0, 96).resize((72, 72), Image.Resampling.BICUBIC)
    ledger, evidence = run([("a", "x", coded(small)), ("b", "x", coded(big, "JPEG", quality=90)), ("c", "x", coded(big))])
    assert verdicts(ledger) == {"a": "duplicate", "b": "duplicate", "c": None}, "area first, then lossless"
    assert str(row(ledger, "a")["reason"]).startswith(f"near copy of {row(ledger, 'c')['key']} (agreement ")
    assert set(evidence["step"]) == {"near"}
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = coded(big.transpose(Image.Transpose.ROTATE_180), exif=exif.tobytes())
    assert verdicts(run([("a", "x", turned), ("b", "x", coded(big))])[0]) == {"a": "duplicate", "b": None}, "no EXIF turn"


@pytest.mark.parametrize("seed", range(6))  # keys come from content: each side of a pair comes first in some
def test_turned_copies_name_the_turn_from_the_keeper(seed: int) -> None:
    original = scene(seed)
    turned = original.transpose(Image.Transpose.ROTATE_90).resize((50, 50), Image.Resampling.BICUBIC)
    mirrored = original.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((60, 60), Image.Resampling.BICUBIC)
    ledger, evidence = run([("a", "x", coded(original)), ("b", "x", coded(turned)), ("c", "x", coded(mirrored))])
    keeper = row(ledger, "a")["key"]
    assert str(row(ledger, "b")["reason"]).startswith(f"near copy of {keeper} (turned 90, agreement ")
    assert str(row(ledger, "c")["reason"]).startswith(f"near copy of {keeper} (mirrored, agreement ")
    assert set(evidence["step"]) == {"near"}


def test_a_copy_under_another_label_sets_all_aside() -> None:
    data = coded(scene(0))
    small = coded(scene(0).resize((50, 50), Image.Resampling.BICUBIC))
    ledger, _ = run([("a", "x", data), ("b", "y", data), ("c", "x", small), ("d", "x", coded(scene(1)))])
    assert verdicts(ledger) == dict.fromkeys("abc", "label_conflict") | {"d": None}
    a, b = row(ledger, "a"), row(ledger, "b")
    assert a["reason"] == f"same bytes as {b['key']}, which is labelled 'y'"
    assert b["reason"] == f"same bytes as {a['key']}, which is labelled 'x'"
    assert str(row(ledger, "c")["reason"]).startswith("near copy of ")
    assert ledger["cluster"].n_unique() == 2
    assert ledger["kept_key"].null_count() == 4


def test_a_turned_picture_under_another_label_is_another_picture() -> None:
    letter, mirrored = coded(scene(0)), coded(scene(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    ledger, evidence = run([("b", "b", letter), ("d", "d", mirrored)])
    assert verdicts(ledger) == {"b": None, "d": None}
    assert evidence.select("transform", "copies").rows() == [("mirrored", False)], "seen, and said not to count"


def test_a_bar_and_a_square_are_no_copies() -> None:
    image = scene(0, 80)
    ledger, _ = run([("a", "x", coded(image)), ("b", "x", coded(image.resize((80, 30))))])
    assert verdicts(ledger) == {"a": None, "b": None}


def test_a_chain_of_small_changes_does_not_merge_its_ends() -> None:
    start, end = (np.asarray(scene(seed), np.float32) for seed in (0, 1))
    chain = [Image.fromarray((start + (end - start) * step / 60).astype(np.uint8)) for step in range(61)]
    ledger, evidence = run([(f"{n:02}", "x", coded(image)) for n, image in enumerate(chain)])
    linked = {frozenset(pair) for pair in evidence.select("key_a", "key_b").iter_rows()}
    kept = ledger.filter(pl.col("verdict").is_null())
    assert 2 < kept.height < 40
    for key, kept_key in ledger.filter(pl.col("verdict") == "duplicate").select("key", "kept_key").iter_rows():
        assert frozenset((key, kept_key)) in linked, "agrees with its keeper directly"


def test_only_open_records_take_part() -> None:
    data = coded(scene(0))
    ledger, _ = run([("a", "x", data), ("b", "x", data)], near=False)
    closed = ledger.with_columns(verdict=pl.lit("dropped_by_hand"), reason=pl.lit("blurred"))
    again, evidence = deduplicate(closed, ThumbRows.of(pl.Series([], dtype=pl.String), []), Curation().duplicates)
    assert again.equals(closed)
    assert evidence.is_empty()


def test_an_empty_ledger() -> None:
    ledger, evidence = run([])
    assert ledger.is_empty()
    assert ledger.columns == list(SCHEMA)
    assert evidence.columns == list(EVIDENCE)


records = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 2), st.sampled_from("xyz"), st.integers(16, 19), st.sampled_from(["PNG", "JPEG"])
    ),
    max_size=14,
)


def synthetic(drawn: list[tuple[int, int, str, int, str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A ledger whose pixel hash, bytes and thumbnails follow from (scene, variant): variants of a scene look nearly alike."""
    rows, thumbs = [], []
    for number, (picture, variant, label, side, kind) in enumerate(drawn):
        pixels = np.asarray(scene(picture, 32), np.int16) + variant
        pixel_hash = f"{picture}-{variant}"
        row = dict.fromkeys(SCHEMA) | {"key": f"k{number}", "source_id": f"s{number}", "label": label, "format": kind}
        row |= {
            "sha256": f"{pixel_hash}-{kind}",
            "pixel_hash": pixel_hash,
            "width": side,
            "height": side,
            "exif_orientation": 1,
        }
        rows.append(row)
        thumbs.append({"key": f"k{number}", "thumb": thumb(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))})
    return pl.DataFrame(rows, schema=SCHEMA), pl.DataFrame(thumbs, schema={"key": pl.String, "thumb": pl.Binary})


@settings(max_examples=60, deadline=None)
@given(drawn=records, near=st.booleans(), data=st.data())
def test_what_holds_for_any_ledger(drawn: list[tuple[int, int, str, int, str]], near: bool, data: st.DataObject) -> None:
    ledger, thumbs = synthetic(drawn)
    settings = Curation().duplicates if near else None
    result, evidence = deduplicate(ledger, thumb_rows(thumbs), settings)
    assert result["key"].equals(ledger["key"]), "nothing lost, order kept"

    order = data.draw(st.permutations(range(ledger.height)))
    shuffled, shuffled_evidence = deduplicate(ledger[list(order)], thumb_rows(thumbs.reverse()), settings)
    assert shuffled.sort("key").equals(result.sort("key")), "row order does not matter"
    assert shuffled_evidence.equals(evidence)

    again, more = deduplicate(result, thumb_rows(thumbs), settings)
    assert again.equals(result), "a second pass changes nothing"
    assert more.is_empty()

    assert undecided(result)["pixel_hash"].is_unique().all(), "every exact copy is found"
    for _, group in result.filter(pl.col("cluster").is_not_null()).group_by("cluster"):
        conflict = group["label"].n_unique() > 1
        keepers = group.filter(pl.col("verdict").is_null())
        assert keepers.height == (0 if conflict else 1)
        assert conflict == (set(group["verdict"]) == {"label_conflict"})
        assert (group["key"] == group["cluster"]).sum() == 1, "named by one of its members"
    same = ["sha256", "pixel_hash", "label"]
    assert result.filter(pl.col("verdict").is_not_null() & pl.col("reason").is_null()).is_empty()
    assert result.select(same).equals(ledger.select(same)), "records themselves stay as they were"
    finished = keep_the_rest(result).with_columns(split=pl.when(pl.col("verdict") == "kept").then(pl.lit("train")))
    assert faults(finished) == []
