"""Taking EXIF, texts and trailing data out of files without touching the coded pixels."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipelines.images import decode, encode_for_shard
from pipelines.metadata import without_metadata

SECRET = b"52 degrees north"


def picture(mode: str = "RGB") -> Image.Image:
    noise_HWC = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    return Image.fromarray(noise_HWC).convert(mode)


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    picture(str(options.pop("mode", "RGB"))).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def png(**options: object) -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", **options)
    return buffer.getvalue()


def tell_tale() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    return exif.tobytes()


def texts() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("place", SECRET.decode())
    info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    return info


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("extra", [{"exif": tell_tale()}, {"comment": SECRET}, {"xmp": SECRET}])
def test_jpeg_loses_its_metadata_and_keeps_its_pixels(extra: dict[str, bytes], progressive: bool) -> None:
    data = jpeg(progressive=progressive, **extra) + b"trailing " + SECRET
    bare = without_metadata(data, "JPEG")
    assert SECRET in data
    assert bare is not None
    assert SECRET not in bare
    assert bare == jpeg(progressive=progressive)
    assert decode(bare, 10**6).image.tobytes() == decode(data, 10**6).image.tobytes()


@pytest.mark.parametrize("extra", [{"pnginfo": texts()}, {"exif": tell_tale()}])
def test_png_loses_its_metadata_and_keeps_its_pixels(extra: dict[str, object]) -> None:
    data = png(**extra) + SECRET
    bare = without_metadata(data, "PNG")
    assert bare == png()


def test_what_the_pixels_need_stays() -> None:
    coded = jpeg(mode="CMYK", icc_profile=b"a profile", restart_marker_blocks=1)
    assert without_metadata(coded, "JPEG") == coded
    assert without_metadata(png(icc_profile=b"a profile"), "PNG") == png(icc_profile=b"a profile")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_strange_structure_is_left_to_the_coder(kind: str) -> None:
    sound = jpeg() if kind == "JPEG" else png()
    for end in range(0, len(sound) - 1, 7):
        assert without_metadata(sound[:end], kind) is None


def test_shards_hold_no_metadata() -> None:
    for data in (jpeg(exif=tell_tale(), xmp=SECRET, comment=SECRET), png(pnginfo=texts(), exif=tell_tale())):
        for side in (16, 64):
            assert SECRET not in encode_for_shard(data, decode(data, 10**6), side, 10**6)[1]
