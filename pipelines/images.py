"""One encoded picture: to upright RGB pixels, and to the bytes that go into a shard. Pictures are untrusted input."""

import io
import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipelines.metadata import without_metadata

# The decoders that people's collections need; the rest of Pillow's (fonts, PDF, PostScript, ...) stay shut.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM")
JPEGS = ("JPEG", "MPO")  # MPO is what Pillow calls a JPEG with further pictures behind it
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
JPEG_QUALITY = 95
ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What matters of these ends in the ledger; warnings.catch_warnings would not be safe in threads.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


class Unreadable(ValueError):
    """A file that is no picture we can read; the message says why in plain words."""


@dataclass(frozen=True)
class Decoded:
    """A picture upright in RGB on white, and what the file said about itself."""

    image: Image.Image  # mode RGB, turned as EXIF asks, transparency laid on white
    width: int  # px as stored
    height: int  # px as stored
    mode: str  # as stored
    format: str
    exif_orientation: int  # 1 to 8
    transparent: bool  # any pixel not opaque

    @property
    def grey(self) -> bool:
        """Whether the file stores no colour."""
        return self.mode in GREY_MODES or self.mode.startswith("I;16")


def decode(data: bytes, max_pixels: int, longest: int | None = None) -> Decoded:
    """Read a picture of untrusted origin; of an animation, the first frame.

    With `longest`, a JPEG may come at a half, a quarter or an eighth of its size, its longer side at least so many pixels;
    its damage is found all the same. 16-bit pictures are scaled by the whole range of 16 bits; other deep ones as
    `_to_eight_bits` says.
    Raises Unreadable, and nothing else, if the file is empty, no picture, truncated, damaged or larger than `max_pixels`.
    """
    if not data:
        raise Unreadable("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return _decode(opened, max_pixels, longest)
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("not a picture of a known format") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable(_too_large(max_pixels)) from None
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise Unreadable(_why(error)) from None


def _decode(opened: Image.Image, max_pixels: int, longest: int | None) -> Decoded:
    width, height = opened.size
    if width * height > max_pixels:
        raise Unreadable(f"{_too_large(max_pixels)}: {width} x {height}")
    if width * height == 0:
        raise Unreadable("picture without pixels")
    mode, kind = opened.mode, opened.format or "unknown"
    orientation = _orientation(opened)
    if longest and kind in JPEGS and (factor := max(width, height) // longest) > 1:
        opened.draft(None, (width // factor, height // factor))  # the mode stays
    opened.load()
    if opened.width * opened.height > max_pixels:
        raise Unreadable(_too_large(max_pixels))
    image, transparent = _to_rgb(opened)
    if kind == "TIFF":  # Pillow has turned a TIFF by itself, size included
        width, height = (height, width) if orientation >= 5 else (width, height)
    elif orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    image.info = {}  # profiles, comments and transparency would travel into what is saved
    return Decoded(image, width, height, mode, kind, orientation, transparent)


def _too_large(max_pixels: int) -> str:
    return f"more than {max_pixels} pixels"


def _why(error: Exception) -> str:
    text = " ".join(str(error).split())[:100]
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "truncated file"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    return f"damaged file ({text or type(error).__name__})"


def _orientation(opened: Image.Image) -> int:
    if opened.format in JPEGS and not opened.info.keys() & {"exif", "xmp"}:
        return 1  # asking for what is not there takes as long as the hash of the pixels
    try:
        value = opened.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # a broken EXIF block does not make the pixels unreadable
        return 1
    return value if isinstance(value, int) and value in UPRIGHT else 1


def _to_rgb(image: Image.Image) -> tuple[Image.Image, bool]:
    """RGB on white, and whether any pixel was not opaque."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _to_eight_bits(image).convert("RGB"), False
    if image.mode == "La":
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image.convert("RGB"), False
    layered = image.convert("RGBA")
    alpha = layered.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return layered.convert("RGB"), False
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(layered, mask=alpha)
    return white, True


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16, 32 or float bits as 8: by the range it fits in (16 bits; floats 1 or 255), else from its own low to high."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    ranges = [1.0, 255.0] if image.mode == "F" else [65535.0]
    whole = next((top for top in ranges if low >= 0 and high <= top), None)
    low, high = (0.0, whole) if whole else (low, high)
    scaled = (values - low) * (255.0 / ((high - low) or 1.0))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


class Described(Protocol):
    """What a file says of itself, as `Decoded` and the ledger have it."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def mode(self) -> str: ...

    @property
    def format(self) -> str: ...

    @property
    def exif_orientation(self) -> int: ...

    @property
    def transparent(self) -> bool: ...


def encode_for_shard(data: bytes, known: Described, image_side: int, max_pixels: int) -> tuple[str, bytes]:
    """Suffix ("jpg" or "png") and bytes of a picture as a shard holds it: upright, RGB or L, at most `image_side` px long.

    The source's own coded pixels are kept where they already are so, less blocks that tell about people (EXIF, XMP, comments);
    otherwise the picture is decoded, scaled down and coded again, as JPEG only if it was one. Deterministic.
    `known` is what decoding it has told before.
    """
    lossy = known.format in JPEGS
    suffix = "jpg" if lossy else "png"
    if _fits(known, image_side):
        bare = without_metadata(data, "JPEG" if lossy else "PNG")
        if bare is not None:
            return suffix, bare
    # twice the side is enough for a scaled picture that looks no other than one of all pixels
    decoded = decode(data, max_pixels, 2 * image_side)
    image = decoded.image.convert("L") if decoded.grey else decoded.image
    longest = max(image.size)
    if longest > image_side:
        width, height = (max(1, round(side * image_side / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    if lossy:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)  # small pictures bleed with coarse colour
    else:
        image.save(buffer, "PNG")
    return suffix, buffer.getvalue()


def _fits(decoded: Described, image_side: int) -> bool:
    return (
        decoded.format in (*JPEGS, "PNG")
        and decoded.mode in ("RGB", "L")
        and decoded.exif_orientation == 1
        and not decoded.transparent
        and max(decoded.width, decoded.height) <= image_side
    )
