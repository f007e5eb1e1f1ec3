"""Pictures for made projects: a few kinds that look enough like domains to judge a page by."""

import colorsys
import io

import numpy as np
from PIL import Image, ImageDraw

SIDE = 64  # px


def picture(domain: str, number: int, sample: int) -> Image.Image:
    """A picture of class `number` that looks as if it belonged to its domain."""
    rng = np.random.default_rng([len(domain), ord(domain[0]), number, sample])
    image = Image.new("RGB", (SIDE, SIDE), (248, 247, 243))
    draw = ImageDraw.Draw(image)
    colour = tuple(round(255 * c) for c in colorsys.hsv_to_rgb(rng.uniform() if domain != "digits" else 0, 0.55, 0.75))
    if domain in ("digits", "glyphs"):
        ink = "black" if domain == "glyphs" else (40, 40, 90)
        place = tuple(16 + rng.integers(-6, 7, 2))
        draw.text(place, chr((48 if domain == "digits" else 71) + number), fill=ink, font_size=int(36 + rng.integers(0, 9)))
        return image.rotate(float(rng.uniform(-12, 12)), fillcolor=(248, 247, 243))
    if domain == "shapes":
        radius = int(rng.integers(14, 26))
        middle, turn = 32 + int(rng.integers(-5, 6)), int(rng.integers(0, 90))
        draw.regular_polygon((middle, 32, radius), number + 3, rotation=turn, fill=colour)
        return image
    if domain == "flags":
        for band in range(3):
            part = tuple(round(255 * c) for c in colorsys.hsv_to_rgb((number * 0.13 + band * 0.31) % 1, 0.7, 0.8))
            box = (band * 22, 0, band * 22 + 22, 64) if number % 2 else (0, band * 22, 64, band * 22 + 22)
            draw.rectangle(box, fill=part)
        draw.ellipse((20 + sample, 22, 40 + sample, 42), fill="white")
        return image
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    turn = rng.uniform(0, np.pi)
    wave = np.sin((4 + 3 * number) * (x * np.cos(turn) + y * np.sin(turn)) * 2 + rng.uniform(0, 6)) / 2 + 0.5
    if domain == "fractals":
        wave = ((wave * 255).astype(int) & (x * 255).astype(int) ^ (y * (40 + 30 * number)).astype(int)) % 256 / 255
    grain = 0.8 * wave[..., None] * np.array(colour) + 50 * rng.random((SIDE, SIDE, 1))
    return Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image) -> bytes:
    """The picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
