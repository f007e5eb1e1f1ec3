"""What zips and packed tars may hold beside the usual: zip64, odd names, several streams, headers that contradict, greed."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import look, pack, read, stream, tar_bytes

from pipelines.cards import Label
from pipelines.sources.texts import Index, Texts

FILES = [(f"c{n % 2}/{n}.png", random.Random(n).randbytes(200)) for n in range(8)]
ENTRY, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def refused(path: Path, message: str) -> None:
    """Reading fails in one line that names the file."""
    for label in (Label(), Label(layout="folders")):
        with pytest.raises(ValueError, match=message) as caught:
            read(path, label)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)


def zipped(folder: Path) -> bytearray:
    return bytearray(pack(folder / "x.zip", FILES).read_bytes())


def test_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read(pack(tmp_path / "x.zip", FILES))[0]
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    path = pack(tmp_path / "x.zip", FILES)
    assert b"PK\x06\x06" in path.read_bytes()
    assert read(path)[0] == plain
    path.write_bytes(b"junk before it " * 9 + path.read_bytes())
    assert read(path)[0] == plain


def test_a_zip_behind_a_program_and_before_a_comment(tmp_path: Path) -> None:
    data = zipped(tmp_path)
    plain = read(tmp_path / "x.zip")[0]
    data[-2:] = struct.pack("<H", 300)
    (tmp_path / "x.zip").write_bytes(b"MZ" + bytes(5000) + bytes(data) + bytes(300))
    assert read(tmp_path / "x.zip")[0] == plain


def test_a_zip_that_lost_its_start(tmp_path: Path) -> None:
    data = zipped(tmp_path)
    (tmp_path / "x.zip").write_bytes(b"PK" + data[100:])
    refused(tmp_path / "x.zip", "its directory points outside")


def test_one_part_of_a_split_zip(tmp_path: Path) -> None:
    data = zipped(tmp_path)
    data[data.rindex(END) + 4] = 1
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", "one part of a split zip; join the parts first")


def test_members_that_overlap(tmp_path: Path) -> None:
    """Two entries that share one content, as the zip bombs of D. Fifield do."""
    data = bytes(pack(tmp_path / "x.zip", FILES[:1]).read_bytes())
    entry, end = data.index(ENTRY), data.index(END)
    doubled = data[:entry] + 2 * data[entry:end] + data[end:]
    numbers = struct.pack("<2H2L", 2, 2, 2 * (end - entry), entry)
    (tmp_path / "x.zip").write_bytes(doubled[:-14] + numbers + doubled[-2:])
    refused(tmp_path / "x.zip", "its members overlap, as in a bomb; refusing the archive")


@pytest.mark.parametrize(("place", "value"), [(6, 1), (8, 9), (30, ord("z"))])
def test_a_local_header_that_contradicts_the_directory(tmp_path: Path, place: int, value: int) -> None:
    """Encrypted, another method, another name."""
    data = zipped(tmp_path)
    data[data.index(LOCAL) + place] = value
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", "is another than the directory says")


def test_a_count_of_entries_that_is_wrong(tmp_path: Path) -> None:
    data = zipped(tmp_path)
    data[data.rindex(END) + 10] += 1
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", "holds 8 entries, 9 expected")


LONG = "n" * 300
ODD = [f"cl\nass/{LONG}.png", f"{LONG}/b.png", "\x1b[31m/c.png", "klasse ä/\u202e.png", "a b'\"/d.png"]


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_odd_names_are_kept(tmp_path: Path, name: str) -> None:
    found = read(pack(tmp_path / name, [(odd, odd.encode()) for odd in ODD]))[0]
    assert [(r.source_id, r.label, r.data.decode()) for r in found] == [(odd, odd.split("/")[0], odd) for odd in ODD]


def test_odd_names_are_escaped_in_messages(tmp_path: Path) -> None:
    refused(pack(tmp_path / "x.tar", [("a\n\x1b[31m/../b.png", b"x")]), r"member 'a\\n\\x1b\[31m/\.\./b\.png' would leave")


def test_names_in_a_zip_that_are_no_text(tmp_path: Path) -> None:
    data = pack(tmp_path / "x.zip", [("aXX/b\u00e4.png", b"1")]).read_bytes()
    (tmp_path / "x.zip").write_bytes(data.replace(b"aXX", b"a\xff\xfe"))
    assert [(r.source_id, r.label) for r in read(tmp_path / "x.zip")[0]] == [("a\ufffd\ufffd/bä.png", "a\ufffd\ufffd")]
    data = pack(tmp_path / "x.zip", [("aXX/b.png", b"1")]).read_bytes()
    (tmp_path / "x.zip").write_bytes(data.replace(b"aXX", b"a\x84\x81"))
    assert read(tmp_path / "x.zip")[0][0].label == "aäü", "code page 437, as zip says"


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_several_streams_are_one_content(tmp_path: Path, kind: str) -> None:
    plain = tar_bytes(FILES)
    path = tmp_path / f"x.tar.{kind}"
    parts = [PACKERS[kind](plain[start : start + 1000]) for start in range(0, len(plain), 1000)]
    path.write_bytes(b"".join(parts))
    assert [r.data for r in read(path)[0]] == [data for _, data in FILES]
    if kind in ("gz", "xz"):  # zeros may fill up a block of a tape
        path.write_bytes(b"".join(part + bytes(-len(part) % 4 + 8) for part in parts) + bytes(1 << 19))
        assert [r.data for r in read(path)[0]] == [data for _, data in FILES]
    path.write_bytes(b"".join(parts[:-1]) + parts[-1][:-3])
    refused(path, "damaged or cut short")
    path.write_bytes(b"".join(parts) + b"something else behind it")
    refused(path, "damaged or cut short")


def test_an_xz_dictionary_that_would_fill_the_memory(tmp_path: Path) -> None:
    data = bytearray(lzma.compress(tar_bytes(FILES)))
    block = data[12 : 12 + 4 * (data[12] + 1)]
    block[4] = 36  # 1 GiB
    block[-4:] = struct.pack("<L", zlib.crc32(block[:-4]))
    data[12 : 12 + len(block)] = block
    (tmp_path / "x.tar.xz").write_bytes(data)
    refused(tmp_path / "x.tar.xz", "asks for more memory to unpack than is given")


def test_a_zstd_window_that_would_fill_the_memory(tmp_path: Path) -> None:
    plain = tar_bytes(FILES[:2])
    blocks = b"".join(
        struct.pack("<L", len(part) << 3 | (start + 10_000 >= len(plain)))[:3] + part
        for start in range(0, len(plain), 10_000)
        for part in [plain[start : start + 10_000]]
    )
    for exponent, fits in ((10, True), (20, False)):  # windows of 1 MiB and 1 GiB
        (tmp_path / "x.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd\0" + bytes([exponent << 3]) + blocks)
        if fits:
            assert len(read(tmp_path / "x.tar.zst")[0]) == 2
        else:
            refused(tmp_path / "x.tar.zst", "asks for more memory to unpack than is given")


def peak_of(path: Path, label: Label) -> int:
    """Bytes at the peak of reading, record by record."""
    tracemalloc.start()
    for _ in stream(path, label):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_memory_of_a_member(tmp_path: Path, name: str) -> None:
    peaks = {}
    for count in (200, 4_000, 16_000):
        path = pack(tmp_path / name, [(f"class_{n % 50:03d}/image_{n:08d}.png", b"") for n in range(count)])
        peaks[count] = peak_of(path, Label(layout="folders"))
    assert (peaks[16_000] - peaks[4_000]) / 12_000 < 100


def test_texts() -> None:
    words = ["", "a", "ä", "a" * 300, "\ud800", "b"]
    texts, index = Texts(), Index()
    for word in words:
        texts.append(word)
    assert list(texts) == words
    many = [f"{n}" for n in range(5000)]
    assert [index.place(word) for word in many] == list(range(5000))
    assert [index.place(word) for word in many] == list(range(5000))
    assert [index.find(word) for word in (*many[:3], "no", "")] == [0, 1, 2, -1, -1]
    assert index[4999] == "4999"


def test_look_at_a_table_of_a_packed_tar(tmp_path: Path) -> None:
    files = [("p/1.png", b"1"), ("p/2.png", b"22"), ("p/labels.csv", b"file,label\n1.png,x\n2.png,x\n3.png,y\n")]
    found = look(pack(tmp_path / "x.tar.zst", files))
    assert (found.classes, found.bytes) == ({"x": 2, "y": 1}, 3)


class OneWay(io.BytesIO):
    """A pipe: what is written cannot be mended, so zipfile puts the sizes behind each content."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise io.UnsupportedOperation

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation


letters = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:."), min_size=1, max_size=9)
members = st.lists(st.tuples(letters, letters, st.binary(max_size=300), st.booleans()), min_size=1, max_size=12)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=100, deadline=None)
@given(members=members, one_way=st.booleans(), comment=st.binary(max_size=40))
def test_whatever_zipfile_writes(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, str, bytes, bool]], one_way: bool, comment: bytes
) -> None:
    buffer = OneWay() if one_way else io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = comment.replace(b"PK", b"")
        for folder, name, data, packed in members:
            method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}.png"), data, method)
    path = tmp_path_factory.mktemp("zip") / "x.zip"
    path.write_bytes(buffer.getvalue())
    found = read(path)[0]
    assert [(r.source_id.partition(".png#")[0].removesuffix(".png"), r.label, r.data) for r in found] == [
        (f"{folder}/{name}", folder, data) for folder, name, data, _ in members
    ]
    assert len({record.source_id for record in found}) == len(found)


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_dialects_of_tar(tmp_path: Path, dialect: int) -> None:
    name = f"{'f' * 90}/{'n' * 90}.png" if dialect == tarfile.USTAR_FORMAT else f"{'f' * 300}/ä{'n' * 300}.png"
    with tarfile.open(tmp_path / "x.tar", "w", format=dialect) as archive:
        folder = tarfile.TarInfo(name.split("/")[0])
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        info = tarfile.TarInfo(name)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    assert [record[:3] for record in read(tmp_path / "x.tar")[0]] == [(name, name.split("/")[0], b"abc")]
