"""Contact sheets and sheets of copies."""

import base64
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pipelines.layout import Layout
from pipelines.pictures import (
    ABSENT,
    cluster_sheet,
    contact_image,
    contact_sheet,
    copy_groups,
    data_uri,
    raw_thumbnails,
    sheet_rows,
    thumbnail,
    tile,
)
from pipelines.shards import Sample, ShardWriter

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 60), (30, 60, 220)


def png(colour: tuple[int, int, int], size: tuple[int, int] = (40, 20)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def opened(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def ledger(rows: list[tuple[str, str, str | None]]) -> pl.DataFrame:
    schema = dict.fromkeys(("key", "verdict", "cluster"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(source_id="key", label=pl.lit("a"), reason=pl.lit("r"))


def evidence(rows: list[tuple[str, str, str, int, float, str]]) -> pl.DataFrame:
    schema = {"key_a": pl.String, "key_b": pl.String, "step": pl.String, "distance": pl.Int32}
    frame = pl.DataFrame(rows, schema=schema | {"agreement": pl.Float32, "transform": pl.String}, orient="row")
    return frame.with_columns(proposed_by=pl.lit("hashes"), copies=pl.lit(True))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A domain `tiles` of three classes of one colour each, with one copy set aside."""
    layout = Layout(tmp_path)
    folder = layout.domain("tiles")
    folder.mkdir(parents=True)
    layout.raw("tiles").mkdir(parents=True)
    rows = []
    with ShardWriter(folder, 2) as writer:
        for number, colour in enumerate((RED, GREEN, BLUE)):
            for sample in range(3):
                key = f"{colour[2]}-{number}-{sample}"
                rows.append((key, "kept", None))
                writer.write([Sample(key, "abc"[number], number, "test" if sample else "train", key, key, "png", png(colour))])
    writer.index().write_parquet(folder / "index.parquet")
    rows += [("copy", "duplicate", rows[0][0])]
    ledger([(rows[0][0], "kept", rows[0][0]), *rows[1:]]).write_parquet(folder / "ledger.parquet")
    evidence([(rows[0][0], "copy", "bytes", 0, 1.0, "none")]).write_parquet(folder / "duplicates.parquet")
    raw = [(key, png(RED)) for key, _, _ in rows] + [("broken", b"no picture")]
    pl.DataFrame(raw, schema=["source_id", "data"], orient="row").write_parquet(layout.raw("tiles") / "records-00000.parquet")
    return layout


def test_a_contact_sheet_has_a_row_a_class(layout: Layout) -> None:
    pixels = np.asarray(contact_image(layout.domain("tiles"), n_samples=2, side=10, gap=2))
    assert pixels.shape == (3 * 12 - 2, 2 * 12 - 2, 3)
    for row, colour in enumerate((RED, GREEN, BLUE)):
        assert tuple(pixels[row * 12 + 5, 5]) == tuple(pixels[row * 12 + 5, 17]) == colour
    assert tuple(pixels[11, 5]) == (255, 255, 255)


def test_sheet_rows_spread_over_classes(layout: Layout) -> None:
    index = pl.read_parquet(layout.domain("tiles") / "index.parquet")
    shown = sheet_rows(index, 2, 9)
    assert shown["label"].unique().sort().to_list() == ["a", "c"]
    assert shown.height == 6
    assert sheet_rows(index.head(0), 2, 2).is_empty()


def test_sheets_are_data_uris(layout: Layout) -> None:
    assert opened(contact_sheet(layout, "tiles")).size == (3 * 50 - 2, 3 * 50 - 2)
    sheet = cluster_sheet(layout, "tiles", side=20)
    assert sheet is not None
    assert opened(sheet).size == (44, 20)


def test_a_domain_without_copies_has_no_sheet_of_them(layout: Layout) -> None:
    path = layout.domain("tiles") / "ledger.parquet"
    pl.read_parquet(path).with_columns(cluster=pl.lit(None, pl.String), verdict=pl.lit("kept")).write_parquet(path)
    assert cluster_sheet(layout, "tiles") is None


def test_raw_thumbnails_say_what_cannot_be_shown(layout: Layout) -> None:
    found = raw_thumbnails(layout.raw("tiles"), ["copy", "broken", "unknown"], 30)
    assert set(found) == {"copy", "broken"}
    assert found["broken"] is None
    assert raw_thumbnails(layout.raw("tiles"), [], 30) == {}


def test_a_thumbnail_shows_the_whole_picture_and_a_tile_its_middle() -> None:
    whole = thumbnail(png(RED), 30)
    assert whole is not None
    assert whole.size == (30, 30)
    assert whole.getpixel((15, 2)) == (255, 255, 255)
    assert whole.getpixel((15, 15)) == RED
    assert tile(png(RED), 30).getpixel((15, 2)) == RED
    assert thumbnail(b"no picture", 30) is None
    assert tile(b"no picture", 30).getpixel((0, 0)) == ABSENT


def test_equal_pictures_have_equal_addresses() -> None:
    assert data_uri(Image.new("RGB", (9, 9), RED)) == data_uri(Image.new("RGB", (9, 9), RED))


def test_groups_show_different_kinds_of_copies_before_more_of_the_same() -> None:
    names = ["k1", "k2", "k3"]
    rows = [(key, "kept", key) for key in names] + [(f"c{key}", "duplicate", key) for key in names] + [("alone", "kept", None)]
    proof = [
        ("ck1", "k1", "bytes", 0, 1.0, "none"),
        ("ck2", "k2", "bytes", 0, 1.0, "none"),
        ("ck3", "k3", "near", 3, 0.9, "mirrored"),
    ]
    groups = copy_groups(ledger(rows), evidence(proof), "duplicate", most=2)
    assert [group["key"].to_list() for group in groups] == [["k1", "ck1"], ["k3", "ck3"]]
    assert groups[1]["transform"].to_list() == ["mirrored", "mirrored"]
    assert copy_groups(ledger(rows), evidence(proof), "label_conflict", most=2) == []


def test_large_groups_are_cut_and_say_how_large_they_are() -> None:
    rows = [("k", "kept", "k")] + [(f"c{n}", "duplicate", "k") for n in range(9)]
    (group,) = copy_groups(ledger(rows), evidence([]), "duplicate", most=3, members=4)
    assert group["key"].to_list() == ["k", "c0", "c1", "c2"]
    assert group["cluster_size"].to_list() == [10] * 4


def test_both_sides_of_a_conflict_are_among_the_first() -> None:
    rows = [(name, "label_conflict", "k") for name in ("k", "c0", "c1", "c2", "c3", "other")]
    labels = pl.Series(["a"] * 5 + ["b"])
    (group,) = copy_groups(ledger(rows).with_columns(label=labels), evidence([]), "label_conflict", most=1, members=3)
    assert group["key"].to_list() == ["k", "other", "c0"]


def test_pairs_that_are_no_copies_are_no_evidence() -> None:
    rows = [("k", "kept", "k"), ("c", "duplicate", "k")]
    proof = evidence([("k", "c", "near", 3, 0.9, "mirrored"), ("c", "x", "near", 1, 0.91, "turned 90")])
    proof = proof.with_columns(copies=pl.Series([True, False]))
    (group,) = copy_groups(ledger(rows), proof, "duplicate", most=1)
    assert group["transform"].to_list() == ["mirrored", "mirrored"]


def test_evidence_is_of_the_keeper_before_a_stronger_one_of_another_copy() -> None:
    rows = [("k", "kept", "k"), ("c", "duplicate", "k"), ("d", "duplicate", "k")]
    proof = evidence([("k", "c", "near", 3, 0.9, "mirrored"), ("c", "d", "near", 1, 0.99, "turned 90")])
    (group,) = copy_groups(ledger(rows), proof, "duplicate", most=1)
    assert dict(group.select("key", "transform").iter_rows()) == {"k": "mirrored", "c": "mirrored", "d": "turned 90"}
