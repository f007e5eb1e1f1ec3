"""Decoding untrusted pictures and coding them for shards."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.images import UPRIGHT, Decoded, Unreadable, decode, encode_for_shard

LIMIT = 1_000_000
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")


def coloured(width: int = 40, height: int = 24) -> Image.Image:
    """A picture that no turn maps on itself: red grows to the right, green downwards, a blue corner."""
    pixels_HWC = np.zeros((height, width, 3), np.uint8)
    pixels_HWC[..., 0] = np.linspace(0, 255, width)
    pixels_HWC[..., 1] = np.linspace(0, 255, height)[:, None]
    pixels_HWC[: height // 4, : width // 4, 2] = 255
    return Image.fromarray(pixels_HWC)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def reopened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_decodes_to_rgb(kind: str) -> None:
    decoded = decode(encoded(coloured(), kind), LIMIT)
    assert (decoded.format, decoded.width, decoded.height) == (kind, 40, 24)
    assert decoded.image.mode == "RGB"
    assert decoded.exif_orientation == 1
    assert not decoded.transparent
    assert np.abs(pixels(decoded.image) - pixels(coloured())).mean() < 12


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_modes_of_png(mode: str) -> None:
    source = (
        coloured().convert("L").convert("I").point(lambda v: v * 257).convert("I;16")
        if mode == "I;16"
        else coloured().convert(mode)
    )
    decoded = decode(encoded(source, "PNG"), LIMIT)
    assert decoded.mode == mode
    assert decoded.image.mode == "RGB"
    assert decoded.grey == (mode in ("1", "L", "LA", "I;16"))
    wanted = coloured().convert("L") if mode == "I;16" else source
    assert np.abs(pixels(decoded.image) - pixels(wanted.convert("RGB"))).max() <= 1


@pytest.mark.parametrize(
    ("mode", "values"), [("F", [0.0, 0.5, 1.0]), ("F", [0.0, 127.5, 255.0]), ("F", [-3.0, 0.0, 3.0]), ("I", [-9, 0, 9])]
)
def test_deep_pictures_are_scaled(mode: str, values: list[float]) -> None:
    array = np.tile(np.array(values, np.float32 if mode == "F" else np.int32), (3, 1))
    decoded = decode(encoded(Image.fromarray(array), "TIFF"), LIMIT)
    assert decoded.mode == mode
    assert pixels(decoded.image)[0, :, 0].tolist() in ([0, 127, 255], [0, 128, 255])


def test_not_a_number_is_no_obstacle() -> None:
    array = np.array([[np.nan, np.inf, 1.0, 0.0]], np.float32)
    assert pixels(decode(encoded(Image.fromarray(array), "TIFF"), LIMIT).image)[0, :, 0].tolist() == [0, 0, 255, 0]


def test_cmyk_keeps_its_colours() -> None:
    decoded = decode(encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG"), LIMIT)
    assert decoded.mode == "CMYK"
    assert np.abs(pixels(decoded.image)[10, 10] - [255, 0, 0]).max() < 6


def test_transparency_is_laid_on_white_and_reported() -> None:
    source = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    source.putpixel((5, 5), (255, 0, 0, 255))
    decoded = decode(encoded(source, "PNG"), LIMIT)
    assert decoded.transparent
    assert decoded.image.getpixel((0, 0)) == (255, 255, 255)
    assert decoded.image.getpixel((5, 5)) == (255, 0, 0)
    palette = source.convert("P")
    decoded = decode(encoded(palette, "PNG", transparency=palette.getpixel((0, 0))), LIMIT)
    assert (decoded.mode, decoded.transparent) == ("P", True)
    assert decoded.image.getpixel((0, 0)) == (255, 255, 255)


def test_an_alpha_channel_without_transparent_pixels_is_opaque() -> None:
    assert not decode(encoded(coloured().convert("RGBA"), "PNG"), LIMIT).transparent


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone_and_reported(kind: str, orientation: int) -> None:
    back = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    stored = coloured().transpose(back.get(orientation, UPRIGHT[orientation])) if orientation > 1 else coloured()
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encoded(stored, kind, exif=exif.tobytes()), LIMIT)
    assert decoded.exif_orientation == orientation
    assert (decoded.width, decoded.height) == stored.size
    assert decoded.image.size == (40, 24)
    assert np.abs(pixels(decoded.image) - pixels(coloured())).mean() < 6


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    decoded = decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), LIMIT)
    assert decoded.image.getpixel((3, 3)) == (255, 0, 0)


def huge_png(side: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello, I am text", "not a picture of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture of a known format"),
        (huge_png(1001), "more than 1000000 pixels: 1001 x 1001"),
        (huge_png(60_000), "more than 1000000 pixels"),
        (encoded(coloured(400, 400), "JPEG")[:-3000], "truncated file"),
        (encoded(coloured(), "PNG")[:-40], "truncated file"),
    ],
)
def test_reasons_in_plain_words(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(data, LIMIT)
    assert str(caught.value) == reason


SOUND = [encoded(coloured(), kind) for kind in FORMATS] + [
    encoded(coloured().convert("P"), "PNG"),
    encoded(coloured().convert("CMYK"), "JPEG", progressive=True),
    encoded(coloured(), "TIFF", compression="tiff_lzw"),
    encoded(coloured().convert("RGBA"), "WEBP", lossless=True),
]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=400, deadline=None)
@given(
    data=st.sampled_from(SOUND),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=8),
    end=st.none() | st.integers(0, 4000),
)
def test_damage_raises_unreadable_and_nothing_else(data: bytes, changes: list[tuple[int, int]], end: int | None) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    try:
        decoded = decode(bytes(damaged[:end]), 100_000)
    except Unreadable:
        return
    assert decoded.image.mode == "RGB"
    assert decoded.image.width * decoded.image.height <= 100_000
    suffix, coded = encode_for_shard(bytes(damaged[:end]), decoded, 128, 100_000)
    assert decode(coded, 100_000).image.size == decoded.image.size
    assert suffix in ("jpg", "png")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_raise_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data, LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_upright_small_files_travel_unchanged(kind: str, mode: str) -> None:
    data = encoded(coloured().convert(mode), kind)
    assert encode_for_shard(data, decode(data, LIMIT), 64, LIMIT) == ("jpg" if kind == "JPEG" else "png", data)


def shard_picture(data: bytes, image_side: int = 32) -> tuple[str, Image.Image, Decoded]:
    decoded = decode(data, LIMIT)
    suffix, coded = encode_for_shard(data, decoded, image_side, LIMIT)
    assert (suffix, coded) == encode_for_shard(data, decode(data, LIMIT), image_side, LIMIT), "not deterministic"
    return suffix, reopened(coded), decoded


@pytest.mark.parametrize(
    ("kind", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "png"), ("TIFF", "png"), ("GIF", "png")]
)
def test_long_pictures_are_scaled_down(kind: str, suffix: str) -> None:
    got, image, _ = shard_picture(encoded(coloured(200, 100), kind))
    assert (got, image.size, image.mode) == (suffix, (32, 16), "RGB")
    wanted = coloured(200, 100).resize((32, 16), Image.Resampling.LANCZOS)
    assert np.abs(pixels(image) - pixels(wanted)).mean() < 12


def test_a_line_of_pixels_keeps_a_pixel_of_width() -> None:
    assert shard_picture(encoded(coloured(400, 1), "PNG"))[1].size == (32, 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_stays_grey(mode: str) -> None:
    source = Image.fromarray(np.zeros((90, 90), np.uint16)) if mode == "I;16" else coloured(90, 90).convert(mode)
    assert shard_picture(encoded(source, "PNG"))[1].mode == "L"


def test_transparent_pictures_are_opaque_in_shards() -> None:
    _, image, _ = shard_picture(encoded(Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "PNG"))
    assert image.mode == "RGB"
    assert image.getpixel((1, 1)) == (255, 255, 255)


def test_turned_pictures_are_upright_in_shards() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    _, image, decoded = shard_picture(encoded(coloured(), "JPEG", exif=exif.tobytes()), 64)
    assert image.size == decoded.image.size == (24, 40)
    assert not image.getexif()
    assert np.abs(pixels(image) - pixels(decoded.image)).mean() < 4


def test_nothing_of_the_sources_metadata_is_coded_again() -> None:
    data = encoded(coloured(90, 90), "PNG", icc_profile=b"a profile", transparency=(1, 2, 3))
    assert shard_picture(data)[1].info.keys() <= {"dpi"}


def test_a_long_jpeg_may_come_smaller_and_says_its_own_size() -> None:
    image = Image.effect_mandelbrot((640, 480), (-2, -1.5, 1, 1.5), 80).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    whole, small = decode(buffer.getvalue(), LIMIT * 100), decode(buffer.getvalue(), LIMIT * 100, 128)
    assert (small.width, small.height) == (whole.width, whole.height) == (640, 480)
    assert small.image.size == (160, 120)
    assert decode(buffer.getvalue(), LIMIT * 100, 320).image.size == (320, 240)
    assert decode(buffer.getvalue(), LIMIT * 100, 321).image.size == (640, 480)
    with pytest.raises(Unreadable, match="truncated"):
        decode(buffer.getvalue()[:-400], LIMIT * 100, 128)
    png = io.BytesIO()
    image.save(png, "PNG")
    assert decode(png.getvalue(), LIMIT * 100, 128).image.size == (640, 480), "only JPEG can"
