"""What dirt does to one picture: copies that are not quite equal, files that cannot be read, modes that surprise a reader."""

import numpy as np
from numpy.random import Generator
from PIL import Image

from pipelines.sources.generated.canvas import grid
from pipelines.sources.generated.domain import Domain, Pixels, encode, extension, save

POOR_QUALITY = 40
UNREADABLE = ("truncated", "noise", "empty", "text", "header_only")
EXIF_ORIENTATION = 0x0112
UNTURNED = {  # orientation: what a camera held that way would have stored
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def odd_modes(domain: Domain) -> tuple[str, ...]:
    """Modes that the domain's pictures survive; two levels only where the subject is line-like."""
    return (
        ("L", "P", "RGBA", "LA", "CMYK", "I;16", "EXIF", "1")
        if domain.line_like
        else ("L", "P", "RGBA", "LA", "CMYK", "I;16", "EXIF")
    )


def resized(pixels: Pixels, encoding: str, rng: Generator) -> tuple[bytes, str]:
    """The picture scaled down to 60 to 90 % or up to 115 to 170 %: file and its name's ending."""
    ratio = rng.uniform(0.6, 0.9) if rng.uniform() < 0.5 else rng.uniform(1.15, 1.7)
    side = round(pixels.shape[0] * ratio)
    scaled = Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
    return save(scaled, encoding), extension(encoding)


def mirrored(pixels: Pixels, encoding: str) -> tuple[bytes, str]:
    """The picture with left and right exchanged: file and its name's ending."""
    return encode(np.ascontiguousarray(pixels[:, ::-1]), encoding), extension(encoding)


def reencoded(pixels: Pixels, encoding: str, rng: Generator) -> tuple[bytes, str]:
    """The picture as a poor JPEG, or a JPEG's pixels in the other format: file and its name's ending."""
    if encoding == "jpeg" and rng.uniform() < 0.5:
        return encode(pixels, "png"), "png"
    return encode(pixels, "jpeg", POOR_QUALITY), "jpg"


def unreadable(pixels: Pixels, encoding: str, way: str, rng: Generator) -> bytes:
    """A file that no reader accepts, in one of the ways of UNREADABLE."""
    whole = encode(pixels, encoding)
    if way == "truncated":
        return whole[: int(len(whole) * rng.uniform(0.3, 0.7))]
    if way == "noise":
        return rng.bytes(int(rng.integers(500, 3000)))
    if way == "empty":
        return b""
    if way == "text":
        return b"<html><body><h1>404 Not Found</h1></body></html>\n"
    return whole[:24] + bytes(400)


def in_mode(pixels: Pixels, mode: str, rng: Generator) -> tuple[bytes, str]:
    """The same picture stored in another mode (`EXIF`: turned, with the tag that turns it back): file and its name's ending."""
    image = Image.fromarray(pixels)
    grey = image.convert("L")
    if mode == "CMYK":
        return save(image.convert("CMYK"), "jpeg"), "jpg"
    if mode == "EXIF":
        orientation = int(rng.choice(list(UNTURNED)))
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        return save(image.transpose(UNTURNED[orientation]), "jpeg", exif=exif), "jpg"
    if mode == "1":
        plane = np.asarray(grey)
        middle = (int(plane.min()) + int(plane.max())) // 2
        return save(Image.fromarray(plane > middle), "png"), "png"
    if mode == "I;16":
        return save(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "png"), "png"
    if mode == "P":
        return save(image.quantize(64), "png"), "png"
    if mode in ("RGBA", "LA"):
        odd = image.convert(mode)
        odd.putalpha(_vignette(pixels.shape[0]))
        return save(odd, "png"), "png"
    return save(grey, "png"), "png"


def _vignette(side: int) -> Image.Image:
    """An alpha plane: opaque but for the outermost corners."""
    x, y = grid(side)
    return Image.fromarray((np.clip((1.38 - np.hypot(x, y)) / 0.12, 0, 1) * 255).astype(np.uint8))
