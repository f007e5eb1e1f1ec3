"""Image folders, tar shards, JSON and CSV: classes by folder or by table, and pictures that must lie inside their folder."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from test_huggingface import drain, read, source_of

from pipelines.cards import Label
from pipelines.sources import Fault, RawRecord
from pipelines.sources.huggingface import look
from pipelines.transfer import Place

OUTSIDE = Fault("names a picture outside its data set")
GONE = Fault("names a picture that is not there")


def folder(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("name", ["set", "my [set]", ".hidden", "train"])
def test_an_image_folder(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path / name, ["cat/2.png", "cat/1[x].png", "dog/1.JPG", "dog/notes.txt"])
    found, learned = read(tmp_path, name)
    expected = [("cat/1[x].png", "cat"), ("cat/2.png", "cat"), ("dog/1.JPG", "dog")]
    assert found == [RawRecord(at, label, at.encode()) for at, label in expected]
    assert learned == {"passed_over": 0}
    seen = look(source_of(name), Place(tmp_path, tmp_path / "downloads"))
    assert seen.classes == {"cat": 2, "dog": 1}
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]
    assert seen.source.options == {"format": "imagefolder"}
    assert seen.bytes == sum(len((root / at).read_bytes()) for at, _ in expected)


@pytest.mark.parametrize("locator", ["set", "./set/", "../{}/set", "{}"])
def test_folders_by_relative_and_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locator: str) -> None:
    root = folder(tmp_path / "set", ["cat/1.png", "dog/1.png"])
    monkeypatch.chdir(tmp_path)
    locator = locator.format(root if locator == "{}" else tmp_path.name)
    assert [r.source_id for r in read(Path(), locator)[0]] == ["cat/1.png", "dog/1.png"]
    (root / "x.json").write_text('[{"image": "cat/1.png", "label": "a"}]')
    found, learned = read(Path(), locator, format="json")
    assert [(r.source_id, r.data) for r in found] == [("x.json#0", b"cat/1.png")]
    assert "checksum" in learned


def test_a_zip_in_an_image_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with zipfile.ZipFile(tmp_path / "set" / "all.zip", "w") as archive:
        for name in ("cat/1.png", "dog/1.png", "dog/2.png"):
            archive.writestr(name, name)
    found, _ = read(tmp_path, "set", format="imagefolder")
    assert found == [RawRecord(f"all.zip/{name}", name[:3], name.encode()) for name in ("cat/1.png", "dog/1.png", "dog/2.png")]


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", ["cat/1.png", "dog/1.png"])
    secret = folder(tmp_path, ["secret.png"]) / "secret.png"
    (root / "cat" / "2.png").symlink_to(secret)
    assert [r.source_id for r in read(tmp_path, "set")[0]] == ["cat/1.png", "dog/1.png"]


def test_a_table_of_an_image_folder(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", ["a.png", "b/c.png"])
    (root / "metadata.csv").write_text("file_name,label\na.png,x\nb/c.png,y\n")
    assert [(r.source_id, r.label, r.data) for r in read(tmp_path, "set")[0]] == [
        ("a.png", "x", b"a.png"),
        ("b/c.png", "y", b"b/c.png"),
    ]
    (root / "metadata.csv").write_text("file_name,label\na.png,x\ngone.png,y\n")
    assert [(r.source_id, r.fault) for r in read(tmp_path, "set")[0]] == [("a.png", None), ("gone.png", GONE)]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "file:///etc/passwd", "link.png"])
def test_a_table_that_names_pictures_outside(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path / "set", ["a.png"])
    folder(tmp_path, ["secret.png"])
    (root / "link.png").symlink_to("/etc/passwd")
    (root / "metadata.csv").write_text(f"file_name,label\na.png,x\n{name},y\n")
    data: list[bytes] = []
    message = ""
    try:
        data = [record.data for record in read(tmp_path, "set")[0]]
    except ValueError as error:
        message = str(error)
    assert data == [b"a.png", b""] or "Invalid metadata file_name" in message
    assert "\n" not in message


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_tables_that_name_pictures_below_them(tmp_path: Path, kind: str) -> None:
    root = folder(tmp_path / "set", ["a.png", "b/c.png"])
    folder(tmp_path, ["secret.png"])
    names = ["a.png", "b/c.png", "gone.png", "../secret.png", "/etc/passwd", str(root / "a.png")]
    rows = [{"image": name, "label": f"c{row}"} for row, name in enumerate(names)]
    lines = ["image,label", *(f"{row['image']},{row['label']}" for row in rows)] if kind == "csv" else map(json.dumps, rows)
    text = json.dumps(rows) if kind == "json" else "\n".join(lines) + "\n"
    (root / f"t.{kind}").write_text(text)
    found, learned = read(tmp_path, f"set/t.{kind}")
    assert [(r.label, r.data, r.fault) for r in found] == [
        ("c0", b"a.png", None),
        ("c1", b"b/c.png", None),
        ("c2", b"", GONE),
        ("c3", b"", OUTSIDE),
        ("c4", b"", OUTSIDE),
        ("c5", b"a.png", None),
    ]
    assert [r.source_id for r in found] == [f"t.{kind}#{row}" for row in range(6)]
    assert "checksum" in learned
    place = Place(tmp_path, tmp_path / "downloads")
    drain(source_of(f"set/t.{kind}"), place)
    assert place.came == {}  # a lock of the table alone would let the pictures change


def test_tar_shards(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for shard in range(2):
        members = [
            (f"{row:03}.{kind}", data)
            for row in range(3)
            for kind, data in (("cls", b"%d" % row), ("png", b"p%d" % (shard * 3 + row)))
        ]
        tar(tmp_path / f"x-{shard}.tar", members)
    found, _ = read(tmp_path, "x-*.tar")
    assert [(r.source_id, r.label, r.data) for r in found] == [
        (f"x-{shard}.tar#{row}", str(row), b"p%d" % (shard * 3 + row)) for shard in range(2) for row in range(3)
    ]


def test_tar_shards_with_json_and_with_names_of_files_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, ["here.png"])
    monkeypatch.chdir(tmp_path)
    tar(
        tmp_path / "x.tar",
        [("here.png", b"own"), ("here.json", b'{"label": "a", "n": 1}'), ("b.png", b""), ("b.json", b'{"label": "b", "n": 2}')],
    )
    found, _ = read(tmp_path, "x.tar", Label(column="json:label"))
    assert [(r.label, r.data, r.fault) for r in found] == [("a", b"own", None), ("b", b"", Fault("the row holds no picture"))]
    with pytest.raises(ValueError, match="cannot tell the column apart; name it in"):
        read(tmp_path, "x.tar")


def test_damaged_tables_and_shards(tmp_path: Path) -> None:
    tar(tmp_path / "whole.tar", [(f"{row}.{kind}", b"1" * 900) for row in range(9) for kind in ("png", "cls")])
    whole = (tmp_path / "whole.tar").read_bytes()
    files = {
        "cut.tar": whole[:3000],
        "empty.tar": b"",
        "text.tar": b"no tar at all" * 99,
        "x.json": b'{"image": ',
        "empty.json": b"",
        "x.csv": b'image,label\n"a',
        "empty.csv": b"",
        "bytes.csv": b"\xff\xfe\x00image",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name) as caught:
            read(tmp_path, name)
        assert "\n" not in str(caught.value), name


def test_folders_that_hold_nothing_known(tmp_path: Path) -> None:
    folder(tmp_path / "set", ["notes.txt"])
    with pytest.raises(ValueError, match=r"cannot tell the format \(nothing known\); name one in source.options.format"):
        read(tmp_path, "set")
    with pytest.raises(ValueError, match="holds no file of format parquet"):
        read(tmp_path, "set", format="parquet")
    folder(tmp_path / "set", ["a.parquet", "b.arrow"])
    with pytest.raises(ValueError, match=r"cannot tell the format \(arrow, parquet\)"):
        read(tmp_path, "set")
    with pytest.raises(ValueError, match="an imagefolder is a folder, found a file"):
        read(tmp_path, "set/notes.txt", format="imagefolder")
