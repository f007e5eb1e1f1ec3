"""Label tables: how rows are matched with files, what is guessed, and Meta-Album sets with every slip of the published ones."""

import csv
import io
import json
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import Files, look, pack, read

from pipelines.cards import Label, Source
from pipelines.sources import RawRecord
from pipelines.sources.archive import records
from pipelines.sources.members import Bounds
from pipelines.transfer import Place

PICTURES = [("set/a/1.jpg", b"a1"), ("set/a/2.jpg", b"a2"), ("set/b/3.png", b"b3"), ("set/b/4.png", b"b4")]
LABELLED = [("set/a/1.jpg", "cat"), ("set/a/2.jpg", "dog"), ("set/b/3.png", "cat"), ("set/b/4.png", "dog")]
PLACES = ["x", "x.zip", "x.tar", "x.tar.gz"]  # the first is a folder


def triples(records: list[RawRecord]) -> list[tuple[str, str, bytes]]:
    return [record[:3] for record in records]


def same_without_guessing(path: Path, label: Label | None = None) -> list[RawRecord]:
    """The records; the label section that a look fills in must read the same."""
    found, learned = read(path, label)
    seen = look(path, label)
    assert read(path, seen.source.label) == (found, learned)
    assert seen.records == len(found)
    assert seen.bytes is not None
    assert look(path, seen.source.label)._replace(said=[]) == seen._replace(said=[])
    return found


WANTED = [(name, label, dict(PICTURES)[name]) for name, label in LABELLED]
WAYS = {
    "path": (lambda name: name, "labels.csv"),
    "path with dots": (lambda name: f"./{name}", "labels.csv"),
    "path from the table on": (lambda name: name.removeprefix("set/"), "set/labels.csv"),
    "file name": (lambda name: name.split("/")[-1], "labels.csv"),
    "path without suffix": (lambda name: name.rpartition(".")[0], "meta/labels.csv"),
    "file name without suffix": (lambda name: name.split("/")[-1].rpartition(".")[0], "labels.csv"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_how_a_table_names_pictures(tmp_path: Path, way: str, place: str) -> None:
    naming, table = WAYS[way]
    text = "split,id,animal\n" + "".join(f"train,{naming(name)},{label}\n" for name, label in LABELLED)
    path = pack(tmp_path / place, [*PICTURES, (table, text.encode())])
    label = Label(layout="table", column="animal")
    assert triples(same_without_guessing(path, label)) == WANTED
    filled = look(path, label).source.label
    assert filled == Label(layout="table", table=table, image_column="id", column="animal")


FORMATS = {
    "t.csv": "file,n,label\r\n{}",
    "t.tsv": "file\tn\tlabel\n{}",
    "semicolon.csv": "\ufefffile;n;label\n{}",
    "t.jsonl": "{}",
    "T.NDJSON": "{}",
}


@pytest.mark.parametrize("table", FORMATS)
def test_formats_of_tables(tmp_path: Path, table: str) -> None:
    def row(number: int, name: str, label: str) -> str:
        if table.lower().endswith("json") or table.endswith("jsonl"):
            return json.dumps({"file": name, "n": number, "label": label}) + "\n"
        separator = {"t.csv": ",", "t.tsv": "\t", "semicolon.csv": ";"}[table]
        return separator.join((f'"{name}"', str(number), f" {label} ")) + ("\r\n" if table == "t.csv" else "\n")

    rows = "".join(row(number, name, label) for number, (name, label) in enumerate(LABELLED))
    path = pack(tmp_path / "x.zip", [*PICTURES, (table, FORMATS[table].replace("{}", rows).encode())])
    assert triples(same_without_guessing(path, Label(layout="table"))) == WANTED


def test_a_table_is_found_where_folders_are_no_classes(tmp_path: Path) -> None:
    """The layout of many a contest: train/, test/ and a table."""
    files = [
        ("train/1.jpg", b"1"),
        ("train/2.jpg", b"2"),
        ("test/3.jpg", b"3"),
        ("train.csv", b"id,breed\n1,pug\n2,pug\n3,spitz\n"),
    ]
    found = same_without_guessing(pack(tmp_path / "x.zip", files))
    assert triples(found) == [("train/1.jpg", "pug", b"1"), ("train/2.jpg", "pug", b"2"), ("test/3.jpg", "spitz", b"3")]
    said = look(tmp_path / "x.zip").said
    assert said == [
        "train.csv is the label table",
        "column 'id' of train.csv names the pictures (file name, without suffix)",
        "column 'breed' of train.csv holds the class (the only other one whose values repeat)",
    ]


def test_class_folders_beside_a_table_stay_class_folders(tmp_path: Path) -> None:
    files = [("cat/1.jpg", b"1"), ("dog/2.jpg", b"2"), ("split.csv", b"id,split\n1,train\n2,train\n")]
    path = pack(tmp_path / "x.zip", files)
    assert [record.label for record in same_without_guessing(path)] == ["cat", "dog"]
    assert look(path).source.label == Label(layout="folders")


def test_rows_that_repeat_contradict_or_name_nothing(tmp_path: Path) -> None:
    rows = (
        "1.jpg,cat\n1.jpg,cat\n1.jpg,dog\n2.jpg,\n,cat\n.DS_Store,cat\nnotes.txt,cat\n9.jpg,cat\n9.jpg,cat\n3.png\n4.png,dog\n"
    )
    path = pack(tmp_path / "x.zip", [*PICTURES, ("t.csv", b"file,label\n" + rows.encode())])
    found, learned = read(path, Label(layout="table"))
    assert triples(found) == [
        ("set/a/1.jpg", "cat", b"a1"),
        ("set/a/1.jpg#2", "dog", b"a1"),
        ("set/b/4.png", "dog", b"b4"),
        ("9.jpg", "cat", b""),
    ]
    assert [record.fault.reason if record.fault else None for record in found] == [
        None,
        None,
        None,
        "the label table names a file that is not there",
    ]
    assert learned["passed_over"] == 2 + 7  # pictures without a class; rows


def refusal(path: Path, label: Label) -> str:
    messages = set()
    for call in (read, look):
        with pytest.raises(ValueError, match=r"x\.zip") as caught:
            call(path, label)
        messages.add(str(caught.value))
    (message,) = messages
    assert "\n" not in message
    return message


TABLE = Label(layout="table")


@pytest.mark.parametrize(
    ("files", "label", "message"),
    [
        ([], TABLE, "found no table"),
        ([("t.csv", b"n,m\n7,8\n")], TABLE, "found no table"),
        ([("t.csv", b"file,a,b\n1.jpg,x,u\n2.jpg,x,u\n")], TABLE, "cannot tell the label column; name it in source.label"),
        ([("t.csv", b"file,a\n1.jpg,x\n")], Label(layout="table", column="b"), "no column 'b'; columns: file, a"),
        ([("t.csv", b"file,a\n1.jpg,x\n")], Label(layout="table", image_column="a", column="file"), "no value of column 'a'"),
        ([("t.csv", b"file,a\n1.jpg,x\n")], Label(layout="table", table="u.csv"), "expected one table 'u.csv'; tables: t.csv"),
        ([("t.csv", b"1.jpg,x\n2.jpg,x\n")], TABLE, "expected the names of the columns in its first line, found '1.jpg'"),
        ([("t.csv", b"file,label\n1.jpg,\xff\n")], TABLE, "t.csv: expected UTF-8 text"),
        ([("t.csv", b'file,label\n1.jpg,"' + b"x" * 200_000 + b'"\n')], TABLE, "not readable as CSV"),
        ([("t.jsonl", b'{"file": "1.jpg"')], TABLE, "not readable as JSON lines"),
        ([("t.jsonl", b"[1]\n")], TABLE, "expected an object in each line"),
        (
            [("t.csv", b"file,label\n1.jpg,x\n"), ("u.csv", b"file,label\n2.jpg,x\n")],
            TABLE,
            "several tables name pictures (t.csv, u.csv); name one in source.label.table",
        ),
        (
            [("t.csv", b"file,label\n1.jpg,x\n"), ("set/c/1.jpg", b"c1")],
            TABLE,
            "'1.jpg' may be 'set/a/1.jpg' or 'set/c/1.jpg'; write whole paths into the table",
        ),
        (
            [("t.csv", b",".join(b"c%d" % n for n in range(100_000)))],
            Label(layout="table", column="c1"),
            "has 100000 columns, more than the limit of 256",
        ),
        (
            [("A/labels.csv", b"x"), ("B/labels.csv", b"x")],
            Label(layout="meta_album"),
            "holds several sets (A/labels.csv, B/labels.csv); name one's labels.csv in source.label.table",
        ),
    ],
)
def test_what_cannot_be_told(tmp_path: Path, files: Files, label: Label, message: str) -> None:
    assert message in refusal(pack(tmp_path / "x.zip", [*PICTURES, *files]), label)


def test_tables_larger_than_the_limit_are_left_out(tmp_path: Path) -> None:
    table = b"file,label\n1.jpg," + b"x" * 50
    pack(tmp_path / "x.zip", [*PICTURES, ("t.csv", table), ("u.csv", table)])
    source, place = Source(kind="archive", locator="x.zip", label=Label(table="u.csv")), Place(tmp_path, tmp_path)
    small = Bounds(table_bytes=len(table) + 10)
    with pytest.raises(ValueError, match=r"expected one table 'u\.csv'; tables: t\.csv \(1 too large or too many\)"):
        list(records(source, place, small))
    with pytest.raises(ValueError, match="the names of its files take more than 30 bytes"):
        list(records(source, place, Bounds(table_bytes=30)))


def test_control_characters_in_a_table_are_escaped(tmp_path: Path) -> None:
    for n, (name, table) in enumerate(
        (("labels.csv", b"a\x00b,\xef\xbb\xbf\n1,2\n"), ("l\x1b\nx.csv", b"file,a\tb,\x07\n1.jpg,x,y\n"))
    ):
        path = pack(tmp_path / f"x{n}.zip", [*PICTURES, (name, table)])
        for label in (Label(layout="meta_album"), Label(layout="table", column="c"), TABLE):
            with pytest.raises(ValueError, match=r"x\d\.zip") as caught:
                read(path, label)
            assert str(caught.value).isprintable()


def test_half_a_character_in_json(tmp_path: Path) -> None:
    table = b'{"file": "1.jpg", "label": "a\\ud800"}\n'
    found = read(pack(tmp_path / "x.zip", [*PICTURES, ("t.jsonl", table)]), TABLE)[0]
    assert triples(found) == [("set/a/1.jpg", "a?", b"a1")]


def test_one_of_several_sets(tmp_path: Path) -> None:
    table = b"FILE_NAME,CATEGORY\n0.jpg,cat\n"
    files = [
        (f"{name}/{inner}", data) for name in "AB" for inner, data in (("labels.csv", table), ("images/0.jpg", name.encode()))
    ]
    path = pack(tmp_path / "x.zip", files)
    found = same_without_guessing(path, Label(layout="meta_album", table="B/labels.csv"))
    assert triples(found) == [("B/images/0.jpg", "cat", b"B")]


class Album(NamedTuple):
    """A made Meta-Album set and what must come of it."""

    files: Files
    records: list[tuple[str, str, bytes]]
    missing: list[tuple[str, str, bytes]]
    passed_over: int


@st.composite
def albums(draw: st.DrawFn) -> Album:
    """Sets with the slips of the published ones in every mixture; classes may have a single picture."""
    folder = draw(st.sampled_from(["", "INS2_Mini/", "INS_2_Micro/", "data/PNU_Micro/"]))
    columns = draw(st.sampled_from([("FILE_NAME", "CATEGORY"), ("file", "kind")]))
    classes = [f"class {n}, \"of\" 'it'" for n in range(draw(st.integers(1, 19)))]
    names = [f"{n:06d}.{draw(st.sampled_from(['jpg', 'JPG', 'png']))}" for n in range(draw(st.integers(1, 12)))]
    labels = {name: draw(st.lists(st.sampled_from(classes), max_size=2, unique=True)) for name in names}
    lost = {name for name in names if draw(st.integers(0, 9)) == 0}
    rows = [(name, label) for name in names for label in labels[name]]
    repeated = [row for row in rows if draw(st.integers(0, 4)) == 0]
    noise = [(".DS_Store", ""), (".DS_Store", classes[0]), ("", classes[0]), (names[0], "")][: draw(st.integers(0, 4))]
    order = draw(st.permutations(rows + repeated + noise))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerow((columns[0], columns[1], "SUPER_CATEGORY"))
    writer.writerows((name, label, "") for name, label in order)
    table = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.getvalue().encode()
    info = {"image_column_name": columns[0], "category_column_name": columns[1], "total_super_categorie": 3}
    files = [(f"{folder}images/{name}", name.encode()) for name in names if name not in lost]
    files += [(f"{folder}labels.csv", table)]
    files += [(f"{folder}info.json", json.dumps(info).encode())] if columns[0] == "file" or draw(st.booleans()) else []
    junk = [(f"{folder}images/.DS_Store", b"junk"), ("__MACOSX/x/._0.jpg", b"junk"), (f"{folder}images/stray.jpg", b"junk")]
    junk = junk[: draw(st.integers(0, 3))]
    mentioned: dict[str, list[str]] = {}
    for name, label in order:
        if label and name in labels and label not in mentioned.setdefault(name, []):
            mentioned[name].append(label)
    records = [
        (f"{folder}images/{name}", label, name.encode())
        for name in names
        if name not in lost
        for label in mentioned.get(name, [])
    ]
    missing = [(f"{folder}images/{name}", label, b"") for name in mentioned if name in lost for label in mentioned[name]]
    without = sum(name not in lost and not mentioned.get(name) for name in names)
    return Album(files + junk, records, missing, len(repeated) + len(noise) + len(junk) + without)


@settings(max_examples=150, deadline=None)
@given(album=albums(), place=st.sampled_from(["x.zip", "x.tar", "x.tar.gz"]), given_layout=st.booleans())
def test_meta_album_sets(tmp_path_factory: pytest.TempPathFactory, album: Album, place: str, given_layout: bool) -> None:
    path = pack(tmp_path_factory.mktemp("album") / place, album.files)
    label = Label(layout="meta_album" if given_layout else None)
    if not album.records and not album.missing:
        with pytest.raises(ValueError, match=r"expected rows of labels\.csv that name pictures"):
            read(path, label)
        return
    found, learned = read(path, label)
    plain = [(record.source_id.partition("#")[0], record.label, record.data) for record in found]
    assert plain == album.records + album.missing
    assert [bool(record.fault) for record in found] == [False] * len(album.records) + [True] * len(album.missing)
    assert len({record.source_id for record in found}) == len(found)
    assert learned["passed_over"] == album.passed_over
    same_without_guessing(path, label)
