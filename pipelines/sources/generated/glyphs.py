"""Printed characters, set slightly askew in any of the fonts that matplotlib carries (DejaVu, STIX, Computer Modern)."""

from functools import cache
from pathlib import Path
from string import ascii_uppercase

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pipelines.sources.generated.canvas import blend, ground, to_pixels, two_colours
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 64
FAMILIES = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmb10", "cmmi10", "cmr10", "cmss10", "cmti10", "cmtt10")
GREEK = {"Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ"}
SMALL = "abdefghkmnqrty"  # those that differ from their capitals by more than size

CHARACTERS = {
    **{f"capital_{c}": c for c in ascii_uppercase},
    **{f"small_{c}": c for c in SMALL},
    **{f"greek_{name}": c for name, c in GREEK.items()},
    "ampersand": "&",
}


@cache
def _fonts(character: str) -> tuple[str, ...]:
    """Files of the fonts that have the character."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = sorted(p for p in folder.glob("*.ttf") if p.stem.startswith(FAMILIES) and "Display" not in p.stem)
    return tuple(str(p) for p in files if ord(character) in _characters(str(p)))


@cache
def _characters(font: str) -> frozenset[int]:
    return frozenset(FT2Font(font).get_charmap())


@cache
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """One character, uint8 (64, 64, 3)."""
    character = list(CHARACTERS.values())[position]
    files = _fonts(character)
    font = _font(files[int(rng.integers(len(files)))], int(rng.integers(68, 101)))
    mask = Image.new("L", (2 * SIDE, 2 * SIDE))
    centre = tuple(SIDE + rng.uniform(-9, 9, 2))
    pen = ImageDraw.Draw(mask)
    left, top, right, bottom = pen.textbbox((0, 0), character, font=font)
    pen.text((centre[0] - (left + right) / 2, centre[1] - (top + bottom) / 2), character, fill=255, font=font)
    turned = mask.rotate(rng.uniform(-14, 14), Image.Resampling.BICUBIC)
    soft = turned.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5))).resize((SIDE, SIDE), Image.Resampling.BOX)
    ink, paper = two_colours(rng)
    return to_pixels(blend(ground(rng, SIDE, paper), ink, np.asarray(soft) / 255.0))


DOMAIN = Domain(2, tuple(CHARACTERS), draw, "png", line_like=True)
