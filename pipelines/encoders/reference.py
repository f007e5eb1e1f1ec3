"""The fixed procedural reference set: what every fitted part of the encoder is fitted on, so that no domain ever shapes it.

A generic mix of pictures with the statistics of natural ones (occlusion, 1/f spectra), of drawings and of shaded forms,
all painted straight into arrays from one numpy Generator.
"""

from collections.abc import Callable

import numpy as np

from pipelines.encoders.arrays import F32, U8

Painter = Callable[[np.random.Generator, int], F32]


def _grid(side: int) -> tuple[F32, F32]:
    """Row and column coordinates, both [side, side] in -1 to 1."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    return rows, columns


def _colour(rng: np.random.Generator) -> F32:
    """One RGB colour in 0-1: half of them near grey, since pictures are less colourful than the cube."""
    colour = rng.random(3)
    return np.asarray(colour if rng.random() < 0.5 else colour.mean() + 0.2 * (colour - colour.mean()), dtype=np.float32)


def _soft(distance: F32, width: float) -> F32:
    """1 inside (distance < 0), 0 outside, with an edge of `width`."""
    return np.asarray(np.clip(0.5 - distance / max(width, 1e-3), 0, 1), dtype=np.float32)


def _noise(rng: np.random.Generator, side: int, exponent: float) -> F32:
    """Noise [side, side] with the amplitude spectrum 1/f^exponent, mean 0, deviation 1 (Field 1987)."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    frequency[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) / frequency**exponent
    spectrum[0, 0] = 0.0
    field = np.fft.ifft2(spectrum).real
    return np.asarray(field / (field.std() + 1e-9), dtype=np.float32)


def _disc_distance(rng: np.random.Generator, side: int, radius: float) -> F32:
    """Signed distance [side, side] to a random ellipse with about this radius (in half-sides)."""
    rows, columns = _grid(side)
    centre = rng.uniform(-1.1, 1.1, 2)
    angle, squash = rng.uniform(0, np.pi), rng.uniform(0.4, 1.0)
    y, x = rows - centre[0], columns - centre[1]
    u, v = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    return np.asarray(np.hypot(u, v / squash) - radius, dtype=np.float32)


def _polygon_distance(rng: np.random.Generator, side: int, radius: float) -> F32:
    """Signed distance (to the lines of the sides) [side, side] to a random convex polygon with about this inner radius."""
    rows, columns = _grid(side)
    centre = rng.uniform(-1.1, 1.1, 2)
    corners = int(rng.integers(3, 8))
    angles = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) / corners + rng.uniform(0, 2 * np.pi)
    sides = [
        (columns - centre[1]) * np.cos(a) + (rows - centre[0]) * np.sin(a) - radius * rng.uniform(0.6, 1.2) for a in angles
    ]
    return np.asarray(np.max(sides, axis=0), dtype=np.float32)


def dead_leaves(rng: np.random.Generator, side: int) -> F32:
    """Opaque shapes over each other with a power law of sizes (Lee, Mumford & Huang 2001); some are textured."""
    image = np.ones((side, side, 3), np.float32) * _colour(rng)
    for _ in range(int(rng.integers(15, 60))):
        radius = 0.07 * (1 - rng.random()) ** -0.7
        shape = _polygon_distance if rng.random() < 0.4 else _disc_distance
        cover = _soft(shape(rng, side, min(radius, 0.9)), 2.5 / side)[..., None]
        texture = 0.08 * _noise(rng, side, 1.0)[..., None] if rng.random() < 0.3 else 0.0
        image = image * (1 - cover) + (_colour(rng) + texture) * cover
    return image


def coloured_noise(rng: np.random.Generator, side: int) -> F32:
    """1/f noise, one field for the lightness and two weaker ones for colour."""
    exponent = rng.uniform(0.5, 2.0)
    light, red, blue = (_noise(rng, side, exponent)[..., None] for _ in range(3))
    tint = rng.uniform(0, 0.15)
    return np.asarray(
        _colour(rng) + rng.uniform(0.05, 0.25) * light + tint * (red * [1, 0, -1] + blue * [0.5, -1, 0.5]), np.float32
    )


def gratings(rng: np.random.Generator, side: int) -> F32:
    """One to three sinusoidal or square gratings, each under a Gaussian window or over the whole picture."""
    rows, columns = _grid(side)
    image = np.ones((side, side, 3), np.float32) * _colour(rng)
    for _ in range(int(rng.integers(1, 4))):
        angle, frequency, phase = rng.uniform(0, np.pi), rng.uniform(1, side / 6), rng.uniform(0, 2 * np.pi)
        wave = np.sin(np.pi * frequency * (np.cos(angle) * columns + np.sin(angle) * rows) + phase)
        wave = np.clip(wave * rng.choice([1.0, 6.0]), -1, 1)
        window = np.exp(-(((rows - rng.uniform(-1, 1)) ** 2 + (columns - rng.uniform(-1, 1)) ** 2) / rng.uniform(0.1, 4.0)))
        image = image + (wave * window)[..., None] * (_colour(rng) - 0.5) * rng.uniform(0.3, 1.0)
    return np.asarray(image, np.float32)


def strokes(rng: np.random.Generator, side: int) -> F32:
    """Smooth pen strokes (quadratic curves) of one or two colours on a plain ground: dark on light as often as the reverse."""
    rows, columns = _grid(side)
    ground = np.clip(rng.choice([0.0, 1.0]) + rng.normal(0, 0.08, 3) * rng.choice([0.0, 1.0, 3.0]), 0, 1)
    image = np.ones((side, side, 3), np.float32) * ground.astype(np.float32)
    pens = [np.clip(1 - ground + rng.normal(0, 0.2, 3), 0, 1), _colour(rng)]
    times = np.linspace(0, 1, 24)[:, None]
    for _ in range(int(rng.integers(1, 8))):
        first, middle, last = rng.uniform(-0.9, 0.9, (3, 2))
        points = (1 - times) ** 2 * first + 2 * times * (1 - times) * middle + times**2 * last
        squared = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
        cover = _soft(np.sqrt(squared.min(axis=-1)) - rng.uniform(0.02, 0.1), 2.5 / side)[..., None]
        image = image * (1 - cover) + pens[int(rng.random() < 0.2)] * cover
    return np.asarray(image, np.float32)


def forms(rng: np.random.Generator, side: int) -> F32:
    """A few shaded forms on a graded ground: the soft edges, highlights and shadows of photographed things."""
    rows, columns = _grid(side)
    slope = rng.normal(0, 0.25, 2)
    image = _colour(rng) + (slope[0] * rows + slope[1] * columns)[..., None] * rng.uniform(0, 1)
    for _ in range(int(rng.integers(1, 5))):
        shape = _polygon_distance if rng.random() < 0.5 else _disc_distance
        distance = shape(rng, side, rng.uniform(0.15, 0.8))
        cover = _soft(distance, rng.choice([2.5, 2.5, 8.0]) / side)[..., None]
        light = rng.normal(0, 0.4, 2)
        shade = (light[0] * rows + light[1] * columns - 0.3 * rng.random() * np.clip(distance, -1, 0))[..., None]
        grain = rng.choice([0.0, 0.05]) * _noise(rng, side, 1.0)[..., None]
        image = image * (1 - cover) + (_colour(rng) + shade + grain) * cover
    return np.asarray(image, np.float32)


def cells(rng: np.random.Generator, side: int) -> F32:
    """A Voronoi mosaic, faces in colours of one palette, sometimes with drawn borders."""
    rows, columns = _grid(side)
    count = int(rng.integers(4, 40))
    points = rng.uniform(-1.1, 1.1, (count, 2))
    squared = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
    palette = np.stack([_colour(rng) for _ in range(4)])
    image = palette[rng.integers(0, 4, count)][squared.argmin(axis=-1)]
    if rng.random() < 0.5:
        nearest = np.sqrt(np.partition(squared, 1, axis=-1)[..., :2]).astype(np.float32)
        border = _soft(nearest[..., 1] - nearest[..., 0] - 0.06, 2.5 / side)[..., None]
        image = image * (1 - border) + _colour(rng) * border
    return np.asarray(image, np.float32)


PAINTERS: tuple[Painter, ...] = (dead_leaves, coloured_noise, gratings, strokes, forms, cells)


def reference_images(count: int, side: int, seed: int = 0) -> U8:
    """The reference set: uint8 RGB [count, side, side, 3], the painters in turn, equal for equal arguments."""
    images = np.empty((count, side, side, 3), np.uint8)
    for position in range(count):
        rng = np.random.default_rng((seed, position))
        image = PAINTERS[position % len(PAINTERS)](rng, side)
        noise = rng.choice([0.0, 0.01, 0.03]) * rng.normal(size=image.shape)
        images[position] = np.round(np.clip(image + noise, 0, 1) * 255).astype(np.uint8)
    return images
