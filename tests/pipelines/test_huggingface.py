"""Parquet and Arrow files with Hugging Face features, and without: columns, labels, names, damage, and no network."""

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from servers import Server

from pipelines.cards import Label, Source
from pipelines.sources import Fault, RawRecord
from pipelines.sources.huggingface import check, look, records
from pipelines.transfer import Pin, Place, Rules, SourceChanged

DATA = Path(__file__).parents[3] / "shared" / "data"
PICTURES = [{"bytes": b"one", "path": "a/1.png"}, {"bytes": b"two", "path": "a/2.png"}, {"bytes": b"three", "path": "b/3.png"}]
FEATURES = Features({"id": Value("int64"), "image": Image(decode=False), "label": ClassLabel(names=["cat", "dog"])})
NONE = Fault("the row holds no picture")


def table(pictures: list[dict[str, object]] | None = None, labels: list[int] | None = None) -> Dataset:
    rows = {"id": [7, 8, 9], "image": pictures or PICTURES, "label": labels or [1, 0, 1]}
    return Dataset(pa.table(rows, schema=FEATURES.arrow_schema))  # from_dict would drop the bytes where the path exists


def write(path: Path, pictures: list[dict[str, object]] | None = None, labels: list[int] | None = None) -> Path:
    table(pictures, labels).to_parquet(path)
    return path


def source_of(locator: str, label: Label | None = None, checksum: str | None = None, **options: object) -> Source:
    return Source(kind="huggingface", locator=locator, label=label or Label(), checksum=checksum, options=options)


def read(
    folder: Path, locator: str, label: Label | None = None, checksum: str | None = None, **options: object
) -> tuple[list[RawRecord], dict[str, object]]:
    return drain(source_of(locator, label, checksum, **options), Place(folder, folder / "downloads"))


def drain(source: Source, place: Place) -> tuple[list[RawRecord], dict[str, object]]:
    check(source)
    found: list[RawRecord] = []

    def collect() -> Generator[RawRecord, None, dict[str, object]]:
        return (yield from records(source, place))

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
    before = dict(os.environ)
    path = write(tmp_path / "x.parquet")
    found, learned = read(tmp_path, "x.parquet")
    assert found == [
        RawRecord("a/1.png", "dog", b"one"),
        RawRecord("a/2.png", "cat", b"two"),
        RawRecord("b/3.png", "dog", b"three"),
    ]
    assert learned == {"passed_over": 0, "checksum": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}
    assert {entry.name for entry in tmp_path.iterdir()} <= {"x.parquet", "downloads"}
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "paths", [[None, None, None], ["a.png", "a.png", "b.png"], ["a.png", None, "b.png"], ["a.png", "", "b.png"]]
)
def test_rows_without_a_name_of_their_own(tmp_path: Path, paths: list[str | None]) -> None:
    write(tmp_path / "x.parquet", [{"bytes": b"z", "path": path} for path in paths])
    assert [r.source_id for r in read(tmp_path, "x.parquet")[0]] == ["x.parquet#0", "x.parquet#1", "x.parquet#2"]


def test_rows_without_bytes_or_label(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [{"bytes": None, "path": None}, *PICTURES[1:]], [0, -1, 1])
    found, learned = read(tmp_path, "x.parquet")
    assert [(r.label, r.data, r.fault) for r in found] == [("cat", b"", NONE), ("dog", b"three", None)]
    assert learned["passed_over"] == 1


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_path_in_a_row_is_never_opened_and_never_replaces_the_bytes(tmp_path: Path, suffix: str) -> None:
    hidden = tmp_path / "hidden.png"
    hidden.write_bytes(b"not to be opened")
    paths = ["/etc/passwd", str(hidden), "/etc/hostname"]
    rows = table([{"bytes": data, "path": path} for data, path in zip([None, None, b"own"], paths, strict=True)])
    path = tmp_path / f"x.{suffix}"
    if suffix == "parquet":
        rows.to_parquet(path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, rows.data.schema) as writer:
            writer.write_table(rows.data.table)
    assert [(r.data, r.fault) for r in read(tmp_path, path.name)[0]] == [(b"", NONE), (b"", NONE), (b"own", None)]


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
    assert [r.source_id for r in read(tmp_path, "data")[0]] == [f"{name}.parquet#{row}" for name in "ab" for row in range(3)]
    checksum = str(learned["checksum"])
    assert len(read(tmp_path, "data/*.parquet", checksum=checksum)[0]) == 6
    write(tmp_path / "data" / "c.parquet")
    with pytest.raises(ValueError, match=r"source.checksum: the 3 files of 'data/\*.parquet'"):
        read(tmp_path, "data/*.parquet", checksum=checksum)
    pq.write_table(pa.table({"other": [1]}), tmp_path / "data" / "d.parquet")
    with pytest.raises(ValueError, match=r"d.parquet: has other columns than data/a.parquet: other"):
        read(tmp_path, "data/*.parquet")


def test_pins_of_files(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.parquet")
    place = Place(tmp_path, tmp_path / "downloads")
    drain(source_of("*.parquet"), place)
    assert set(place.came) == {"a.parquet", "b.parquet"}
    write(tmp_path / "b.parquet", labels=[0, 0, 0])
    with pytest.raises(SourceChanged, match=r"b\.parquet"):
        drain(source_of("*.parquet"), Place(tmp_path, tmp_path / "downloads", pinned=dict(place.came)))
    updated = Place(tmp_path, tmp_path / "downloads", rules=Rules(update=True), pinned=dict(place.came))
    assert len(drain(source_of("*.parquet"), updated)[0]) == 6
    assert isinstance(updated.came["b.parquet"], Pin)


def test_tables_without_features(tmp_path: Path) -> None:
    pq.write_table(pa.table({"img": [b"one", b"two"], "class": ["x", ""], "n": [1, 2]}), tmp_path / "x.parquet")
    found, learned = read(tmp_path, "x.parquet")
    assert found == [RawRecord("x.parquet#0", "x", b"one")]
    assert learned["passed_over"] == 1
    assert [r.label for r in read(tmp_path, "x.parquet", Label(column="n"))[0]] == ["1", "2"]


def test_arrow_files_of_both_forms_and_saved_sets(tmp_path: Path) -> None:
    rows = table()
    for name, opener in (("stream.arrow", pa.ipc.new_stream), ("file.arrow", pa.ipc.new_file)):
        with pa.OSFile(str(tmp_path / name), "wb") as sink, opener(sink, rows.data.schema) as writer:
            writer.write_table(rows.data.table)
        assert [(r.source_id, r.label, r.data) for r in read(tmp_path, name)[0]][1] == (f"{name}#1", "cat", b"two")
    rows.save_to_disk(tmp_path / "saved", num_shards=2)
    found, learned = read(tmp_path, "saved")
    assert [(r.label, r.data) for r in found] == [("dog", b"one"), ("cat", b"two"), ("dog", b"three")]
    assert found[2].source_id == "data-00001-of-00002.arrow#0"
    assert str(learned["checksum"]).startswith("sha256:")
    DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(tmp_path / "splits")
    ids = [r.source_id for r in read(tmp_path, "splits")[0]]
    assert ids == [*(f"train/train/data-00000-of-00001.arrow#{n}" for n in range(3)), "test/test/data-00000-of-00001.arrow#0"]
    assert len(read(tmp_path, "splits", split="test")[0]) == 1
    with pytest.raises(ValueError, match="no split 'dev'; there are train, test"):
        read(tmp_path, "splits", split=["train", "dev"])


def test_one_file_of_a_server(tmp_path: Path) -> None:
    content = write(tmp_path / "x.parquet").read_bytes()
    with Server() as server:
        page = server.put("/sets/x.parquet", content)
        place = Place(tmp_path, tmp_path / "downloads")
        found, learned = drain(source_of(server.url("/sets/x.parquet")), place)
        assert [r.source_id for r in found] == ["a/1.png", "a/2.png", "b/3.png"]
        assert learned["checksum"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert drain(source_of(server.url("/sets/x.parquet")), place)[0] == found
        assert page.sent == len(content)


def test_pins_name_files_from_the_folder_of_sources(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    table().save_to_disk(tmp_path / "real" / "saved")
    place = Place(tmp_path / "link", tmp_path / "downloads")
    assert len(drain(source_of("saved"), place)[0]) == 3
    assert set(place.came) == {"saved/data-00000-of-00001.arrow"}


@pytest.mark.parametrize("name", ["../x.arrow", "/etc/passwd", "gone.arrow", 3])
def test_saved_sets_that_point_outside(tmp_path: Path, name: object) -> None:
    import json

    table().save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(ValueError, match=r"state\.json"):
        read(tmp_path, "saved")


@pytest.mark.parametrize(
    ("columns", "label", "message"),
    [
        ({"a": [b"x"], "b": [b"y"], "label": ["l"]}, Label(), "cannot tell the image_column apart"),
        ({"image": [b"x"], "kind": ["l"]}, Label(), "cannot tell the column apart; name it in source.label.column"),
        ({"image": [b"x"], "label": ["l"]}, Label(column="gone"), "source.label.column: no column 'gone'"),
        ({"image": [b"x"], "label": ["l"]}, Label(image_column="label"), "column 'label' holds no pictures"),
        ({"image": [b"x"], "label": [0.5]}, Label(), "column 'label' holds no labels"),
        ({"image": [b"x"], "label": ["l"]}, Label(column="image"), "column 'image' holds no labels"),
        ({"image": [b"x"], "label": ["l"]}, Label(column="label:name"), "column 'label:name' holds no labels"),
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
    stored = pq.read_table(path)
    wrong = stored.set_column(2, "label", pa.array([0, 5, 1])).replace_schema_metadata(stored.schema.metadata)
    pq.write_table(wrong, path)
    with pytest.raises(ValueError, match=r"x\.parquet: x\.parquet#1: label 5, but the column has 2 classes"):
        read(tmp_path, "x.parquet")


def test_a_picture_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x.parquet")
    monkeypatch.setattr("pipelines.sources.huggingface.LIMIT", 4)
    with pytest.raises(ValueError, match=r"x\.parquet#2: a picture of 5 bytes, more than 4; refusing"):
        read(tmp_path, "x.parquet")


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_damage(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "parquet":
        write(path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table().data.schema) as writer:
            writer.write_table(table().data.table)
    whole = path.read_bytes()
    for cut in (0, 3, len(whole) // 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=rf"x\.{suffix}: not readable") as caught:
            read(tmp_path, path.name)
        assert "\n" not in str(caught.value)
    for at in range(4, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        message = ""
        try:
            assert len(read(tmp_path, path.name)[0]) <= 3
        except ValueError as error:
            message = str(error)
        assert "\n" not in message


@pytest.mark.parametrize(
    "said", [b"[]", b"{}", b'{"info": 3}', b'{"info": {"features": {"image": {"_type": "Gone"}}}}', b"\xff"]
)
def test_crafted_features(tmp_path: Path, said: bytes) -> None:
    plain = pa.table({"image": [b"x"], "label": ["l"]})
    pq.write_table(plain.replace_schema_metadata({b"huggingface": said}), tmp_path / "x.parquet")
    message = ""
    try:
        assert read(tmp_path, "x.parquet")[0] == [RawRecord("x.parquet#0", "l", b"x")]
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": "train"}, "huggingface takes config, split, revision, streaming, format, found splits"),
        ({"split": []}, "expected a split or a list of different splits"),
        ({"split": ["a", "a"]}, "expected a split or a list of different splits"),
        ({"split": 3}, "source.options.split: expected a split or a list of splits, found 3"),
        ({"streaming": "yes"}, "source.options.streaming: expected true or false, found 'yes'"),
        ({"revision": "a b"}, "source.options.revision: expected a branch, a tag or a commit"),
        ({"format": "pickle"}, "expected one of parquet, arrow, imagefolder, webdataset, json, csv, found 'pickle'"),
        ({"config": ""}, "source.options.config: expected a text"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(source_of("user/name", **options))


def test_card_checks_and_missing_files(tmp_path: Path) -> None:
    for locator in ("x.parquet", "user/name", "mnist", "hf://datasets/user/name", "https://huggingface.co/datasets/user/name"):
        check(source_of(locator, split=["train"]))
    with pytest.raises(ValueError, match=r"source\.label\.layout: this kind knows columns alone"):
        check(source_of("x", Label(layout="folders")))
    with pytest.raises(ValueError, match="no file fits"):
        read(tmp_path, "*.parquet")
    with pytest.raises(ValueError, match="no such file"):
        read(tmp_path, "x.parquet")
    with pytest.raises(ValueError, match="a pattern must be relative"):
        read(tmp_path, "/data/*.parquet")
    write(tmp_path / "x.parquet")
    for name, value in (("config", "c"), ("revision", "r"), ("streaming", True), ("split", "train")):
        with pytest.raises(ValueError, match=rf"source\.options\.{name}"):
            read(tmp_path, "x.parquet", **{name: value})


def test_a_look_reads_labels_alone_and_settles_what_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"img": [b"one", b"two", b"x"], "class": ["b", "a", "b"], "n": [1, 2, 3]}), tmp_path / "x.parquet")
    place = Place(tmp_path, tmp_path / "downloads")
    found = look(source_of("x.parquet"), place)
    assert (found.source.label.image_column, found.source.label.column) == ("img", "class")
    assert found.source.options == {"format": "parquet"}
    assert (found.classes, found.records) == ({"a": 1, "b": 2}, 3)
    assert list(records(found.source, place)) == list(records(source_of("x.parquet"), place))
    assert any("'img'" in line for line in found.said)


MEASURE = """
import re, sys
from pathlib import Path
from pipelines.cards import Source
from pipelines.sources.huggingface import records
from pipelines.transfer import Place

def most(name):
    folder = Path(sys.argv[1])
    for number, record in enumerate(records(Source(kind="huggingface", locator=name), Place(folder, folder / "downloads"))):
        assert record.data[:8] == number.to_bytes(8, "big")
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

before = most("small.parquet")
print(most("large.parquet") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the peak of memory there")
@pytest.mark.parametrize(("many", "size"), [(1_500, 100_000), (24, 8_000_000)])
def test_memory_does_not_grow_with_a_row_group(tmp_path: Path, many: int, size: int) -> None:
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())])
    picture = os.urandom(size - 8)
    for name, rows in (("small", 2), ("large", many)):
        images = [{"bytes": row.to_bytes(8, "big") + picture, "path": f"{row}.jpg"} for row in range(rows)]
        whole = pa.table({"image": images, "label": [row % 2 for row in range(rows)]}, schema=schema)
        path = tmp_path / f"{name}.parquet"
        pq.write_table(whole, path, row_group_size=rows, write_batch_size=max(1, 1_600_000 // size), use_dictionary=False)
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True, check=True)
    assert int(done.stdout) < many * size / 2  # of the one row group of the large file


@pytest.mark.skipif(not (DATA / "grocery.parquet").is_file(), reason="the real image sets are not on this machine")
def test_the_real_set(tmp_path: Path) -> None:
    found = look(source_of("grocery.parquet"), Place(DATA, tmp_path))
    assert (found.records, len(found.classes or {})) == (336, 24)
    assert (found.source.label.image_column, found.source.label.column) == ("image", "label")
