"""Local folders: what becomes a record, in which order, what is passed over, and what is never followed."""

import os
import socket
import subprocess
from pathlib import Path

import pytest
from packed import Files, look, pack, read, stream

from pipelines.cards import Label, Source
from pipelines.sources.folder import check, records
from pipelines.sources.members import Bounds
from pipelines.transfer import Place

FILES: Files = [
    ("train/cat/b.jpg", b"tcb"),
    ("train/cat/a.JPEG", b"tca"),
    ("train/dog/c.png", b"tdc"),
    ("test/cat/a.jpg", b"xca"),
    ("train-2/cat/a.jpg", b"t2"),
    ("train/readme.txt", b"no picture"),
    ("run.sh", b"#!/bin/sh"),
    ("top.jpg", b"in no class folder"),
]


def test_class_folders_in_the_order_of_paths(tmp_path: Path) -> None:
    found, learned = read(pack(tmp_path / "x", FILES))
    assert [record[:3] for record in found] == [
        ("test/cat/a.jpg", "cat", b"xca"),
        ("train-2/cat/a.jpg", "cat", b"t2"),
        ("train/cat/a.JPEG", "cat", b"tca"),
        ("train/cat/b.jpg", "cat", b"tcb"),
        ("train/dog/c.png", "dog", b"tdc"),
    ]
    assert [record.source_id for record in found] == sorted(record.source_id for record in found)
    assert learned == {"passed_over": 3}
    assert read(tmp_path / "x", Label(layout="folders")) == (found, learned)


def test_look(tmp_path: Path) -> None:
    found = look(pack(tmp_path / "x", FILES))
    assert found.source.label == Label(layout="folders")
    assert (found.classes, found.records, found.bytes) == ({"cat": 4, "dog": 1}, 5, 14)
    assert found.said == ["each picture's class is the name of the folder that it lies in", "3 files or rows make no record"]


def test_an_archive_and_its_folder_give_the_same_records(tmp_path: Path) -> None:
    files = sorted(FILES)
    assert read(pack(tmp_path / "x", files))[0] == read(pack(tmp_path / "x.zip", files))[0]


def test_links_hidden_files_and_devices_are_passed_over(tmp_path: Path) -> None:
    path = pack(tmp_path / "x", [("cat/a.jpg", b"a"), (".git/b.jpg", b"b"), ("cat/.c.jpg", b"c"), ("__MACOSX/d/e.jpg", b"e")])
    outside = pack(tmp_path / "outside", [("cat/secret.jpg", b"secret")])
    (path / "cat" / "link.jpg").symlink_to(outside / "cat" / "secret.jpg")
    (path / "dog").symlink_to(outside / "cat")
    (path / "loop").symlink_to(path)
    (path / "cat" / "broken.jpg").symlink_to("nowhere")
    os.mkfifo(path / "cat" / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "cat" / "s.jpg"))
        found, learned = read(path)
    assert [record[:3] for record in found] == [("cat/a.jpg", "cat", b"a")]
    assert learned["passed_over"] == 9
    (tmp_path / "way").symlink_to(path)  # the folder itself may be reached by a link: its user wrote that
    assert read(tmp_path / "way")[0] == found


def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = pack(tmp_path / "x", [("a/b.png", b"1")])
    (folder / os.fsdecode(b"c\xff")).mkdir()
    (folder / os.fsdecode(b"c\xff/d\xfe.png")).write_bytes(b"2")
    (folder / "a" / "new\nline.png").write_bytes(b"3")
    (folder / "a" / "back\\slash.png").write_bytes(b"4")
    found, learned = read(folder)
    assert [record[:2] for record in found] == [("a/b.png", "a"), ("a/new\nline.png", "a"), ("c\ufffd/d\ufffd.png", "c\ufffd")]
    assert learned["passed_over"] == 1


def test_a_deep_folder(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 300)
    path = tmp_path / "x"
    path.mkdir()
    here = os.open(path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("e.png", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    assert [record.source_id for record in read(path)[0]] == [f"{deep}/e.png"]
    subprocess.run(["rm", "-rf", path], check=True)  # pytest's own clean-up would recurse too deep


@pytest.mark.parametrize("form", ["x", "./x/", "{absolute}", "file://{absolute}", "file:{absolute}"])
def test_locators(tmp_path: Path, form: str) -> None:
    path = pack(tmp_path / "x", FILES)
    source = Source(kind="folder", locator=form.format(absolute=path))
    check(source)
    assert len(list(records(source, Place(tmp_path, tmp_path / "downloads")))) == 5


def test_what_is_no_folder(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path)
    (tmp_path / "f.zip").write_bytes(b"x")
    for locator, message in (
        ("nowhere", "no such folder; relative locators start at sources_folder"),
        ("f.zip", "expected a folder, found a file; archives are of the kind archive"),
        ("file://elsewhere/x", "cannot name another machine"),
    ):
        with pytest.raises(ValueError, match=message):
            next(records(Source(kind="folder", locator=locator), place))


def test_nothing_to_read(tmp_path: Path) -> None:
    for files, message in (
        ([("a/b.txt", b"x")], "found 1 files, none with a picture's suffix"),
        ([("a.png", b"x")], r"expected pictures in class folders \(<class>/<file>\)"),
        ([("s/a.zip", b"x")], r"it holds archives \('s/a\.zip'\); unpack them first"),
    ):
        path = pack(tmp_path / message[:12].replace(" ", "").replace(".", ""), files)
        for call in (read, look):
            with pytest.raises(ValueError, match=message) as caught:
                call(path)
            assert str(path) in str(caught.value)


def test_bounds(tmp_path: Path) -> None:
    path = pack(tmp_path / "x", [("a/1.png", b"1" * 11), ("a/2.png", b"2")])
    source, place = Source(kind="folder", locator="x"), Place(tmp_path, tmp_path)
    with pytest.raises(ValueError, match=r"'a/1\.png' has 11 bytes, more than the limit of 10"):
        list(records(source, place, Bounds(picture_bytes=10)))
    with pytest.raises(ValueError, match="holds more than 1 files"):
        list(records(source, place, Bounds(members=1)))
    assert len(list(records(source, place, Bounds(picture_bytes=11, members=2)))) == 2
    assert path.exists()


def test_what_changes_while_it_is_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "x", [(f"a/{n}.png", b"x") for n in range(6)])
    found = stream(path, Label(layout="folders"))
    assert next(found).source_id == "a/0.png"
    (path / "a" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"'a/1\.png' cannot be read \(No such file or directory\)"):
        next(found)
    found = stream(path, Label(layout="folders"))
    next(found)
    (path / "a" / "2.png").unlink()
    (path / "a" / "2.png").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match=r"'a/2\.png' is no longer a file"):
        next(found)
    found = stream(path, Label(layout="folders"))
    next(found)
    (path / "a" / "3.png").unlink()
    os.mkfifo(path / "a" / "3.png")
    with pytest.raises(ValueError, match=r"'a/3\.png' is no longer a file"):
        next(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "x", [("a/1.png", b"x")])
    (path / "a" / "1.png").chmod(0)
    with pytest.raises(ValueError, match=r"'a/1\.png' cannot be read \(Permission denied\)"):
        read(path)


def test_card_checks() -> None:
    check(Source(kind="folder", locator="x", label=Label(layout="table", column="a")))
    for source, message in (
        (Source(kind="folder", locator="https://host/x"), "expected the path of a folder or a file: URL"),
        (Source(kind="folder", locator="x", options={"b": 1, "a": 2}), "a folder takes none, found a, b"),
        (Source(kind="folder", locator="x", checksum=f"sha256:{64 * '0'}"), "goes with a single file"),
        (Source(kind="folder", locator="x", label=Label(layout="folders", table="t.csv")), "columns go with the layouts table"),
    ):
        with pytest.raises(ValueError, match=message):
            check(source)
