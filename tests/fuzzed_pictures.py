"""Small pictures in every format and odd mode, whole and damaged."""

import io
from functools import lru_cache
from random import Random
from typing import Any

from fuzzed_bytes import damaged, head_damaged
from PIL import Image

SIDE = 20
RECIPES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("jpg", "JPEG", "RGB", {}),
    ("jpg", "JPEG", "RGB", {"progressive": True, "quality": 60}),
    ("jpeg", "JPEG", "CMYK", {}),
    ("jpg", "JPEG", "L", {"exif": True}),
    ("jpg", "MPO", "RGB", {"save_all": True}),
    ("png", "PNG", "RGB", {}),
    ("png", "PNG", "RGBA", {"exif": True}),
    ("png", "PNG", "P", {"transparency": 3}),
    ("png", "PNG", "I;16", {}),
    ("png", "PNG", "1", {}),
    ("png", "PNG", "LA", {}),
    ("png", "PNG", "RGB", {"save_all": True}),
    ("gif", "GIF", "P", {"save_all": True}),
    ("webp", "WEBP", "RGBA", {"lossless": True}),
    ("webp", "WEBP", "RGB", {"save_all": True}),
    ("webp", "WEBP", "RGB", {"exif": True}),
    ("bmp", "BMP", "RGB", {}),
    ("bmp", "BMP", "P", {}),
    ("bmp", "BMP", "1", {}),
    ("tiff", "TIFF", "RGB", {}),
    ("tif", "TIFF", "RGB", {"compression": "tiff_lzw", "save_all": True}),
    ("tif", "TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    ("tif", "TIFF", "1", {"compression": "group4"}),
    ("tif", "TIFF", "YCbCr", {"compression": "jpeg"}),
    ("tif", "TIFF", "F", {}),
    ("tif", "TIFF", "I;16", {}),
    ("tif", "TIFF", "CMYK", {"compression": "packbits"}),
    ("ppm", "PPM", "RGB", {}),
    ("pgm", "PPM", "L", {}),
)


@lru_cache(maxsize=512)
def picture(recipe: int, number: int) -> tuple[str, bytes]:
    """Suffix and bytes of a whole picture; those with other numbers differ."""
    suffix, form, mode, options = RECIPES[recipe]
    rng = Random(1000 * recipe + number)
    base = Image.frombytes("RGBA", (SIDE, SIDE + number % 3), rng.randbytes(4 * SIDE * (SIDE + number % 3)))
    image = base.convert("L").convert(mode) if mode in ("I;16", "F", "1") else base.convert("RGB").convert(mode)
    if mode in ("RGBA", "LA"):
        image = base.convert(mode)
    options = dict(options)
    if options.pop("exif", False):
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8
        exif[0x010F] = "a maker"
        options["exif"] = exif
    if options.get("save_all"):
        options["append_images"] = [image.rotate(90), image.rotate(180)]
    out = io.BytesIO()
    image.save(out, form, **options)
    return suffix, out.getvalue()


def whole(rng: Random) -> tuple[str, bytes]:
    """Any whole picture; the cheap formats come more often."""
    return picture(rng.choice((0, 5, 5, 12, 16, rng.randrange(len(RECIPES)))), rng.randrange(12))


def broken(rng: Random) -> tuple[str, bytes]:
    """A damaged picture, perhaps under another's suffix."""
    suffix, data = picture(rng.randrange(len(RECIPES)), rng.randrange(12))
    data = head_damaged(rng, data) if rng.random() < 0.4 else damaged(rng, data)
    if rng.random() < 0.1:
        suffix = RECIPES[rng.randrange(len(RECIPES))][0]
    return suffix, data
