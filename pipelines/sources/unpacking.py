"""Packed streams (gzip, bzip2, xz, zstd), unpacked in bounded pieces as they are read."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, cast

import pyarrow as pa

from pipelines.sources.members import Refused

BLOCK = 1 << 18
XZ_MEMORY = 256 << 20  # of a dictionary; a bomb of dictionary size is refused
PACKINGS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


def packing_of(head: bytes) -> str | None:
    """How a file that starts with these bytes is packed."""
    return next((name for magic, name in PACKINGS.items() if head.startswith(magic)), None)


def open_packed(path: Path, packing: str) -> IO[bytes]:
    """The unpacked content, to be read forwards; damage raises what the libraries of `members.DAMAGE` do.

    Several packed streams in one file, as parallel packers write, are one content. zstd windows are bounded by the library
    (128 MiB), xz dictionaries by XZ_MEMORY.
    """
    raw: Any = _Zstd(path) if packing == "zstd" else _Streams(path, MAKERS[packing])
    return cast(IO[bytes], io.BufferedReader(raw, BLOCK))


@contextmanager
def _greed_in_words(path: Path) -> Iterator[None]:
    """Refuse a stream that asks for too much memory, in words."""
    try:
        yield
    except (lzma.LZMAError, OSError) as error:
        if "memory" not in str(error).lower():
            raise
        raise Refused(f"{path}: asks for more memory to unpack than is given; pack it again with a smaller window") from None


class Unpacker(Protocol):
    """What bz2 and lzma offer."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gunzip:
    """zlib behind the interface of bz2 and lzma."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._unpacker.eof

    @property
    def needs_input(self) -> bool:
        return not self._unpacker.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._unpacker.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._unpacker.decompress(data or self._unpacker.unconsumed_tail, max_length)


MAKERS: dict[str, Callable[[], Unpacker]] = {
    "gzip": _Gunzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY),
}


class _Streams(io.RawIOBase):
    """One packed stream after the other."""

    def __init__(self, path: Path, new: Callable[[], Unpacker]) -> None:
        self._path = path
        self._handle = path.open("rb", BLOCK)
        self._new = new
        self._unpacker = new()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _greed_in_words(self._path):
            data = self._some(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._handle.close()
        super().close()

    def _some(self, size: int) -> bytes:
        """At least a byte and at most `size`; none at the end."""
        while True:
            block = b""
            if self._unpacker.eof:
                block = self._next_stream(self._unpacker.unused_data)
                if not block:
                    return b""
                self._unpacker = self._new()
            elif self._unpacker.needs_input:
                block = self._handle.read(BLOCK)
            data = self._unpacker.decompress(block, size)
            if data:
                return data
            if not block and not self._unpacker.eof and self._unpacker.needs_input:
                raise EOFError("its packed stream ends early")

    def _next_stream(self, rest: bytes) -> bytes:
        """The first bytes of the next stream, without the zeros that may fill the space before; none at the end."""
        while not (rest := rest.lstrip(b"\0")):
            rest = self._handle.read(BLOCK)
            if not rest:
                return b""
        return rest


class _Zstd(io.RawIOBase):
    """Arrow's zstd stream as a file that io.BufferedReader takes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _greed_in_words(self._path):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
