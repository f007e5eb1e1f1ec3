"""A column of groups comes along from every kind that has columns; kinds without say so in one line."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drained import drained

from pipelines.cards import Label, Source
from pipelines.pins import source_digest
from pipelines.sources import KINDS, RawRecord
from pipelines.transfer import Place

ROWS = [("1.jpg", "cat", "film one"), ("2.jpg", "dog", "film one"), ("3.jpg", "cat", ""), ("4.jpg", "dog", "7")]
WANTED = {name: group or None for name, _, group in ROWS}


def read(folder: Path, kind: str, locator: str, **label: str) -> list[RawRecord]:
    from importlib import import_module

    module = import_module(KINDS[kind])
    source = Source(kind=kind, locator=locator, label=Label(**label))  # type: ignore[arg-type]
    module.check(source)
    found, _ = drained(module.records(source, Place(folder, folder / "downloads")))
    return found


def csv_text(*, album: bool = False) -> str:
    head = "FILE_NAME,CATEGORY,video" if album else "file,label,video"
    return head + "\n" + "".join(f"{name},{label},{group}\n" for name, label, group in ROWS)


@pytest.mark.parametrize("album", [False, True])
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_label_tables(tmp_path: Path, kind: str, album: bool) -> None:
    members = {f"images/{name}" if album else name: name.encode() for name, _, _ in ROWS[:3]}  # the last is not there
    members["labels.csv"] = csv_text(album=album).encode()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    zipfile.ZipFile(tmp_path / "x.zip").extractall(tmp_path / "x")
    found = read(tmp_path, kind, "x" if kind == "folder" else "x.zip", group_column="video")
    assert {record.source_id.rpartition("/")[2]: record.group for record in found} == WANTED
    assert sum(record.fault is not None for record in found) == 1
    with pytest.raises(ValueError, match=r"source.label.group_column: no column 'film'; columns: .*video"):
        read(tmp_path, kind, "x" if kind == "folder" else "x.zip", group_column="film")


def test_a_picture_in_two_groups_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.jpg").write_bytes(b"one")
    (tmp_path / "x" / "t.csv").write_text("file,label,video\n1.jpg,cat,a\n1.jpg,cat,b\n")
    with pytest.raises(ValueError, match=r"t.csv: '1.jpg' stands in two groups"):
        read(tmp_path, "folder", "x", group_column="video")


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "x" / name).mkdir(parents=True)
        (tmp_path / "x" / name / "1.jpg").write_bytes(b"one")
    with pytest.raises(ValueError, match="found no table"):
        read(tmp_path, "folder", "x", group_column="video")


def test_a_table_of_addresses(tmp_path: Path) -> None:
    for name, _, _ in ROWS:
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "t.csv").write_text(csv_text())
    found = read(tmp_path, "urls", "t.csv", group_column="video")
    assert {record.data.decode(): record.group for record in found} == WANTED
    with pytest.raises(ValueError, match=r"source.label.group_column: no column 'film'"):
        read(tmp_path, "urls", "t.csv", group_column="film")


def test_rows_of_parquet(tmp_path: Path) -> None:
    names, labels, groups = zip(*ROWS, strict=True)
    pictures = [{"bytes": name.encode(), "path": name} for name in names]
    about = [{"video": group or None} for group in groups]
    pq.write_table(pa.table({"image": pictures, "label": labels, "about": about, "n": [1, 1, 2, 3]}), tmp_path / "x.parquet")
    found = read(tmp_path, "huggingface", "x.parquet", group_column="about:video")
    assert {record.data.decode(): record.group for record in found} == WANTED
    assert [record.group for record in read(tmp_path, "huggingface", "x.parquet", group_column="n")] == ["1", "1", "2", "3"]
    with pytest.raises(ValueError, match=r"source.label.group_column: no column 'film'; columns: .*about"):
        read(tmp_path, "huggingface", "x.parquet", group_column="film")
    with pytest.raises(ValueError, match=r"column 'image' holds no groups"):
        read(tmp_path, "huggingface", "x.parquet", group_column="image")


def test_fields_of_shards(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, label, group in ROWS:
            fields = json.dumps({"video": group or None}).encode()
            for suffix, data in (("jpg", name.encode()), ("cls", label.encode()), ("json", fields)):
                info = tarfile.TarInfo(f"{name[0]}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    found = read(tmp_path, "webdataset", "x.tar", column="cls", group_column="json:video")
    assert {record.data.decode(): record.group for record in found} == WANTED
    assert {record.group for record in read(tmp_path, "webdataset", "x.tar", group_column="cls")} == {"cat", "dog"}


def test_a_generator_has_no_columns() -> None:
    with pytest.raises(ValueError, match=r"source.label.group_column: a generator has no columns; tell groups by name"):
        read(Path(), "generated", "digits", group_column="video")


def test_locks_from_before_there_were_groups_hold() -> None:
    source = Source(kind="archive", locator="x.zip")
    assert source_digest(source) == "sha256:2685b4eef57d00056a46a837c29acd83d85142a37f3652055e61978ee2fad012"
    assert source_digest(source.model_copy(update={"label": Label(group_column="video")})) != source_digest(source)
