"""Cached features: what is written is what is mapped, and whatever else lies there is refused in one line."""

import json
import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pipelines.features import ABOUT, FILE, KEYS, Features, concatenated, digest, map_features, open_features, write_features
from pipelines.files import read_json

NAMES = ["b", "a", "ä"]
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_features(tmp_path, pl.Series(NAMES), FEATURES, {"content": "c"})
    return tmp_path


def refused(folder: Path) -> str:
    """The one line with which opening is refused."""
    with pytest.raises(ValueError, match="dvc repro") as caught:
        open_features(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_round_trip(folder: Path) -> None:
    found = open_features(folder)
    assert found.keys.to_list() == NAMES
    assert isinstance(found.features_ND, np.memmap), "it is read as it is used"
    np.testing.assert_array_equal(found.features_ND, FEATURES)
    assert read_json(folder / ABOUT) == {
        "content": "c",
        "dimensions": 4,
        "features_digest": digest(found.features_ND),
        "images": 3,
    }


def test_without_keys_the_rows_are_the_indexs(tmp_path: Path) -> None:
    write_features(tmp_path, None, FEATURES.astype(np.float64)[:, ::2], {})
    np.testing.assert_array_equal(map_features(tmp_path / FILE), FEATURES[:, ::2])
    assert not (tmp_path / KEYS).exists()
    assert KEYS in refused(tmp_path)


def test_no_picture_could_be_read(tmp_path: Path) -> None:
    write_features(tmp_path, pl.Series([], dtype=pl.String), concatenated([], 4), {})
    found = open_features(tmp_path)
    assert found.features_ND.shape == (0, 4)
    features_MD, has_M = found.of(pl.Series(["a"]))
    assert features_MD.tolist() == [[0, 0, 0, 0]]
    assert has_M.tolist() == [False]


@given(
    st.lists(st.text("abcä", min_size=1, max_size=3), unique=True, max_size=8),
    st.lists(st.text("abcä", min_size=1, max_size=3), max_size=12),
)
def test_features_come_in_the_order_asked_for(held: list[str], asked: list[str]) -> None:
    features_ND = np.arange(1, 2 * len(held) + 1, dtype=np.float32).reshape(-1, 2)
    features_MD, has_M = Features(pl.Series(held, dtype=pl.String), features_ND).of(pl.Series(asked, dtype=pl.String))
    assert features_MD.dtype == np.float32
    assert has_M.tolist() == [key in held for key in asked]
    wanted = [features_ND[held.index(key)].tolist() if key in held else [0.0, 0.0] for key in asked]
    assert features_MD.tolist() == wanted


def test_what_was_never_embedded_says_how(tmp_path: Path) -> None:
    assert f"{tmp_path / 'pebbles'}: not embedded yet" in refused(tmp_path / "pebbles")
    assert "python -m pipelines embed pebbles" in refused(tmp_path / "pebbles")


def damage(name: str, good: bytes) -> bytes:
    (length,) = struct.unpack("<Q", good[:8])
    header = json.loads(good[8 : 8 + length])
    if name == "an offset beyond the file":
        header["features"]["data_offsets"] = [0, 1 << 40]
    if name == "a shape of more rows":
        header["features"]["shape"] = [1 << 40, 4]
    if name == "a shape of no numbers":
        header["features"]["shape"] = ["3", None]
    text = json.dumps(header).encode()
    return {
        "empty": b"",
        "three bytes": good[:3],
        "a header's length beyond all bounds": struct.pack("<Q", 1 << 62) + good[8:],
        "a header's length beyond the file": struct.pack("<Q", len(good)) + good[8:],
        "no header": struct.pack("<Q", 0) + good[8:],
        "no JSON": good[:8] + b"\xff" * length + good[8 + length :],
        "shorter than its header says": good[:-1],
        "longer than its header says": good + b"1",
    }.get(name, struct.pack("<Q", len(text)) + text + good[8 + length :])


@pytest.mark.parametrize(
    "name",
    [
        "empty",
        "three bytes",
        "a header's length beyond all bounds",
        "a header's length beyond the file",
        "no header",
        "no JSON",
        "shorter than its header says",
        "longer than its header says",
        "an offset beyond the file",
        "a shape of more rows",
        "a shape of no numbers",
    ],
)
def test_damaged_files_are_named(folder: Path, name: str) -> None:
    good = (folder / FILE).read_bytes()
    assert damage(name, good) != good
    (folder / FILE).write_bytes(damage(name, good))
    assert f"{folder / FILE}: expected a safetensors file" in refused(folder)


@pytest.mark.parametrize(
    "tensors",
    [{"other": FEATURES}, {"features": FEATURES.astype(np.float16)}, {"features": FEATURES[0]}, {}],
    ids=["another name", "another type", "one row", "nothing"],
)
def test_other_tensors_are_named(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file(tensors, folder / FILE)
    assert f"{folder / FILE}: expected a safetensors file" in refused(folder)


def test_features_beside_another_tensor(folder: Path) -> None:
    save_file({"a": np.ones(5, np.float32), "features": FEATURES, "z": np.ones(3, np.float32)}, folder / FILE)
    np.testing.assert_array_equal(map_features(folder / FILE), FEATURES)


def test_a_missing_file_and_unreadable_keys_are_named(folder: Path) -> None:
    (folder / KEYS).write_bytes(b"PAR1 no more")
    assert f"{folder / KEYS}: no readable keys" in refused(folder)
    pl.DataFrame({"name": NAMES}).write_parquet(folder / KEYS)
    assert f"{folder / KEYS}: no readable keys" in refused(folder)
    pl.DataFrame({"key": NAMES[:2]}).write_parquet(folder / KEYS)
    assert "do not belong together" in refused(folder)
    pl.DataFrame({"key": NAMES}).write_parquet(folder / KEYS)
    (folder / FILE).unlink()
    assert f"{folder / FILE}: expected a safetensors file" in refused(folder)
