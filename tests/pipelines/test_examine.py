"""Raw records in, ledger rows and thumbnails out."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
from PIL import Image

from pipelines import quality
from pipelines.copies import THUMB_BYTES
from pipelines.curation import Curation
from pipelines.examine import examine
from pipelines.ledger import SCHEMA, record_key

SETTINGS = Curation(min_side=16, max_pixels=10_000)


def coded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def batch(*data: bytes) -> pl.DataFrame:
    records = {"source_id": [f"id {n}" for n in range(len(data))], "label": ["a"] * len(data), "data": list(data)}
    return pl.DataFrame(records, schema={"source_id": pl.String, "label": pl.String, "data": pl.Binary})


def test_the_columns_are_the_ledgers_and_thumb() -> None:
    wanted = {name: kind() for name, kind in SCHEMA.items()} | {"thumb": pl.Binary()}
    for records in (batch(), batch(b""), batch(b"", coded(noise()))):
        rows = examine(records, SETTINGS)
        assert dict(rows.schema) == wanted
        assert rows.columns == list(wanted)
        assert rows["source_id"].to_list() == records["source_id"].to_list()


def test_a_sound_picture_is_described() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = coded(noise(), "JPEG", exif=exif.tobytes())
    row = examine(batch(data), SETTINGS).row(0, named=True)
    sha256 = hashlib.sha256(data).hexdigest()
    assert row["key"] == record_key(sha256, "id 0")
    assert (row["sha256"], row["bytes"]) == (sha256, len(data))
    assert (row["width"], row["height"], row["mode"], row["format"]) == (40, 30, "RGB", "JPEG")
    assert (row["exif_orientation"], row["transparent"]) == (6, False)
    assert (row["verdict"], row["reason"], row["cluster"], row["kept_key"], row["split"]) == (None,) * 5
    assert len(row["thumb"]) == THUMB_BYTES
    assert int(row["phash"], 16) < 2**64
    assert len(row["phash"]) == 16


def test_unreadable_records_have_a_reason_and_no_guesses() -> None:
    rows = examine(batch(b"", b"nonsense", coded(noise(200, 200))), SETTINGS)
    assert rows["verdict"].to_list() == ["unreadable"] * 3
    assert rows["reason"].to_list() == [
        "empty file",
        "not a picture of a known format",
        "more than 10000 pixels: 200 x 200",
    ]
    known = {"key", "source_id", "label", "source_label", "bytes", "sha256", "verdict", "reason"}
    for name in rows.columns:
        assert rows[name].null_count() == (0 if name in known else 3), name


def test_small_records_are_described_all_the_same() -> None:
    row = examine(batch(coded(noise(40, 15)), coded(noise(40, 16))), SETTINGS)
    assert row["verdict"].to_list() == ["too_small", None]
    assert row["reason"][0] == "shorter side is 15 px, at least 16 px wanted"
    assert row.select(pl.col("^quality_.*$").null_count().sum()).row(0) == (0,) * len(quality.NAMES)
    assert row["thumb"].null_count() == row["phash"].null_count() == row["pixel_hash"].null_count() == 0


def test_equal_pixels_have_equal_hashes_whatever_the_file() -> None:
    image = noise()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = coded(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif.tobytes())
    rows = examine(batch(coded(image), coded(image, "BMP"), coded(image.convert("RGBA")), turned), SETTINGS)
    assert rows["sha256"].n_unique() == 4
    assert rows["pixel_hash"].n_unique() == rows["phash"].n_unique() == rows["thumb"].n_unique() == 1


def test_the_size_takes_part_in_the_pixel_hash() -> None:
    rows = examine(batch(coded(Image.new("RGB", (20, 40))), coded(Image.new("RGB", (40, 20)))), SETTINGS)
    assert rows["pixel_hash"].n_unique() == 2


def test_the_hash_survives_scaling_and_tells_pictures_apart() -> None:
    smooth = [noise(6, 6, seed).resize((90, 90), Image.Resampling.BICUBIC) for seed in range(2)]
    files = [coded(smooth[0]), coded(smooth[0].resize((60, 60))), coded(smooth[0], "JPEG", quality=40), coded(smooth[1])]
    codes = [int(digits, 16) for digits in examine(batch(*files), SETTINGS)["phash"]]
    assert (codes[0] ^ codes[1]).bit_count() <= 4
    assert (codes[0] ^ codes[2]).bit_count() <= 4
    assert (codes[0] ^ codes[3]).bit_count() > 12


def test_threads_give_what_one_thread_gives() -> None:
    batches = [batch(*(coded(noise(seed=seed + n)) for n in range(5)), b"") for seed in range(8)]
    alone = [examine(records, SETTINGS) for records in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda records: examine(records, SETTINGS), batches))
    assert all(one.equals(other) for one, other in zip(alone, together, strict=True))


def test_a_picture_that_could_not_be_had_says_why() -> None:
    records = batch(b"", coded(noise()), b"").with_columns(
        fault=pl.Series(["the server answers 404", None, None], dtype=pl.String)
    )
    rows = examine(records, SETTINGS)
    assert rows["verdict"].to_list() == ["unreadable", None, "unreadable"]
    assert rows["reason"][0] == "the server answers 404"
    assert rows["reason"][2] == examine(batch(b""), SETTINGS)["reason"][0]
