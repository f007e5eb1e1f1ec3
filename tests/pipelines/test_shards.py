"""Shards: same samples, same bytes; the index finds every image; webdataset and datasets read them as they are."""

import hashlib
import io
import os
from pathlib import Path

import polars as pl
import pytest
import webdataset as wds
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.shards import Sample, ShardWriter, read_image, read_images


def picture(value: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (value % 256, value // 256, 7)).save(out, "PNG")
    return out.getvalue()


def samples(count: int) -> list[Sample]:
    splits = ["train", "train", "validation", "test"]
    return [
        Sample(f"{n:016x}-abc", f"été {n % 3}", n % 3, splits[n % 4], f"c{n}", f"dir/{n}.png", "png", picture(n))
        for n in range(count)
    ]


def write(folder: Path, made: list[Sample], shard_images: int) -> pl.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    with ShardWriter(folder, shard_images) as writer:
        writer.write(made)
    return writer.index()


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 40), st.integers(1, 12))
def test_the_index_finds_every_image(tmp_path_factory: pytest.TempPathFactory, count: int, shard_images: int) -> None:
    folder = tmp_path_factory.mktemp("shards")
    made = samples(count)
    index = write(folder, made, shard_images)
    by_key = {sample.key: sample for sample in made}
    assert sorted(index["key"]) == sorted(by_key)
    for row in index.iter_rows(named=True):
        assert read_image(folder, row["shard"], row["offset"], row["size"]) == by_key[row["key"]].data
    assert list(read_images(folder, index)) == [by_key[key].data for key in index["key"]]
    assert index.group_by("shard").len()["len"].max() <= shard_images


def test_equal_samples_give_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one", samples(20), 7)
    os.environ["TZ"] = "Asia/Tokyo"
    write(tmp_path / "two", samples(20), 7)
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) >= 4


def test_webdataset_reads_them(tmp_path: Path) -> None:
    made = samples(24)
    write(tmp_path, made, 100)
    found = list(wds.WebDataset(str(tmp_path / "train-000000.tar"), shardshuffle=False).decode("pil"))
    expected = [sample for sample in made if sample.split == "train"]
    assert [sample["__key__"] for sample in found] == [sample.key for sample in expected]
    assert [sample["cls"] for sample in found] == [sample.class_index for sample in expected]
    assert found[0]["json"] == {"class": 0, "key": expected[0].key, "label": "été 0", "source_id": "dir/0.png"}
    assert found[1]["png"].getpixel((0, 0)) == (expected[1].class_index, 0, 7)
