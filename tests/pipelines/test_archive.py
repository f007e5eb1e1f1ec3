"""Archives of each kind and layout: what becomes a record, under which name and label, and what is passed over."""

import io
import tarfile
import zipfile
from collections.abc import Generator
from pathlib import Path

import pytest

from pipelines.cards import Label, Source
from pipelines.sources import RawRecord
from pipelines.sources.archive import check, records
from pipelines.transfer import Place

Files = list[tuple[str, bytes]]
CLASSES: Files = [
    ("set/train/cat/a.jpg", b"cat a"),
    ("set/train/dog/b.PNG", b"dog b"),
    ("set/test/cat/c.JpEg", b"cat c"),
    ("set/readme.txt", b"no picture"),
    ("set/train/cat/.DS_Store", b"junk"),
    ("__MACOSX/set/train/cat/._a.jpg", b"resource fork"),
    ("top.jpg", b"in no class folder"),
]


def pack(path: Path, files: Files) -> Path:
    """Write files as the kind that the suffix names."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files:
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        return path
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as packed:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path


def read(path: Path, label: Label | None = None) -> tuple[list[RawRecord], dict[str, object]]:
    """All records of an archive, and what the source returns at its end."""
    source = Source(kind="archive", locator=path.name, label=label or Label())
    place = Place(path.parent, path.parent / "downloads")
    found: list[RawRecord] = []

    def collect() -> Generator[RawRecord, None, dict[str, object]]:
        return (yield from records(source, place))

    stream = collect()
    while True:
        try:
            found.append(next(stream))
        except StopIteration as end:
            return found, end.value


KINDS = ["x.zip", "x.tar", "x.tar.gz"]


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


def test_order_is_by_name_in_a_zip_and_as_packed_in_a_tar(tmp_path: Path) -> None:
    files = [("b/2.png", b"2"), ("a/9.png", b"9"), ("a/1.png", b"1")]
    assert [r.source_id for r in read(pack(tmp_path / "x.zip", files))[0]] == ["a/1.png", "a/9.png", "b/2.png"]
    assert [r.source_id for r in read(pack(tmp_path / "x.tar", files))[0]] == ["b/2.png", "a/9.png", "a/1.png"]


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


def test_card_checks() -> None:
    check(Source(kind="archive", locator="x.zip"))
    with pytest.raises(ValueError, match=r"source.options: an archive takes none, found root"):
        check(Source(kind="archive", locator="x.zip", options={"root": "a"}))
    with pytest.raises(ValueError, match="columns go with the layout meta_album"):
        check(Source(kind="archive", locator="x.zip", label=Label(layout="folders", column="a")))
    with pytest.raises(ValueError, match="expected a path or a file:, http: or https: URL"):
        check(Source(kind="archive", locator="s3://bucket/x.zip"))


def test_records_are_lazy(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", CLASSES)
    stream = records(Source(kind="archive", locator=str(path)), Place(tmp_path, tmp_path))
    first = next(stream)
    assert first.source_id == "set/train/cat/a.jpg"
    stream.close()
