"""Take out of a JPEG or PNG file what tells about people (EXIF, XMP, comments, trailing data), the coded pixels untouched."""

import re
import struct

_JPEG_PAUSE = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a marker that ends a run of coded pixels
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that the pixels depend on; tRNS is absent from opaque pictures, the rest are texts, times and EXIF.
_PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT")


def without_metadata(data: bytes, kind: str) -> bytes | None:
    """The file less its metadata, the same bytes where it has none; None where its structure is not plain.

    `kind` is JPEG or PNG.
    """
    try:
        return _bare_jpeg(data) if kind == "JPEG" else _bare_png(data)
    except (struct.error, IndexError):
        return None


def _bare_jpeg(data: bytes) -> bytes | None:
    if data[:2] != b"\xff\xd8":
        return None
    parts, at = [b"\xff\xd8"], 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xD9:
            return b"".join([*parts, b"\xff\xd9"])
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if _jpeg_kept(marker, data[at + 4 : end]):
            parts.append(data[at:end])
        if marker == 0xDA:
            pause = _JPEG_PAUSE.search(data, end)
            if pause is None:
                return None
            parts.append(data[end : pause.start()])
            end = pause.start()
        at = end
    return None


def _jpeg_kept(marker: int, body: bytes) -> bool:
    """Whether a segment says how to read the pixels: all but comments and application blocks, of these JFIF, ICC and Adobe."""
    if marker == 0xE0:
        return body.startswith(b"JFIF\0")
    if marker == 0xE2:
        return body.startswith(b"ICC_PROFILE\0")
    if marker == 0xEE:
        return body.startswith(b"Adobe")
    return not (marker == 0xFE or 0xE0 <= marker <= 0xEF)


def _bare_png(data: bytes) -> bytes | None:
    if not data.startswith(_PNG_SIGNATURE):
        return None
    parts, at = [_PNG_SIGNATURE], len(_PNG_SIGNATURE)
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        name, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            return None
        if name in _PNG_KEPT:
            parts.append(data[at:end])
        if name == b"IEND":
            return b"".join(parts)
        at = end
