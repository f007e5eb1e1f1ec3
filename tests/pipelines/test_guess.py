"""What SOURCE names, and which kind of source it is, told by what it holds."""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_domains import picture, write_archive

from pipelines.add.address import Address, address_of, locator_of, shards_locator
from pipelines.add.guess import as_kind, guess_kind
from pipelines.sources.webdataset.shards import expand, find
from pipelines.transfer import Place

PNG = picture(1, 1)


def write_tar(path: Path, names: list[str], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in names:
            data = PNG if name.endswith("png") else b"1"
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_parquet(path: Path, **columns: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def write(path: Path, data: bytes | str = PNG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def guessed(path: Path | str, folder: Path) -> tuple[str, str]:
    guess = guess_kind(address_of(str(path), folder), folder, lambda locator: pytest.fail(f"fetched {locator}"))
    return guess.kind, guess.locator


@pytest.mark.parametrize(
    ("text", "form", "locator"),
    [
        ("openml:44241", "openml", "44241"),
        ("44241", "openml", "44241"),
        ("https://www.openml.org/d/44241", "openml", "44241"),
        ("https://www.openml.org/search?type=data&sort=runs&id=44241&status=active", "openml", "44241"),
        ("ylecun/mnist", "hub", "ylecun/mnist"),
        ("hf:ylecun/mnist", "hub", "ylecun/mnist"),
        ("hf:mnist", "hub", "mnist"),
        ("hf://datasets/ylecun/mnist", "hub", "ylecun/mnist"),
        ("https://huggingface.co/datasets/ylecun/mnist", "hub", "ylecun/mnist"),
        ("https://huggingface.co/datasets/ylecun/mnist/tree/main", "hub", "ylecun/mnist"),
        ("https://huggingface.co/datasets/ylecun/mnist/viewer/mnist/train", "hub", "ylecun/mnist"),
        (
            "https://huggingface.co/datasets/ylecun/mnist/resolve/main/mnist/test.parquet",
            "url",
            "https://huggingface.co/datasets/ylecun/mnist/resolve/main/mnist/test.parquet",
        ),
        ("https://example.org/d/44241", "url", "https://example.org/d/44241"),
        ("https://example.org/set.zip?token=${KEY}", "url", "https://example.org/set.zip?token=${KEY}"),
        ("s3://bucket/set.tar", "url", "s3://bucket/set.tar"),
        ("https://example.org/{00..03}.tar", "pattern", "https://example.org/{00..03}.tar"),
        ("s3://bucket/{a,b}.tar", "pattern", "s3://bucket/{a,b}.tar"),
    ],
)
def test_addresses(text: str, form: str, locator: str, tmp_path: Path) -> None:
    assert address_of(text, tmp_path) == Address(form, locator)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("no/such/thing", "no such file or folder"),
        ("data.zip", "no such file or folder"),
        ("user/data.zip", "no such file or folder"),
        ("mnist", "hf:NAME"),
        ("*.tar", "no file fits"),
        ("shard-{0..3}.tar", "no file fits"),
        ("https://user:hush@example.org/set.zip", "netrc"),
        ("https://example.org/set.zip?token=hush", "environment variable"),
        ("https://example.org/{0..3}.tar?token=hush", "environment variable"),
        ("ftp://example.org/set.zip", "expected a path or a"),
        ("pipe:cat set.tar", "not read here"),
        ("https:///set.zip", "malformed"),
        ("x" * 5000, "no such file"),
        ("a\0b", "no such file"),
    ],
)
def test_what_names_nothing_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as error:
        address_of(text, tmp_path)
    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_path_wins_over_an_id_where_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "user" / "name").mkdir(parents=True)
    assert address_of("user/name", tmp_path) == Address("path", "user/name", tmp_path / "user" / "name")
    assert address_of("hf:user/name", tmp_path) == Address("hub", "hf://datasets/user/name")
    with pytest.raises(ValueError, match="no such file"):
        address_of("user/other", tmp_path)  # its first part is a folder here: a slip, no id
    assert address_of("hf:user/other", tmp_path).form == "hub"
    (tmp_path / "44241").mkdir()
    with pytest.raises(ValueError, match=r"\./44241 or openml:44241"):
        address_of("44241", tmp_path)
    assert address_of("./44241", tmp_path).form == "path"
    assert address_of("openml:44241", tmp_path).form == "openml"


def test_locators_are_relative_where_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sources"
    inside, beside = write(folder / "deep" / "a.zip"), write(tmp_path / "b.zip")
    (tmp_path / "link").symlink_to(folder)
    write(folder / "odd:name.zip")
    assert locator_of(inside, folder) == "deep/a.zip"
    assert locator_of(tmp_path / "link" / "deep" / "a.zip", folder) == "deep/a.zip"
    assert locator_of(folder / "odd:name.zip", folder) == "./odd:name.zip"
    assert locator_of(beside, folder) == str(beside)
    assert locator_of(folder / "deep" / ".." / ".." / "b.zip", folder) == str(beside)
    monkeypatch.chdir(tmp_path / "sources" / "deep")
    assert address_of("a.zip", folder) == Address("path", "deep/a.zip", Path("a.zip"))
    assert address_of("odd:name.zip", folder).locator == "./odd:name.zip"  # not here, but where cards' locators start
    assert address_of("../../b.zip", folder).locator == str(beside)
    assert address_of(inside.as_uri(), folder).locator == "deep/a.zip"
    assert address_of(".", folder).locator == "deep"


def test_files_by_content(tmp_path: Path) -> None:
    write_archive(tmp_path / "zipped.data", classes=1, images=1)
    assert guessed(tmp_path / "zipped.data", tmp_path) == ("archive", "zipped.data")
    for mode, name in (("w", "a.tar"), ("w:gz", "a.tgz"), ("w:bz2", "a.tar.bz2"), ("w:xz", "a")):
        path = write_tar(tmp_path / name, ["cats/1.png", "dogs/1.png"], mode)
        assert guessed(path, tmp_path) == ("archive", name)
    for mode, name in (("w", "b.tar"), ("w:gz", "b.tar.gz")):
        path = write_tar(tmp_path / name, ["0.png", "0.cls", "1.png", "1.cls"], mode)
        assert guessed(path, tmp_path) == ("webdataset", name)
    assert guessed(write_tar(tmp_path / "c.tar", ["x/0.png", "x/0.cls", "y/1.png", "y/1.cls"]), tmp_path)[0] == "webdataset"
    assert guessed(write_tar(tmp_path / "d.tar", ["all/0.png", "all/0.json"]), tmp_path)[0] == "webdataset"
    assert guessed(write_tar(tmp_path / "e.tar", ["x/0.png", "y/1.png", "about.json"]), tmp_path)[0] == "archive"
    bytes_in = write_parquet(tmp_path / "f.parquet", image=[PNG], label=["a"])
    assert guessed(bytes_in, tmp_path)[0] == "huggingface"
    struct = write_parquet(tmp_path / "g", image=[{"bytes": PNG, "path": "x"}], label=["a"])
    assert guessed(struct, tmp_path)[0] == "huggingface"
    addresses = write_parquet(tmp_path / "h.parquet", url=["https://example.org/1.png"], label=["a"])
    assert guessed(addresses, tmp_path)[0] == "urls"
    for name in ("t.csv", "t.tsv", "t.jsonl", "t"):
        assert guessed(write(tmp_path / name, "url,label\nhttps://example.org/1.png,a\n"), tmp_path)[0] == "urls"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.zip", b"", "empty"),
        ("x.png", PNG, "a single picture"),
        ("x.zip", b"<!DOCTYPE html><html>", "web page"),
        ("x.mat", b"MATLAB 5.0\0\0", "say which by --kind"),
        ("x.parquet", b"PAR1 and no more", "not readable as Parquet"),
    ],
)
def test_files_that_are_no_source(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        guessed(write(tmp_path / name, data), tmp_path)


def test_a_tar_that_could_be_both_is_asked_about(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", ["cats/1.png", "cats/1.txt", "dogs/1.png", "dogs/1.txt"])
    with pytest.raises(ValueError, match="--kind archive or --kind webdataset"):
        guessed(path, tmp_path)
    assert as_kind("archive", address_of(str(path), tmp_path), tmp_path).kind == "archive"


def test_folders_by_what_is_in_them(tmp_path: Path) -> None:
    write(tmp_path / "a" / "cats" / "1.png")
    write(tmp_path / "a" / "pictures.zip")
    write(tmp_path / "a" / "labels.csv", "x")
    assert guessed(tmp_path / "a", tmp_path) == ("folder", "a")
    write(tmp_path / "b" / "data" / "train.parquet")
    write(tmp_path / "b" / "README.md", "x")
    write(tmp_path / "b" / ".hidden" / "1.png")
    assert guessed(tmp_path / "b", tmp_path) == ("huggingface", "b")
    write(tmp_path / "c" / "state.json", "{}")
    write(tmp_path / "c" / "data-00000-of-00001.arrow", b"ARROW1")
    assert guessed(tmp_path / "c", tmp_path) == ("huggingface", "c")
    for number in range(9, 12):
        write_tar(tmp_path / "d" / f"{number:04d}.tar", ["0.png", "0.cls"])
    assert guessed(tmp_path / "d", tmp_path) == ("webdataset", "d/{0009..0011}.tar")
    write(tmp_path / "e" / "x.parquet")
    write(tmp_path / "e" / "1.png")
    with pytest.raises(ValueError, match="1 pictures and 1 Parquet or Arrow files; say --kind folder or --kind huggingface"):
        guessed(tmp_path / "e", tmp_path)
    write(tmp_path / "f" / "set.zip")
    with pytest.raises(ValueError, match=r"give what it holds instead: .*f/set\.zip"):
        guessed(tmp_path / "f", tmp_path)
    write(tmp_path / "g" / "readme.txt", "x")
    with pytest.raises(ValueError, match="holds no picture; expected"):
        guessed(tmp_path / "g", tmp_path)
    write_tar(tmp_path / "h" / "x" / "0.tar", ["0.png", "0.cls"])
    with pytest.raises(ValueError, match=r"holds no tar itself; give a pattern"):
        guessed(tmp_path / "h", tmp_path)


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, beside = tmp_path / "sources", tmp_path / "beside"
    for top in (folder / "in", beside):
        for number in range(3):
            write_tar(top / f"s{number}.tar", ["0.png", "0.cls"])
    monkeypatch.chdir(tmp_path)
    assert guessed(folder / "in" / "*.tar", folder) == ("webdataset", "in/*.tar")
    assert guessed(folder / "in" / "s{0..2}.tar", folder) == ("webdataset", "in/s{0..2}.tar")
    assert guessed("in/*.tar", folder) == ("webdataset", "in/*.tar")  # from sources_folder on
    assert guessed("beside/s{0..2}.tar", folder) == ("webdataset", f"{beside}/s{{0..2}}.tar")
    written_out = guessed("beside/*.tar", folder)
    assert written_out == ("webdataset", f"{beside}/s{{0..2}}.tar")  # a glob would have to be below sources_folder
    assert len(find(written_out[1], Place(folder, tmp_path))) == 3
    assert guessed("https://example.org/{0..2}.tar", folder)[0] == "webdataset"
    with pytest.raises(ValueError, match="a pattern is for tar shards or Parquet"):
        guessed("https://example.org/{0..2}.zip", folder)


@given(st.lists(st.text("ab01_-.", min_size=1, max_size=6), min_size=1, max_size=6, unique=True))
def test_shards_written_out_are_those_shards(names: list[str]) -> None:
    files = sorted(Path("some") / f"x{name}.tar" for name in names)
    assert list(expand(shards_locator(files, Path()))) == [str(file) for file in files]


def test_numbered_shards_are_a_span() -> None:
    files = [Path(f"train-{number:06d}.tar") for number in range(8, 112)]
    assert shards_locator(files, Path()) == "train-{000008..000111}.tar"
    with pytest.raises(ValueError, match="braces or commas"):
        shards_locator([Path("a,b.tar"), Path("{c}.tar")], Path())
