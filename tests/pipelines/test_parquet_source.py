"""Parquet files with Hugging Face features, and without: columns, labels, names, damage, and no network."""

import hashlib
import os
import socket
from collections.abc import Generator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from pipelines.cards import Label, Source
from pipelines.sources import RawRecord
from pipelines.sources.parquet import check, records
from pipelines.transfer import Place

PICTURES = [{"bytes": b"one", "path": "a/1.png"}, {"bytes": b"two", "path": "a/2.png"}, {"bytes": b"three", "path": "b/3.png"}]
FEATURES = Features({"id": Value("int64"), "image": Image(decode=False), "label": ClassLabel(names=["cat", "dog"])})


def write(path: Path, pictures: list[object] | None = None, labels: list[int] | None = None) -> Path:
    rows = {"id": [7, 8, 9], "image": pictures or PICTURES, "label": labels or [1, 0, 1]}
    Dataset.from_dict(rows, features=FEATURES).to_parquet(path)
    return path


def read(
    folder: Path, locator: str, label: Label | None = None, checksum: str | None = None
) -> tuple[list[RawRecord], dict[str, object]]:
    source = Source(kind="parquet", locator=locator, label=label or Label(), checksum=checksum)
    found: list[RawRecord] = []

    def collect() -> Generator[RawRecord, None, dict[str, object]]:
        return (yield from records(source, Place(folder, folder / "downloads")))

    stream = collect()
    while True:
        try:
            found.append(next(stream))
        except StopIteration as end:
            return found, end.value


def test_features_of_hugging_face_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("reached for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    before = os.environ.get("HF_HUB_OFFLINE")
    path = write(tmp_path / "x.parquet")
    found, learned = read(tmp_path, "x.parquet")
    assert found == [("a/1.png", "dog", b"one", None), ("a/2.png", "cat", b"two", None), ("b/3.png", "dog", b"three", None)]
    assert learned == {"passed_over": 0, "checksum": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}
    assert {entry.name for entry in tmp_path.iterdir()} <= {"x.parquet", "downloads"}
    assert os.environ.get("HF_HUB_OFFLINE") == before


@pytest.mark.parametrize(
    "paths", [[None, None, None], ["a.png", "a.png", "b.png"], ["a.png", None, "b.png"], ["a.png", "", "b.png"]]
)
def test_rows_without_a_name_of_their_own(tmp_path: Path, paths: list[str | None]) -> None:
    write(tmp_path / "x.parquet", [{"bytes": b"z", "path": path} for path in paths])
    assert [r.source_id for r in read(tmp_path, "x.parquet")[0]] == ["x.parquet#0", "x.parquet#1", "x.parquet#2"]


def test_rows_without_bytes_or_label(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.png"
    hidden.write_bytes(b"not to be opened")
    write(tmp_path / "x.parquet", [{"bytes": None, "path": str(hidden)}, *PICTURES[1:]], [0, -1, 1])
    found, learned = read(tmp_path, "x.parquet")
    assert [(r.label, r.data) for r in found] == [("cat", b""), ("dog", b"three")]
    assert learned["passed_over"] == 1


@pytest.mark.parametrize("name", [".tessera/downloads", "my [set]", "test *", "__cache__", "a?b", "dev-é"])
def test_folders_with_names_that_mean_something_to_others(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    write(folder / "x-train[1].parquet")
    assert len(read(folder, "x-train[1].parquet")[0]) == 3


def test_several_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "b.parquet", [{"bytes": b"z", "path": None}] * 3)
    write(tmp_path / "data" / "a.parquet")
    found, learned = read(tmp_path, "data/*.parquet")
    assert [r.source_id for r in found] == [f"data/{name}.parquet#{row}" for name in "ab" for row in range(3)]
    checksum = str(learned["checksum"])
    assert len(read(tmp_path, "data/*.parquet", checksum=checksum)[0]) == 6
    write(tmp_path / "data" / "c.parquet")
    with pytest.raises(ValueError, match=r"source.checksum: the 3 files that fit 'data/\*.parquet'"):
        read(tmp_path, "data/*.parquet", checksum=checksum)
    pq.write_table(pa.table({"other": [1]}), tmp_path / "data" / "d.parquet")
    with pytest.raises(ValueError, match=r"d.parquet: has other columns than a.parquet: other \(int64\)"):
        read(tmp_path, "data/*.parquet")


def test_tables_without_features(tmp_path: Path) -> None:
    pq.write_table(pa.table({"img": [b"one", b"two"], "class": ["x", ""], "n": [1, 2]}), tmp_path / "x.parquet")
    found, learned = read(tmp_path, "x.parquet")
    assert found == [("x.parquet#0", "x", b"one", None)]
    assert learned["passed_over"] == 1
    assert [r.label for r in read(tmp_path, "x.parquet", Label(column="n"))[0]] == ["1", "2"]


@pytest.mark.parametrize(
    ("columns", "label", "message"),
    [
        ({"a": [b"x"], "b": [b"y"], "label": ["l"]}, Label(), "cannot tell the image_column apart"),
        ({"image": [b"x"], "kind": ["l"]}, Label(), "cannot tell the column apart; name it in source.label.column"),
        ({"image": [b"x"], "label": ["l"]}, Label(column="gone"), "source.label.column: no column 'gone'"),
        ({"image": [b"x"], "label": ["l"]}, Label(image_column="label"), "column 'label' holds no pictures"),
        ({"image": [b"x"], "label": [0.5]}, Label(), "column 'label' holds no labels"),
        ({"image": [b"x"], "label": ["l"]}, Label(column="image"), "column 'image' holds no labels"),
    ],
)
def test_columns_that_do_not_fit(tmp_path: Path, columns: dict[str, list[object]], label: Label, message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, "x.parquet", label)
    assert "x.parquet" in str(caught.value)
    assert all(name in str(caught.value) for name in columns)


def test_a_label_beyond_its_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet")
    table = pq.read_table(path)
    wrong = table.set_column(2, "label", pa.array([0, 5, 1])).replace_schema_metadata(table.schema.metadata)
    pq.write_table(wrong, path)
    with pytest.raises(ValueError, match=r"x\.parquet: row 1: label 5, but the column has 2 classes"):
        read(tmp_path, "x.parquet")


def test_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet")
    whole = path.read_bytes()
    for cut in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"x\.parquet: not readable as Parquet") as caught:
            read(tmp_path, "x.parquet")
        assert "\n" not in str(caught.value)
    for place in range(4, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        message = ""
        try:
            assert len(read(tmp_path, "x.parquet")[0]) <= 3
        except ValueError as error:
            message = str(error)
        assert "\n" not in message


def test_card_checks_and_missing_files(tmp_path: Path) -> None:
    check(Source(kind="parquet", locator="x.parquet"))
    with pytest.raises(ValueError, match=r"source\.label\.layout: for archives only"):
        check(Source(kind="parquet", locator="x", label=Label(layout="folders")))
    with pytest.raises(ValueError, match="parquet takes none, found split"):
        check(Source(kind="parquet", locator="x", options={"split": "train"}))
    with pytest.raises(ValueError, match="no file fits"):
        read(tmp_path, "*.parquet")
    with pytest.raises(ValueError, match="no such file"):
        read(tmp_path, "x.parquet")
    with pytest.raises(ValueError, match="a pattern must be relative"):
        read(tmp_path, "/data/*.parquet")
