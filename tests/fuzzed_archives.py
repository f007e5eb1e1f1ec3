"""Archives of odd members, with headers that lie and bytes that are damaged."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pyarrow as pa
from fuzzed_bytes import NUMBERS, damaged
from fuzzed_pictures import broken, whole

PACKINGS = ("", "gz", "bz2", "xz", "zst")
ODD_NAMES = (
    *("../evil.png", "a/../../evil.png", "..\\evil.png", "{root}/evil.png", "/{root}/evil.png", "C:\\evil.png", "C:evil.png"),
    *("//host/evil.png", "a/" + "n" * 300 + ".png", "/".join("d" * 400) + ".png", "a//b.png", "./a/b.png", "a/./b.png"),
    *("a/ .png", "a/b.png ", "a/b.png.", "a/b.png\n", "a\nb/c.png", "a\0b/c.png", "a/\x1b[31mc.png", "a/\u202egnp.exe.png"),
    *(
        "a/caf\u00e9.png",
        "a/cafe\u0301.png",
        "A/B.PNG",
        "a/b.PNG",
        "\udcff\udcfe/\udc80.png",
        "a/\udcff.png",
        "",
        "/",
        ".",
        "..",
    ),
    *("a/", ".png", "a/.png", "a/.hidden.png", "__MACOSX/a/._b.png", ".git/b.png", "a/b.jpg.png", "a/b.zip", "a/b.tar.gz"),
    *("labels.csv", "info.json", "a/b.html", "a/b.py", "CON/NUL.png", "a:b/c.png", "a|b?*/c.png", "~/b.png", "${HOME}/b.png"),
    *("$(touch evil)/b.png", "-rf/b.png", "a#2/b.png", "0/0.png", "0/0.png#2", "Thumbs.db", "a/b.npy", "a/b.pkl"),
)
ZIP_FIELDS = {  # signature of each header, offsets of its fields of 2, 4 and 8 bytes
    b"PK\x01\x02": ((4, 6, 8, 10, 28, 30, 32, 34), (16, 20, 24, 38, 42), ()),
    b"PK\x03\x04": ((4, 6, 8, 26, 28), (14, 18, 22), ()),
    b"PK\x05\x06": ((4, 6, 8, 10, 20), (12, 16), ()),
    b"PK\x06\x06": ((), (16, 20), (4, 24, 32, 40, 48)),
    b"PK\x06\x07": ((), (4, 16), (8,)),
}
TAR_TYPES = (
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
    tarfile.DIRTYPE,
    *(bytes([c]) for c in b"SKLxgVZ"),
)
PAX_KEYS = (
    "path",
    "size",
    "linkpath",
    "GNU.sparse.map",
    "GNU.sparse.major",
    "GNU.sparse.realsize",
    "GNU.sparse.name",
    "mtime",
    "x",
)
PAX_VALUES = ("../evil.png", "-1", "99999999999999999999", "0,5,1", "nan", "1", "BINARY", "a\nb", "\u202e")
TAR_FIELDS = (
    (0, 100),
    (100, 8),
    (108, 8),
    (124, 12),
    (136, 12),
    (148, 8),
    (156, 1),
    (157, 100),
    (257, 6),
    (263, 2),
    (329, 8),
    (345, 155),
)
Members = list[tuple[str, bytes]]


def odd_members(rng: Random, root: Path) -> Members:
    """Pictures of two or three classes, among them broken ones, and members under names that nobody should use."""
    members: Members = []
    for number in range(rng.randrange(3, 8)):
        suffix, data = broken(rng) if rng.random() < 0.3 else whole(rng)
        members.append((f"class{number % 3}/{number}.{suffix}", data))
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        name = rng.choice(ODD_NAMES).replace("{root}", root.as_posix())
        members.insert(rng.randrange(len(members) + 1), (name, rng.choice((b"", whole(rng)[1], b"MZ\x90", broken(rng)[1]))))
    if rng.random() < 0.15:
        members.append(rng.choice(members))
    if rng.random() < 0.05:
        members.append(("class0/inner.zip", zipped(members, rng)))
    if rng.random() < 0.005:
        members.append(("class0/bomb.png", bytes(70 << 20)))
    return members


def archive_case(rng: Random, root: Path) -> bytes:
    """The bytes of an archive."""
    members = odd_members(rng, root)
    if rng.random() < 0.45:
        data = zipped(members, rng)
        if rng.random() < 0.6:
            data = _zip_lies(rng, data)
    else:
        data = tarred(members, rng)
        if rng.random() < 0.5:
            data = lying_tar(rng, data)
        elif rng.random() < 0.3:
            data = damaged(rng, data)
        data = packed(data, rng.choice(PACKINGS))
        if rng.random() < 0.1:
            data += rng.choice((data, b"\0" * 100, b"garbage", packed(b"", "gz")))
    return damaged(rng, data) if rng.random() < 0.4 else data


def plain_archive(rng: Random, members: Mapping[str, bytes]) -> bytes:
    """An undamaged archive of any kind."""
    listed = list(members.items())
    return zipped(listed, rng) if rng.random() < 0.6 else packed(tarred(listed, rng, odd=False), rng.choice(PACKINGS))


def packed(data: bytes, packing: str) -> bytes:
    """The bytes as a stream of this kind; plain for ""."""
    if packing == "zst":
        return pa.compress(data, codec="zstd", asbytes=True)  # type: ignore[no-any-return]
    if packing == "gz":
        return gzip.compress(data, 1, mtime=0)
    if packing == "bz2":
        return bz2.compress(data, 1)
    return lzma.compress(data, preset=0) if packing == "xz" else data


def zipped(members: Members, rng: Random) -> bytes:
    """A zip; names that are no text are written as raw bytes."""
    out = io.BytesIO()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    method = rng.choice(methods) if rng.random() < 0.4 else zipfile.ZIP_DEFLATED
    raw_names: list[tuple[bytes, bytes]] = []
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            plain = name.encode("utf-8", "surrogateescape")
            stand_in = name.replace("\0", "_").encode("ascii", "replace").decode() if "\0" in name or _odd(name) else name
            if stand_in != name and len(plain) == len(stand_in):
                raw_names.append((stand_in.encode(), plain))
            info = zipfile.ZipInfo(stand_in, (2020, 1, 1, 0, 0, 0))
            info.compress_type = method
            if rng.random() < 0.03:
                info.create_system, info.external_attr = 3, rng.choice((0o120777, 0o060666, 0o040755, 0o010644)) << 16
            with archive.open(info, "w", force_zip64=rng.random() < 0.05) as member:
                member.write(data)
        if rng.random() < 0.05:
            archive.comment = b"PK\x05\x06" + bytes(30)
    data = out.getvalue()
    for stand_in_bytes, plain in raw_names:
        data = data.replace(stand_in_bytes, plain)
    return b"#!/bin/sh\n" * 20 + data if rng.random() < 0.02 else data


def _odd(name: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in name)


def _zip_lies(rng: Random, data: bytes) -> bytes:
    """One to three header fields with another value; the encrypted bit is among them."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        signature = rng.choice((b"PK\x01\x02", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"))
        places = [found.start() for found in re.finditer(re.escape(signature), changed)]
        if not places:
            continue
        offset, size = rng.choice([(at, 2 << n) for n, places in enumerate(ZIP_FIELDS[signature]) for at in places])
        at = rng.choice(places) + offset
        if at + size > len(changed):
            continue
        old = int.from_bytes(changed[at : at + size], "little")
        new = rng.choice((*NUMBERS, old + 1, old - 1, old ^ 1, old ^ 8, old ^ 0x800, old * 2, 12, 14, 93, 95, 99))
        changed[at : at + size] = (new % (1 << (8 * size))).to_bytes(size, "little")
    return bytes(changed)


def tarred(members: Members, rng: Random, odd: bool = True) -> bytes:
    """A tar in any of the formats; `odd`: with links, devices and records of other kinds."""
    out = io.BytesIO()
    form = rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if odd and rng.random() < 0.05:
                info.type = rng.choice(TAR_TYPES)
                info.linkname = rng.choice(("../../etc/passwd", "class0/0.png", "/etc/passwd", name))
            if odd and form == tarfile.PAX_FORMAT and rng.random() < 0.1:
                info.pax_headers = {rng.choice(PAX_KEYS): rng.choice(PAX_VALUES)}
            try:
                tar.addfile(info, io.BytesIO(data))
            except ValueError:
                continue  # a name that this format cannot hold
    return out.getvalue()


def lying_tar(rng: Random, data: bytes) -> bytes:
    """One or two header fields with another value, as a rule under a checksum that fits."""
    changed = bytearray(data)
    headers = [at for at in range(0, len(changed) - 511, 512) if changed[at + 257 : at + 262] == b"ustar"]
    for at in rng.sample(headers, min(len(headers), rng.choice((1, 1, 2)))):
        offset, size = rng.choice(TAR_FIELDS)
        number = rng.choice((*NUMBERS, 512, 1024, 70 << 20))
        octal = b"%0*o\0" % (max(1, size - 1), number)
        binary = b"\x80" + number.to_bytes(max(8, size - 1), "big")[-max(1, size - 1) :]
        negative = b"\xff" * (size - 2) + b"\xfe\0"
        field = rng.choice(
            (octal, binary, negative, rng.randbytes(size), b"\0" * size, b" " * size, b"9" * size, b"../evil.png\0", b"12x\0")
        )
        changed[at + offset : at + offset + size] = field[:size].ljust(size, b"\0")
        if rng.random() < 0.85:
            changed[at + 148 : at + 156] = b" " * 8
            changed[at + 148 : at + 156] = b"%06o\0 " % sum(changed[at : at + 512])
    return bytes(changed)
