"""Archives that are damaged, crafted or too large: one line of ValueError each, never another error, never a hang."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.cards import Source
from pipelines.sources.archive import records
from pipelines.sources.members import Bounds
from pipelines.transfer import Place

SMALL = Bounds(picture_bytes=1000, table_bytes=1000, total_bytes=100_000, members=20, ratio=20, ratio_floor=500)
NOISE = random.Random(0).randbytes(4000)


def tar_bytes(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_bytes(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def read(folder: Path, data: bytes, bounds: Bounds | None = None) -> list[bytes]:
    (folder / "x.bin").write_bytes(data)
    source = Source(kind="archive", locator="x.bin")
    return [record.data for record in records(source, Place(folder, folder / "downloads"), bounds)]


def refused(folder: Path, data: bytes, message: str, bounds: Bounds | None = None) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(folder, data, bounds)
    assert "x.bin" in str(caught.value)
    assert "\n" not in str(caught.value)


GOOD_TAR = [(tarfile.TarInfo(f"c{n % 2}/{n}.png"), NOISE[n * 150 :][:150]) for n in range(6)]
WHOLE = {
    "zip": zip_bytes([(info.name, data) for info, data in GOOD_TAR]),
    "tar": tar_bytes(GOOD_TAR),
    "gz": gzip.compress(tar_bytes(GOOD_TAR), mtime=0),
    "bz2": bz2.compress(tar_bytes(GOOD_TAR)),
    "xz": lzma.compress(tar_bytes(GOOD_TAR)),
    "zst": pa.compress(tar_bytes(GOOD_TAR), codec="zstd", asbytes=True),
}
CONTENT = sorted(data for _, data in GOOD_TAR)


@pytest.mark.parametrize("kind", WHOLE)
def test_whole(tmp_path: Path, kind: str) -> None:
    assert sorted(read(tmp_path, WHOLE[kind])) == CONTENT


@pytest.mark.parametrize("name", ["c0/notes.txt", "c0/0.png"])
@pytest.mark.parametrize("size", [1 << 63, 1 << 64, 1 << 80])
def test_a_tar_member_of_impossible_size(tmp_path: Path, name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    refused(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + WHOLE["tar"], "refusing the archive|damaged")


UNSAFE = ["/etc/x.png", "../x.png", "a/../../x.png", "C:\\x\\y.png", "c:x.png", "a\\..\\x.png", "\\\\server\\x.png"]


@pytest.mark.parametrize("name", UNSAFE)
def test_member_that_would_leave_its_folder(tmp_path: Path, name: str) -> None:
    good = ("a/good.png", b"x")
    refused(tmp_path, zip_bytes([good, (name, b"x")]), "would leave its folder; refusing")
    refused(tmp_path, tar_bytes([(tarfile.TarInfo(n), d) for n, d in (good, (name, b"x"))]), "would leave its folder; refusing")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE]
)
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("a/link.png")
    info.type = kind
    info.linkname = "a/b.png"
    refused(tmp_path, tar_bytes([(tarfile.TarInfo("a/b.png"), b"x"), (info, b"")]), "refusing|damaged")


def test_link_in_a_zip(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a/link.png")
        info.create_system = 3
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path, buffer.getvalue(), "is a link or a device")


def test_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([("a/b.png", b"x")]))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(tmp_path, bytes(data), "is encrypted; pack the archive again without a password")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound(tmp_path: Path, method: int) -> None:
    refused(tmp_path, zip_bytes([("a/b.png", b"x" * 100)], method), "expected stored or deflate")


def test_picture_too_large(tmp_path: Path) -> None:
    refused(tmp_path, zip_bytes([("a/b.png", NOISE[:1001])]), "1001 bytes, more than the limit of 1000", SMALL)
    refused(tmp_path, tar_bytes([(tarfile.TarInfo("a/b.png"), NOISE[:1001])]), "more than the limit of 1000", SMALL)


def test_bombs(tmp_path: Path) -> None:
    refused(tmp_path, zip_bytes([("a/b.png", bytes(1000))]), "as a bomb does; refusing", SMALL)
    many = [(f"a/{n}.bin", bytes(100_000)) for n in range(3)]
    refused(tmp_path, zip_bytes(many), "as a bomb does; refusing", SMALL)
    plain = tar_bytes([(tarfile.TarInfo("a/b.bin"), bytes(1_000_000))])
    for packed in (gzip.compress(plain), bz2.compress(plain), lzma.compress(plain), pa.compress(plain, "zstd", asbytes=True)):
        refused(tmp_path, packed, "as a bomb does; refusing", SMALL)
    refused(tmp_path, tar_bytes([(tarfile.TarInfo("a/b.bin"), bytes(200_000))]), "as a bomb does; refusing", SMALL)
    after = tar_bytes(GOOD_TAR) + bytes(1_000_000)
    refused(tmp_path, gzip.compress(after), "as a bomb does; refusing", SMALL)


def test_a_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([("a/b.png", bytes(50_000_000))]))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 10)
    tracemalloc.start()
    refused(tmp_path, bytes(data), "damaged or cut short")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_too_many_members(tmp_path: Path) -> None:
    members = [(f"a/{n}.png", b"x") for n in range(21)]
    refused(tmp_path, zip_bytes(members), "more than 20 members", SMALL)
    refused(tmp_path, tar_bytes([(tarfile.TarInfo(name), data) for name, data in members]), "more than 20 members", SMALL)


def with_size(info: tarfile.TarInfo, size: int) -> bytes:
    """A header whose size, negative, is written in base 256."""
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = size.to_bytes(12, "big", signed=True)
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


@pytest.mark.parametrize("name", ["a/b.png", "a/b.bin"])
@pytest.mark.parametrize("size", [-512, -1024, -(1 << 40)])
def test_tar_header_that_points_backwards(tmp_path: Path, name: str, size: int) -> None:
    """At -512 tarfile reads the same header for ever; so did its own headers in Pythons of this age (CVE-2025-8194)."""
    block = with_size(tarfile.TarInfo(name), size)
    end = bytes(1024)
    refused(tmp_path, block + end, "refusing|damaged")
    refused(tmp_path, tar_bytes(GOOD_TAR)[:1024] + block + end, "refusing|damaged")
    extended = tarfile.TarInfo("././@PaxHeader")
    extended.type = tarfile.XHDTYPE
    refused(tmp_path, tar_bytes(GOOD_TAR)[:1024] + with_size(extended, size) + end, "refusing|damaged")


def test_tar_header_of_gigabytes(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = 5 << 30
    refused(tmp_path, gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000)), "damaged or cut short")


def test_chain_of_extended_headers(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type = tarfile.GNUTYPE_LONGNAME
    refused(tmp_path, info.tobuf(tarfile.GNU_FORMAT) * 5000 + bytes(1024), "damaged or cut short")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"no archive at all " * 100, "expected a zip or a tar .*, found none of them"),
        (gzip.compress(b"no tar " * 1000, mtime=0), "found a single file packed by gzip; unpack it first"),
        (bz2.compress(b"no tar " * 1000), "found a single file packed by bzip2; unpack it first"),
        (b"BZh91AY", "damaged or cut short"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "expected a zip or a tar .*, found 7z"),
        (b"PK\x05\x06" + bytes(18), "no picture with a class"),
        (b"PK\x03\x04", "damaged or cut short"),
        (bytes(10240), "no picture with a class"),
    ],
    ids=["empty", "text", "gzip", "bzip2", "short bzip2", "7z", "empty zip", "cut zip", "empty tar"],
)
def test_what_is_no_archive(tmp_path: Path, data: bytes, message: str) -> None:
    refused(tmp_path, data, message)


def test_wrong_sum_inside(tmp_path: Path) -> None:
    stored = zip_bytes([("a/b.png", NOISE[:100])], zipfile.ZIP_STORED)
    broken = stored.replace(NOISE[:100], NOISE[:99] + bytes([NOISE[99] ^ 1]))
    refused(tmp_path, broken, "damaged or cut short .*CRC")
    packed = bytearray(WHOLE["gz"])
    packed[-6] ^= 1
    refused(tmp_path, bytes(packed), "damaged or cut short .*incorrect data check")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a\udcff/b\udcfe.png")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        archive.addfile(info, io.BytesIO())
    (tmp_path / "x.bin").write_bytes(buffer.getvalue())
    (record,) = records(Source(kind="archive", locator="x.bin"), Place(tmp_path, tmp_path))
    assert record.source_id.encode() == "a\ufffd/b\ufffd.png".encode()


def whole_or_refused(folder: Path, data: bytes) -> list[bytes] | None:
    """The content of an archive, None if it is refused as it should be."""
    message = None
    try:
        return sorted(read(folder, data))
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
    assert "x.bin" in message
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage")


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(WHOLE)), share=st.floats(0, 1, exclude_max=True))
def test_a_cut_archive_never_loses_a_record_silently(folder: Path, kind: str, share: float) -> None:
    whole = WHOLE[kind]
    assert whole_or_refused(folder, whole[: int(share * len(whole))]) in (None, CONTENT)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4),
)
def test_flipped_bytes_raise_nothing_but_valueerror(folder: Path, kind: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(WHOLE[kind])
    for share, mask in flips:
        data[int(share * len(data))] ^= mask
    found = whole_or_refused(folder, bytes(data))
    assert found is None or len(found) <= len(CONTENT)
