"""Archives of each kind and layout: what becomes a record, under which name and label, and what is passed over."""

import zipfile
from pathlib import Path

import pytest
from packed import KINDS, Files, look, pack, read

from pipelines.cards import Label, Source
from pipelines.sources.archive import check, records
from pipelines.sources.reading import SourceIds
from pipelines.transfer import Place

CLASSES: Files = [
    ("set/train/cat/a.jpg", b"cat a"),
    ("set/train/dog/b.PNG", b"dog b"),
    ("set/test/cat/c.JpEg", b"cat c"),
    ("set/readme.txt", b"no picture"),
    ("set/train/cat/.DS_Store", b"junk"),
    ("__MACOSX/set/train/cat/._a.jpg", b"resource fork"),
    ("top.jpg", b"in no class folder"),
]


@pytest.mark.parametrize("name", KINDS)
def test_class_folders(tmp_path: Path, name: str) -> None:
    found, learned = read(pack(tmp_path / name, CLASSES))
    assert sorted(record[:3] for record in found) == [
        ("set/test/cat/c.JpEg", "cat", b"cat c"),
        ("set/train/cat/a.jpg", "cat", b"cat a"),
        ("set/train/dog/b.PNG", "dog", b"dog b"),
    ]
    assert learned["passed_over"] == 4
    assert str(learned["checksum"]).startswith("sha256:")


def test_kind_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    pack(tmp_path / "x.zip", CLASSES).rename(tmp_path / "picture.tar.gz")
    assert len(read(tmp_path / "picture.tar.gz")[0]) == 3


@pytest.mark.parametrize("name", KINDS)
def test_order_is_as_packed(tmp_path: Path, name: str) -> None:
    files = [("b/2.png", b"2"), ("a/9.png", b"9"), ("a/1.png", b"1")]
    path = pack(tmp_path / name, files)
    assert [r.source_id for r in read(path)[0]] == ["b/2.png", "a/9.png", "a/1.png"]
    assert read(path) == read(path, Label(layout="folders"))


def test_a_zip_whose_directory_is_in_another_order_is_read_as_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for n in (2, 0, 1):
            archive.writestr(f"a/{n}.png", bytes([n]))
        archive.filelist.sort(key=lambda info: info.filename)
    assert [record.data for record in read(path)[0]] == [b"\2", b"\0", b"\1"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", KINDS)
def test_equal_names_stay_apart(tmp_path: Path, name: str) -> None:
    files = [("a/1.png", b"first"), ("a/1.png", b"second"), ("a/1.png", b"third")]
    found = read(pack(tmp_path / name, files))[0]
    assert [(r.source_id, r.data) for r in found] == [("a/1.png", b"first"), ("a/1.png#2", b"second"), ("a/1.png#3", b"third")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_made_up_name_is_never_that_of_another_record(tmp_path: Path) -> None:
    files = [("c/y.png#2", b"no suffix"), ("c/y.png#2.png", b"1"), ("c/y.png", b"2"), ("c/y.png", b"3")]
    names = [r.source_id for r in read(pack(tmp_path / "x.tar", files))[0]]
    assert names == ["c/y.png#2.png", "c/y.png", "c/y.png#2"]


def test_source_ids_are_each_given_once() -> None:
    names = SourceIds()
    given = [names.give(name) for name in ("a", "a#2", "a", "b", "a", "a#2")]
    assert given == ["a", "a#2", "a#3", "b", "a#4", "a#2#2"]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("prefix", ["", "EMJ_Mini/", "./deep/er/"])
def test_meta_album(tmp_path: Path, name: str, prefix: str) -> None:
    rows = ["FILE_NAME,CATEGORY,SUPER_CATEGORY", "0.png,sun,sky", ".DS_Store,,", "1.jpg,moon,sky", "0.png,star,sky"]
    table = "\n".join([*rows, "gone.png,moon,sky", "2.png,,", ""])
    files = [
        (f"{prefix}images/0.png", b"zero"),
        (f"{prefix}images/1.jpg", b"one"),
        (f"{prefix}images/2.png", b"no label"),
        (f"{prefix}images/3.png", b"not in the table"),
        (f"{prefix}labels.csv", b"\xef\xbb\xbf" + table.encode()),
        (f"{prefix}info.json", b'{"image_column_name": "FILE_NAME", "category_column_name": null}'),
    ]
    found, learned = read(pack(tmp_path / name, files))
    bare = prefix.removeprefix("./")
    assert [(r.source_id.removeprefix("./"), r.label, r.data) for r in found] == [
        (f"{bare}images/0.png", "sun", b"zero"),
        (f"{bare}images/0.png#2", "star", b"zero"),
        (f"{bare}images/1.jpg", "moon", b"one"),
        (f"{bare}images/gone.png", "moon", b""),
    ]
    assert learned["passed_over"] == 4  # two files, two rows
    assert [r.fault is not None for r in found] == [False, False, False, True]


def test_meta_album_columns_from_info_and_card(tmp_path: Path) -> None:
    files = [
        ("m/images/0.png", b"zero"),
        ("m/labels.csv", b"pic,kind,colour\n0.png,round,red\n"),
        ("m/info.json", b'{"image_column_name": "pic", "category_column_name": "kind"}'),
    ]
    path = pack(tmp_path / "x.zip", files)
    assert read(path)[0][0].label == "round"
    assert read(path, Label(column="colour"))[0][0].label == "red"


def test_a_foreign_labels_csv_beside_class_folders_is_no_table(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", [("labels.csv", b"id,n\n1,2\n"), ("cat/a.png", b"a")])
    assert [r.label for r in read(path)[0]] == ["cat"]
    with pytest.raises(ValueError, match=r"labels\.csv: expected columns FILE_NAME and CATEGORY, found id, n"):
        read(path, Label(layout="meta_album"))


@pytest.mark.parametrize(
    ("files", "layout", "message"),
    [
        ([("a/b.txt", b"x")], None, "none with a picture's suffix"),
        ([("b.png", b"x")], None, r"expected pictures in class folders \(<class>/<file>\)"),
        ([("a/b.png", b"x")], "meta_album", "holds no labels.csv"),
        ([("images/b.png", b"x"), ("labels.csv", b"FILE_NAME,CATEGORY\n")], None, "expected rows of labels.csv"),
        ([("images/b.png", b"x"), ("labels.csv", b"FILE_NAME,CATEGORY\n\xff\n")], None, "expected UTF-8"),
        (
            [("images/b.png", b"x"), ("labels.csv", b"FILE_NAME,CATEGORY\nb.png,c\n"), ("info.json", b"{")],
            None,
            "not valid JSON",
        ),
        ([], None, "found 0 files"),
    ],
)
@pytest.mark.parametrize("name", KINDS)
def test_nothing_to_read(tmp_path: Path, files: Files, layout: str | None, message: str, name: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(pack(tmp_path / name, files), Label.model_validate({"layout": layout}))
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", KINDS)
def test_nested_archives_are_passed_over(tmp_path: Path, name: str) -> None:
    nested = [("a/in.zip", b"PK"), ("b/in.tar.gz", b"\x1f\x8b"), ("c/run.exe", b"MZ"), ("c/run.sh", b"#!/bin/sh")]
    path = pack(tmp_path / name, nested)
    for call in (read, look):
        with pytest.raises(ValueError, match=r"it holds archives \('a/in\.zip', 'b/in\.tar\.gz'\); unpack them first"):
            call(path)
    path = pack(tmp_path / name, [*nested, ("d/x.png", b"x")])
    found, learned = read(path)
    assert [record[:3] for record in found] == [("d/x.png", "d", b"x")]
    assert learned["passed_over"] == 4
    assert any("among them archives ('a/in.zip', 'b/in.tar.gz')" in line for line in look(path).said)


@pytest.mark.parametrize("name", KINDS)
def test_look_says_what_reading_gives(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / name, CLASSES)
    found = look(path)
    assert found.source.label == Label(layout="folders")
    assert (found.classes, found.records, found.bytes) == ({"cat": 2, "dog": 1}, 3, 15)
    assert read(path, found.source.label) == read(path)


def test_card_checks() -> None:
    check(Source(kind="archive", locator="x.zip"))
    with pytest.raises(ValueError, match=r"source.options: an archive takes none, found root"):
        check(Source(kind="archive", locator="x.zip", options={"root": "a"}))
    with pytest.raises(ValueError, match="columns go with the layouts table and meta_album, not with folders"):
        check(Source(kind="archive", locator="x.zip", label=Label(layout="folders", column="a")))
    with pytest.raises(ValueError, match="column and image_column are the same, 'a'"):
        check(Source(kind="archive", locator="x.zip", label=Label(layout="table", column="a", image_column="a")))


def test_records_are_lazy(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", CLASSES)
    stream = records(Source(kind="archive", locator=str(path)), Place(tmp_path, tmp_path))
    first = next(stream)
    assert first.source_id == "set/train/cat/a.jpg"
    stream.close()
