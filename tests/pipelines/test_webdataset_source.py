"""WebDataset shards of others: written by webdataset, by tarfile and by us; every form of label; damage, tricks and danger."""

import gzip
import io
import json
import pickle
import tarfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from drained import drained
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from servers import Server

from pipelines.cards import Label, Source
from pipelines.shards import Sample, ShardWriter
from pipelines.sources import Fault, RawRecord, archive
from pipelines.sources.members import Bounds
from pipelines.sources.webdataset import check, look, records
from pipelines.sources.webdataset.samples import Split, summarise
from pipelines.sources.webdataset.shards import expand
from pipelines.transfer import Place


def picture(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), shade, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


ONE, TWO, THREE = picture(1), picture(2), picture(3)


def tar(path: Path, members: list[tuple[str, bytes]], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def shard(path: Path, first: int, count: int = 3) -> Path:
    """Samples of png and cls; class and picture follow the number."""
    rows = range(first, first + count)
    return tar(path, [(f"{n:04d}.{end}", data) for n in rows for end, data in (("png", picture(n)), ("cls", b"%d" % (n % 2)))])


def source(locator: str, label: Label | None = None, **options: object) -> Source:
    found = Source(kind="webdataset", locator=locator, label=label or Label(), options=options)
    check(found)
    return found


def read(folder: Path, wanted: Source | str) -> tuple[list[RawRecord], dict[str, Any]]:
    return drained(records(source(wanted) if isinstance(wanted, str) else wanted, Place(folder, folder / "downloads")))


def refused(folder: Path, wanted: Source | str, *words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read(folder, wanted)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_shards_of_webdatasets_own_writer(tmp_path: Path) -> None:
    with webdataset.TarWriter(str(tmp_path / "x.tar")) as writer:
        writer.write({"__key__": "a/001", "png": ONE, "cls": 4, "json": {"note": "none"}})
        writer.write({"__key__": "a/002", "png": TWO, "cls": 5, "json": {"note": "none"}})
    found, learned = read(tmp_path, "x.tar")
    assert found == [RawRecord("x/a/001", "4", ONE), RawRecord("x/a/002", "5", TWO)]
    assert learned["passed_over"] == 0
    assert learned["checksum"].startswith("sha256:")


def test_our_own_shards_come_back_with_the_names_of_their_classes(tmp_path: Path) -> None:
    folder = tmp_path / "collections" / "pets"
    folder.mkdir(parents=True)
    with ShardWriter(folder, 2) as writer:
        for number, (label, suffix) in enumerate([("cat", "png"), ("dog", "jpg"), ("cat", "jpg"), ("dog", "png")]):
            data = picture(number, "PNG" if suffix == "png" else "JPEG")
            index = ["cat", "dog"].index(label)
            writer.write([Sample(f"{number:04d}", label, index, "train", "", f"src/{number}.png", suffix, data)])
    found, _ = read(tmp_path, "collections/pets/train-*.tar")
    assert [(record.source_id, record.label) for record in found] == [
        ("train-000000/0000", "cat"),
        ("train-000000/0001", "dog"),
        ("train-000001/0002", "cat"),
        ("train-000001/0003", "dog"),
    ]
    assert found[0].data == picture(0)
    seen = look(source("collections/pets/train-*.tar"), Place(tmp_path, tmp_path / "downloads"))
    assert seen.source.label.column == "json:label"
    assert any("name of the number in .cls" in line for line in seen.said)
    assert read(tmp_path, seen.source)[0] == found


LABELS = {
    "cls": ({"cls": b"7\n"}, None, "7"),
    "txt": ({"txt": "Käse ".encode()}, None, "Käse"),
    "words in json": ({"json": b'{"label": "cat", "id": 3}'}, None, "cat"),
    "number in json": ({"json": b'{"class": 3}'}, None, "3"),
    "cls before txt": ({"cls": b"1", "txt": b"a long caption"}, None, "1"),
    "a name instead of cls": ({"cls": b"1", "json": b'{"class_name": "owl"}'}, None, "owl"),
    "a json that names nothing": ({"cls": b"1", "json": b'{"caption": "x"}'}, None, "1"),
    "words in cls": ({"cls": b"owl", "json": b'{"label": "other"}'}, None, "owl"),
    "another suffix": ({"animal": b"owl", "cls": b"1"}, "animal", "owl"),
    "suffix in capitals": ({"CLS": b"1"}, "CLS", "1"),
    "a field by name": ({"json": b'{"label": "x", "kind": "owl"}'}, "json:kind", "owl"),
    "a field within": ({"json": b'{"of": {"kind": "owl"}}'}, "json:of.kind", "owl"),
    "a field with a dot": ({"json": b'{"of.kind": "owl", "of": {"kind": "x"}}'}, "json:of.kind", "owl"),
    "true": ({"json": b'{"good": true}'}, "json:good", "true"),
}


@pytest.mark.parametrize("case", LABELS)
def test_forms_of_label(tmp_path: Path, case: str) -> None:
    files, column, label = LABELS[case]
    tar(tmp_path / "x.tar", [("k.png", ONE), *((f"k.{suffix}", data) for suffix, data in files.items())])
    wanted = source("x.tar", Label(column=column))
    found, _ = read(tmp_path, wanted)
    assert found == [RawRecord("x/k", label, ONE)]
    seen = look(wanted, Place(tmp_path, tmp_path / "downloads"))
    assert read(tmp_path, seen.source)[0] == found
    assert seen.classes == {label: 1}
    assert (seen.records, seen.bytes) == (1, len(ONE))


def test_the_label_as_the_folder_of_the_key(tmp_path: Path) -> None:
    tar(tmp_path / "x.tar", [("in/cat/1.jpg", ONE), ("./in/dog/2.jpg", TWO), ("3.jpg", THREE)])
    found, learned = read(tmp_path, "x.tar")
    assert [(record.source_id, record.label) for record in found] == [("x/in/cat/1", "cat"), ("x/in/dog/2", "dog")]
    assert learned["passed_over"] == 1
    seen = look(source("x.tar"), Place(tmp_path, tmp_path / "downloads"))
    assert seen.source.label == Label(layout="folders")
    assert seen.classes == {"cat": 1, "dog": 1}
    assert read(tmp_path, seen.source)[0] == found


def test_names_in_json_that_do_not_fit_the_numbers_are_not_taken(tmp_path: Path) -> None:
    rows = [("1", "owl"), ("1", "jay"), ("2", "owl")]
    members = [
        (f"{at}.{end}", data)
        for at, (number, name) in enumerate(rows)
        for end, data in (("png", picture(at)), ("cls", number.encode()), ("json", json.dumps({"label": name}).encode()))
    ]
    tar(tmp_path / "x.tar", members)
    assert [record.label for record in read(tmp_path, "x.tar")[0]] == ["1", "1", "2"]


def test_what_is_no_sample_or_has_no_class_is_counted_and_what_has_no_picture_is_a_fault(tmp_path: Path) -> None:
    members = [
        ("__meta__", b"x"),
        (".hidden", b"x"),
        ("README", b"x"),
        ("d/._1.png", b"x"),
        ("1.png", ONE),
        ("1.cls", b"a"),
        ("2.png", TWO),
        ("3.cls", b"b"),
        ("4.png", THREE),
        ("4.cls", b" \n"),
        ("5.npy", b"x"),
    ]
    tar(tmp_path / "x.tar", members)
    found, learned = read(tmp_path, "x.tar")
    assert found == [
        RawRecord("x/1", "a", ONE),
        RawRecord("x/3", "b", b"", fault=Fault("the sample holds no member that is a picture")),
    ]
    assert learned["passed_over"] == 4 + 3  # loose files; samples 2, 4 and 5
    named, _ = read(tmp_path, source("x.tar", Label(image_column="JPG", column="cls")))
    assert {record.fault for record in named} == {Fault("the sample holds no member jpg")}


def test_several_pictures_in_a_sample(tmp_path: Path) -> None:
    tar(
        tmp_path / "x.tar",
        [("1.jpg", ONE), ("1.seg.png", TWO), ("1.cls", b"a"), ("2.jpg", THREE), ("2.seg.png", TWO), ("2.cls", b"a")],
    )
    assert [record.data for record in read(tmp_path, "x.tar")[0]] == [ONE, THREE]
    seen = look(source("x.tar"), Place(tmp_path, tmp_path / "downloads"))
    assert seen.source.label.image_column == "jpg"
    named, _ = read(tmp_path, source("x.tar", Label(image_column="seg.png")))
    assert [record.data for record in named] == [TWO, TWO]
    tar(
        tmp_path / "y.tar",
        [("1.left.jpg", ONE), ("1.right.jpg", TWO), ("1.cls", b"a"), ("2.top.jpg", ONE), ("2.low.jpg", ONE), ("2.cls", b"a")],
    )
    refused(tmp_path, "y.tar", "left.jpg", "source.label.image_column")


def test_keys_with_dots(tmp_path: Path) -> None:
    tar(
        tmp_path / "x.tar",
        [
            (f"v1.0/{name}.{end}", data)
            for n, name in enumerate(["img.000", "img.001", "pic.002"])
            for end, data in (("png", picture(n)), ("cls", b"a"))
        ],
    )
    found, _ = read(tmp_path, "x.tar")
    assert [record.source_id for record in found] == ["x/v1.0/img.000", "x/v1.0/img.001", "x/v1.0/pic.002"]
    seen = look(source("x.tar"), Place(tmp_path, tmp_path / "downloads"))
    assert seen.source.options == {"key": "last_dot"}
    assert any("last dot" in line for line in seen.said)
    assert read(tmp_path, seen.source)[0] == found
    refused(tmp_path, source("x.tar", key="first_dot"), "several pictures")


def test_brace_patterns_over_http_in_their_order(tmp_path: Path) -> None:
    with Server() as server:
        for number in range(8, 12):
            server.put(f"/set/train-{number:06d}.tar", shard(tmp_path / "made.tar", number * 3).read_bytes())
        seen = look(source(server.url("/set/train-{000008..000011}.tar")), Place(tmp_path, tmp_path / "downloads"))
        assert [len(page.requests) for page in server.pages.values()] == [1, 0, 0, 0]
        assert seen.classes is None
        assert any(line.startswith("4 shards") for line in seen.said)
        found, learned = read(tmp_path, seen.source)
        assert [len(page.requests) for page in server.pages.values()] == [1, 1, 1, 1]
    assert [record.source_id for record in found[:4]] == [f"train-000008/{24 + n:04d}" for n in range(3)] + [
        "train-000009/0027"
    ]
    assert [record.data for record in found] == [picture(n) for n in range(24, 36)]
    again, learned_again = read(tmp_path, seen.source)  # the server is gone
    assert (again, learned_again) == (found, learned)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_packed_and_empty_shards(tmp_path: Path, mode: str) -> None:
    tar(tmp_path / "x-0.tar", [("1.png", ONE), ("1.cls", b"a")], mode)
    tar(tmp_path / "x-1.tar", [], mode)
    tar(tmp_path / "x-2.tar", [("1.png", TWO), ("1.cls", b"b")], mode)
    found, _ = read(tmp_path, "x-?.tar")
    assert found == [RawRecord("x-0/1", "a", ONE), RawRecord("x-2/1", "b", TWO)]
    refused(tmp_path, "x-1.tar", "no picture")


def test_a_secret_in_a_locator_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIET_TOKEN", "hush-hush")
    with Server() as server:
        locator = server.url("/a-{0..1}.tar?sig=${QUIET_TOKEN}")
        server.put("/a-0.tar", shard(tmp_path / "made.tar", 0).read_bytes())
        with pytest.raises(ValueError, match="404") as caught:
            read(tmp_path, locator)
    assert "a-1.tar" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_shards_whose_names_are_equal(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 0)):
        shard(tmp_path / name / "x.tar", first, 1)
    assert [r.source_id for r in read(tmp_path, "{b,a}/x.tar")[0]] == ["000000-x/0000", "000001-x/0000"]
    refused(tmp_path, "{a,a}/x.tar", "twice")


def test_a_key_that_comes_again(tmp_path: Path) -> None:
    sample = [("1.png", ONE), ("1.cls", b"a")]
    tar(tmp_path / "x.tar", [*sample, ("1#2.png", TWO), ("1#2.cls", b"a"), *sample, ("2.png", ONE), ("2.cls", b"a"), *sample])
    assert [record.source_id for record in read(tmp_path, "x.tar")[0]] == ["x/1", "x/1#2", "x/1#3", "x/2", "x/1#4"]
    tar(tmp_path / "x.tar", [*sample, *sample])
    refused(tmp_path, "x.tar", "x.tar", "two members 'png'")


def test_samples_that_are_torn_apart_are_refused_not_lost(tmp_path: Path) -> None:
    tar(tmp_path / "x.tar", [("1.cls", b"a"), ("2.cls", b"b"), ("1.png", ONE), ("2.png", TWO)])
    refused(tmp_path, source("x.tar", Label(column="cls")), "x.tar", "do not follow one another")


@pytest.mark.parametrize("packed", [False, True])
def test_a_cut_shard_is_named_wherever_it_is_cut(tmp_path: Path, packed: bool) -> None:
    whole = shard(tmp_path / "a-0.tar", 0, 4).read_bytes()
    body = gzip.compress(whole, mtime=0) if packed else whole
    end = len(body) if packed else 4 * 4 * 512  # behind it are end marks alone
    name = "a-1.tar.gz" if packed else "a-1.tar"
    (tmp_path / name).write_bytes(body)
    assert len(read(tmp_path, name)[0]) == 4
    for cut in [*range(0, end, 97 if packed else 256), end - 1]:
        (tmp_path / name).write_bytes(body[:cut])
        refused(tmp_path, f"{{a-0.tar,{name}}}", name)


def test_garbage_between_members_is_no_end(tmp_path: Path) -> None:
    path = shard(tmp_path / "x.tar", 0, 4)
    data = bytearray(path.read_bytes())
    data[2048:2560] = b"\x55" * 512  # the header of the second sample
    path.write_bytes(data)
    refused(tmp_path, "x.tar", "x.tar")
    path.write_bytes(shard(tmp_path / "y.tar", 0).read_bytes() + shard(tmp_path / "z.tar", 3).read_bytes())
    refused(tmp_path, "x.tar", "behind its end mark")


def test_a_reader_that_loses_a_sample_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard(tmp_path / "x.tar", 0)
    whole = webdataset.tariterators.group_by_keys
    monkeypatch.setattr(webdataset.tariterators, "group_by_keys", lambda files, **options: islice(whole(files, **options), 2))
    refused(tmp_path, source("x.tar", Label(column="cls")), "x.tar", "2 of the 3 samples")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_shard(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, data in (("1.png", ONE), ("1.cls", b"a")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("2.png")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    refused(tmp_path, "x.tar", "x.tar", "2.png", "link")


@pytest.mark.parametrize("name", ["/etc/1.png", "../1.png", "a/../../1.png"])
def test_names_that_leave_their_folder(tmp_path: Path, name: str) -> None:
    tar(tmp_path / "x.tar", [(name, ONE), ("1.cls", b"a")])
    refused(tmp_path, "x.tar", "would leave its folder")


def test_no_pickle_is_ever_loaded(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.write_text, (tmp_path / "owned", "x")

    bomb = pickle.dumps(Bomb())
    pickle.loads(bomb)
    (tmp_path / "owned").unlink()  # it works
    members = [("1.png", ONE), *((f"1.{end}", bomb) for end in ("pyd", "pth", "pickle", "pkl", "npy")), ("1.cls", b"a")]
    tar(tmp_path / "x.tar", members)
    assert read(tmp_path, "x.tar")[0] == [RawRecord("x/1", "a", ONE)]
    refused(tmp_path, source("x.tar", Label(column="pyd")), "no UTF-8 text")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "locator", ["pipe:touch owned", " PIPE:touch owned", "{pipe:touch owned,x.tar}", "pipe:cat {0..2}.tar"]
)
def test_commands_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locator: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"source\.locator"):
        source(locator)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["pipe:touch owned", "a::b.tar", "-", "http:x.tar", "x;touch owned;.tar", "a${HOME}.tar", "-{1}"]
)
def test_files_whose_names_mean_something_to_webdataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    shard(tmp_path / name, 0)
    found, _ = read(tmp_path, "?*" if "$" in name or ":" in name else name)
    assert [record.data for record in found] == [picture(n) for n in range(3)]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_environment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard(tmp_path / "x.tar", 0)
    shard(tmp_path / "other.tar", 100)
    before = read(tmp_path, "x.tar")
    for name, value in {
        "GOPEN_REWRITE": f"{tmp_path}/x.tar={tmp_path}/other.tar",
        "GOPEN_VERBOSE": "x",
        "WDS_CACHE": str(tmp_path / "nowhere"),
        "WDS_CACHE_SIZE": "x",
        "RANK": "1",
        "WORLD_SIZE": "4",
        "WORKER": "1",
        "NUM_WORKERS": "4",
    }.items():
        monkeypatch.setenv(name, value)
    assert read(tmp_path, "x.tar") == before


BAD = {
    "json that is none": ({"json": b"{"}, "json:label", "not valid JSON"),
    "json of a list": ({"json": b"[1]"}, "json:label", "no object"),
    "a deep json": ({"json": b"[" * 100_000}, "json:label", "not valid JSON"),
    "a list of labels": ({"json": b'{"label": ["a", "b"]}'}, "json:label", "a list"),
    "a label that is no text": ({"cls": b"\xff\xfe\x00"}, "cls", "UTF-8"),
    "a label too large": ({"cls": b"x" * 100_000}, "cls", "more than the limit"),
    "nothing that says the class": ({"npy": b"x"}, None, "source.label.column"),
}


@pytest.mark.parametrize("case", BAD)
def test_labels_that_are_none(tmp_path: Path, case: str) -> None:
    files, column, words = BAD[case]
    tar(tmp_path / "x.tar", [("k.png", ONE), *((f"k.{suffix}", data) for suffix, data in files.items())])
    refused(tmp_path, source("x.tar", Label(column=column)), "x.tar", words)


def test_bounds(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", [("1.png", bytes(2000)), ("1.cls", b"a")])
    with pytest.raises(ValueError, match="sample '1': png holds 2000 bytes"):
        summarise(path, Split(), lambda _: True, Bounds(picture_bytes=1000))
    assert summarise(path, Split(), "cls".__eq__, Bounds(picture_bytes=1000)).wanted == 1
    with pytest.raises(ValueError, match="more than 1 members"):
        summarise(path, Split(), lambda _: True, Bounds(members=1))
    packed = tmp_path / "y.tar.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ValueError, match="bomb"):
        summarise(packed, Split(), lambda _: True, Bounds(ratio=2, ratio_floor=100))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Source(kind="webdataset", locator="x.tar", options={"shuffle": 1}), "options"),
        (Source(kind="webdataset", locator="x.tar", options={"key": "middle"}), "first_dot"),
        (Source(kind="webdataset", locator="x.tar", label=Label(layout="table")), "folders"),
        (Source(kind="webdataset", locator="x.tar", label=Label(layout="folders", column="cls")), "exclude"),
        (Source(kind="webdataset", locator="x.tar", label=Label(column="xml:label")), "json:FIELD"),
        (Source(kind="webdataset", locator="x-{0..9999999}.tar"), "more than"),
        (Source(kind="webdataset", locator="x-{0..9{a,b}}.tar"), "nested"),
        (Source(kind="webdataset", locator="gopher://x/{0..9}.tar"), "source.locator"),
    ],
)
def test_what_a_card_cannot_ask_for(wanted: Source, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check(wanted)


def test_shards_that_are_not_there(tmp_path: Path) -> None:
    shard(tmp_path / "x-0.tar", 0)
    refused(tmp_path, "x-{0..1}.tar", "x-1.tar")
    refused(tmp_path, "y-*.tar", "no file fits")
    (tmp_path / "z.tar").write_bytes(b"PK\x03\x04 a zip" * 100)
    refused(tmp_path, "z.tar", "z.tar", "expected a tar")


def test_the_checksum_of_several_shards(tmp_path: Path) -> None:
    shard(tmp_path / "x-0.tar", 0)
    shard(tmp_path / "x-1.tar", 3)
    _, learned = read(tmp_path, "x-{0..1}.tar")
    pinned = source("x-{0..1}.tar").model_copy(update={"checksum": learned["checksum"]})
    assert len(read(tmp_path, pinned)[0]) == 6
    shard(tmp_path / "x-1.tar", 6)
    refused(tmp_path, pinned, "expected sha256:")


DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real image sets are not on this machine")
@pytest.mark.parametrize("name", ["trashnet.zip", "sign_digits.zip"])
def test_a_real_set_as_shards_gives_what_its_archive_gives(tmp_path: Path, name: str) -> None:
    place = Place(DATA, tmp_path / "downloads")
    whole = list(archive.records(Source(kind="archive", locator=name), place))
    with webdataset.ShardWriter(f"{tmp_path}/train-%06d.tar", maxcount=100, verbose=0) as writer:
        for number, record in enumerate(whole):
            suffix = Path(record.source_id).suffix[1:].lower()
            writer.write({"__key__": f"{number:06d}", suffix: record.data, "txt": record.label})
    last = (len(whole) - 1) // 100
    found, _ = read(tmp_path, f"train-{{000000..{last:06d}}}.tar")
    assert [(record.label, record.data) for record in found] == [(record.label, record.data) for record in whole]


@given(st.integers(0, 99_999), st.integers(0, 40), st.integers(1, 7))
def test_a_span_is_as_a_shell_has_it(low: int, more: int, width: int) -> None:
    ends = f"{low:0{width}d}", f"{low + more:0{width}d}"
    found = list(expand(f"a-{{{ends[0]}..{ends[1]}}}.tar"))
    size = max(map(len, ends)) if any(len(end) > 1 and end[0] == "0" for end in ends) else 1
    assert found == [f"a-{number:0{size}d}.tar" for number in range(low, low + more + 1)]
    assert list(expand(f"a-{{{ends[1]}..{ends[0]}}}.tar")) == found[::-1]


def test_patterns() -> None:
    assert list(expand("{a,b}/{1..2}")) == ["a/1", "a/2", "b/1", "b/2"]
    assert list(expand("s3://${BUCKET}/{x}-{a,}.tar?v=${KEY}")) == [
        "s3://${BUCKET}/{x}-a.tar?v=${KEY}",
        "s3://${BUCKET}/{x}-.tar?v=${KEY}",
    ]
