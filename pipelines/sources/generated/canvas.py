"""Drawing tools of the generators: colours, grounds, anti-aliased masks, noise. Planes are float64 in 0 to 1."""

import colorsys
from collections.abc import Iterable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipelines.sources.generated.domain import Pixels

Floats = NDArray[np.float64]

FINE = 2  # masks are drawn this many times larger and averaged


def to_pixels(image: Floats) -> Pixels:
    """(side, side, 3) in 0 to 1, clipped, to uint8."""
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def grid(side: int, fine: int = 1) -> tuple[Floats, Floats]:
    """x and y of each pixel's centre, -1 to 1, y downwards: two (side * fine, side * fine) planes."""
    axis = (np.arange(side * fine) + 0.5) / (side * fine) * 2 - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def shrink(image: Floats, fine: int = FINE) -> Floats:
    """Average blocks of fine x fine pixels."""
    height, width = image.shape[0] // fine, image.shape[1] // fine
    return np.asarray(image.reshape(height, fine, width, fine, *image.shape[2:]).mean(axis=(1, 3)))


def colour(
    rng: Generator,
    lightness: tuple[float, float],
    saturation: tuple[float, float] = (0.1, 0.9),
    hue: tuple[float, float] = (0.0, 1.0),
) -> Floats:
    """A random RGB colour (3,)."""
    return np.array(colorsys.hls_to_rgb(rng.uniform(*hue), rng.uniform(*lightness), rng.uniform(*saturation)))


def two_colours(rng: Generator) -> tuple[Floats, Floats]:
    """Ink and paper, one clearly darker than the other; most often the ink."""
    dark, light = colour(rng, (0.05, 0.35), (0.1, 0.7)), colour(rng, (0.65, 0.93), (0.1, 0.7))
    return (dark, light) if rng.uniform() < 0.85 else (light, dark)


def ground(rng: Generator, side: int, base: Floats, slope: float = 0.15, grain: float = 0.02) -> Floats:
    """A paper (side, side, 3) of colour `base`, lit from one side, with fine grain."""
    x, y = grid(side)
    angle = rng.uniform(0, 2 * np.pi)
    light = rng.uniform(0, slope) * (x * np.cos(angle) + y * np.sin(angle))
    return np.asarray(base + light[..., None] + rng.normal(0, grain, (side, side, 1)))


def blend(under: Floats, over: Floats, mask: Floats) -> Floats:
    """`over` (a colour or a picture) laid on `under` (side, side, 3) where `mask` (side, side) is 1."""
    return np.asarray(under * (1 - mask[..., None]) + over * mask[..., None])


def polygons(side: int, outlines: Iterable[Floats], holes: Iterable[Floats] = ()) -> Floats:
    """Mask (side, side) of filled outlines, each (points, 2) in -1 to 1, less the holes."""
    mask = Image.new("L", (side * FINE, side * FINE))
    draw = ImageDraw.Draw(mask)
    for points, value in [(o, 255) for o in outlines] + [(h, 0) for h in holes]:
        draw.polygon([tuple(p) for p in _to_fine(points, side)], fill=value)
    return shrink(np.asarray(mask) / 255.0)


def lines(side: int, paths: Iterable[Floats], width: float) -> Floats:
    """Mask (side, side) of open paths, each (points, 2) in -1 to 1, drawn with a round pen of `width` px."""
    mask = Image.new("L", (side * FINE, side * FINE))
    draw = ImageDraw.Draw(mask)
    pen = max(1, round(width * FINE))
    for path in paths:
        points = [tuple(p) for p in _to_fine(path, side)]
        draw.line(points, fill=255, width=pen, joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return shrink(np.asarray(mask) / 255.0)


def _to_fine(points: Floats, side: int) -> list[list[float]]:
    scaled: list[list[float]] = ((points + 1) / 2 * side * FINE - 0.5).tolist()
    return scaled


def rotation(angle: float) -> Floats:
    """The (2, 2) matrix of a turn by `angle` radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def pose(rng: Generator, turn: float, scale: tuple[float, float], stretch: float, shift: float) -> tuple[Floats, Floats]:
    """A random affine pose: matrix (2, 2) and shift (2,). `turn` in radians to either side; `stretch` 0 keeps proportions."""
    axis = rotation(rng.uniform(-np.pi, np.pi))
    ratio = np.exp(rng.uniform(-stretch, stretch) / 2)
    squeeze = axis @ np.diag([ratio, 1 / ratio]) @ axis.T
    matrix = rotation(rng.uniform(-turn, turn)) @ squeeze * rng.uniform(*scale)
    return matrix, rng.uniform(-shift, shift, 2)


def fit(points: Floats) -> Floats:
    """Points (n, 2) moved and scaled, proportions kept, into the square -1 to 1."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.asarray((points - (low + high) / 2) / max(float((high - low).max()) / 2, 1e-9))


def spectral_noise(rng: Generator, side: int, gain: Floats) -> Floats:
    """Noise (side, side) with mean 0 and deviation 1 whose spectrum is white times `gain` (side, side), in fftfreq order."""
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) * gain).real
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-9))


def frequency(side: int) -> tuple[Floats, Floats]:
    """Frequencies in cycles a picture along x and y, in fftfreq order: two (side, side) planes."""
    axis = np.fft.fftfreq(side) * side
    fx, fy = np.meshgrid(axis, axis)
    return fx, fy


def power_noise(rng: Generator, side: int, slope: float) -> Floats:
    """Noise (side, side) with amplitude spectrum 1 / frequency ** slope, mean 0, deviation 1."""
    fx, fy = frequency(side)
    radius = np.hypot(fx, fy)
    radius[0, 0] = np.inf
    return spectral_noise(rng, side, radius**-slope)


def levels(plane: Floats, low: float = 1.0, high: float = 99.0) -> Floats:
    """Stretch so that the given percentiles become 0 and 1, and clip."""
    bottom, top = np.percentile(plane, [low, high])
    return np.asarray(np.clip((plane - bottom) / max(float(top - bottom), 1e-9), 0, 1))
