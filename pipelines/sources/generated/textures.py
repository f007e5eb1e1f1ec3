"""Procedural textures: the process is the class; colour, direction, phase and light are not.

Worley 1996 (cells), Perlin 1985 (wood, marble), Lee, Mumford & Huang 2001 (dead leaves), Lagae et al. 2009 (Gabor noise),
Turing 1952 (spots and stripes, here as thresholded band-pass noise).
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from pipelines.sources.generated.canvas import (
    Floats,
    blend,
    frequency,
    grid,
    levels,
    power_noise,
    rotation,
    spectral_noise,
    to_pixels,
    two_colours,
)
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 72
Process = Callable[[Generator], Floats]  # a plane (72, 72) in 0 to 1


def _turned(rng: Generator, turn: float = np.pi) -> tuple[Floats, Floats]:
    """Coordinates in a random direction with a random origin, a little bent."""
    x, y = grid(SIDE)
    points = np.stack([x, y], axis=-1) @ rotation(rng.uniform(-turn, turn)).T + rng.uniform(-1, 1, 2)
    bend = power_noise(rng, SIDE, 2.5)[..., None] * rng.uniform(0, 0.02)
    return points[..., 0] + bend[..., 0], points[..., 1] + bend[..., 0]


def _sharp(wave: Floats, edge: float) -> Floats:
    return np.asarray(0.5 + 0.5 * np.tanh(edge * wave))


def _grating(low: float, high: float) -> Process:
    def plane(rng: Generator) -> Floats:
        x, _ = _turned(rng)
        return _sharp(np.sin(np.pi * rng.uniform(low, high) * x), rng.uniform(0.6, 3))

    return plane


def _plaid(rng: Generator) -> Floats:
    x, y = _turned(rng)
    cycles = rng.uniform(4, 8)
    return (_sharp(np.sin(np.pi * cycles * x), 3) + _sharp(np.sin(np.pi * cycles * rng.uniform(0.8, 1.25) * y), 3)) / 2


def _checker(rng: Generator) -> Floats:
    x, y = _turned(rng)
    cycles = rng.uniform(3, 7)
    return _sharp(np.sin(np.pi * cycles * x) * np.sin(np.pi * cycles * y), 8)


def _distances(rng: Generator, points: int) -> Floats:
    """Distance of each pixel to the nearest and second nearest of random points, and the nearest one's number: (3, 72, 72)."""
    x, y = grid(SIDE)
    seeds = rng.uniform(-1.15, 1.15, (points, 2))
    away = np.hypot(x[..., None] - seeds[:, 0], y[..., None] - seeds[:, 1])
    nearest = away.argmin(axis=-1)
    two = np.partition(away, 1, axis=-1)
    return np.stack([two[..., 0], two[..., 1], nearest.astype(np.float64)])


def _voronoi(rng: Generator) -> Floats:
    points = int(rng.integers(25, 60))
    return np.asarray(rng.uniform(0, 1, points)[_distances(rng, points)[2].astype(int)])


def _worley(rng: Generator) -> Floats:
    return levels(_distances(rng, int(rng.integers(25, 60)))[0])


def _cracks(rng: Generator) -> Floats:
    near, second, _ = _distances(rng, int(rng.integers(20, 50)))
    return np.asarray(np.clip((second - near) / rng.uniform(0.04, 0.09), 0, 1))


def _noise(low: float, high: float) -> Process:
    return lambda rng: levels(power_noise(rng, SIDE, rng.uniform(low, high)))


def _marble(rng: Generator) -> Floats:
    x, _ = _turned(rng)
    return np.asarray(0.5 + 0.5 * np.sin(np.pi * rng.uniform(2, 4) * x + rng.uniform(1.2, 2) * power_noise(rng, SIDE, 1.8)))


def _wood(rng: Generator) -> Floats:
    x, y = _turned(rng)
    radius = np.hypot(x, y * rng.uniform(0.4, 0.8)) + rng.uniform(0.01, 0.04) * power_noise(rng, SIDE, 1.8)
    return np.asarray((radius * rng.uniform(5, 9)) % 1.0)


def _leaves(rng: Generator) -> Floats:
    """Dead leaves: opaque discs whose radius has density r ** -3, later ones hiding earlier ones."""
    x, y = grid(SIDE)
    plane = np.full((SIDE, SIDE), 0.5)
    count = 220
    radius = 0.07 / np.sqrt(rng.uniform(0.01, 1, count))
    for cx, cy, r, shade in zip(*rng.uniform(-1.1, 1.1, (2, count)), radius, rng.uniform(0, 1, count), strict=True):
        plane[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = shade
    return plane


def _band(rng: Generator, centre: float, width: float) -> Floats:
    fx, fy = frequency(SIDE)
    return spectral_noise(rng, SIDE, np.exp(-(((np.hypot(fx, fy) - centre) / width) ** 2)))


def _stripes(rng: Generator) -> Floats:
    return _sharp(_band(rng, rng.uniform(5, 9), 1.5), rng.uniform(2, 5))


def _spots(rng: Generator) -> Floats:
    return _sharp(_band(rng, rng.uniform(5, 9), 1.5) - rng.uniform(0.7, 1.1), rng.uniform(3, 6))


def _gabor(rng: Generator) -> Floats:
    fx, fy = frequency(SIDE)
    fx, fy = np.tensordot(rotation(rng.uniform(-np.pi, np.pi)), np.stack([fx, fy]), axes=1)
    gain = np.exp(-((np.abs(fx) - rng.uniform(6, 10)) ** 2 + fy**2) / rng.uniform(2, 3.5) ** 2)
    return levels(spectral_noise(rng, SIDE, gain))


def _bricks(rng: Generator) -> Floats:
    x, y = _turned(rng, 0.35)
    rows = rng.uniform(3, 6)
    row = np.floor(y * rows)
    column = x * rows / rng.uniform(1.7, 2.4) + row / 2
    joint = rng.uniform(0.06, 0.14)
    solid = (y * rows % 1 > joint) & (column % 1 > joint / 2)
    shades = rng.uniform(0.55, 1, (64, 64))[row.astype(int) % 64, np.floor(column).astype(int) % 64]
    return np.asarray(np.where(solid, shades, rng.uniform(0, 0.2)))


def _dots(rng: Generator) -> Floats:
    x, y = _turned(rng)
    cells = rng.uniform(3, 6)
    away = np.hypot((x * cells) % 1 - 0.5, (y * cells) % 1 - 0.5)
    return _sharp(rng.uniform(0.2, 0.36) - away, 14)


def _pebbles(rng: Generator) -> Floats:
    near, _, owner = _distances(rng, int(rng.integers(30, 70)))
    size = rng.uniform(0.07, 0.18, 70)[owner.astype(int)]
    return _sharp(size - near, 30)


def _honeycomb(rng: Generator) -> Floats:
    x, y = _turned(rng)
    cycles = rng.uniform(4, 7)
    thirds = np.arange(3) * 2 * np.pi / 3
    waves = [np.cos(np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle))) for angle in thirds]
    return _sharp(np.sum(waves, axis=0) + rng.uniform(0.4, 0.9), rng.uniform(3, 5))


def _weave(rng: Generator) -> Floats:
    x, y = _turned(rng)
    cycles = rng.uniform(2.5, 5)
    u, v = x * cycles, y * cycles
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    return np.asarray(np.where(over, np.sin(np.pi * (u % 1)), np.sin(np.pi * (v % 1)) * 0.75) ** 0.7)


def _zigzag(rng: Generator) -> Floats:
    x, y = _turned(rng)
    cycles = rng.uniform(3, 5)
    return _sharp(np.sin(2 * np.pi * (y * cycles + np.abs((x * cycles) % 1 - 0.5) * 2)), 4)


PROCESSES: dict[str, Process] = {
    "grating_coarse": _grating(4, 8),
    "grating_medium": _grating(8, 14),
    "grating_fine": _grating(14, 24),
    "plaid": _plaid,
    "checker": _checker,
    "voronoi": _voronoi,
    "worley": _worley,
    "cracks": _cracks,
    "noise_rough": _noise(0.0, 0.5),
    "noise_medium": _noise(0.8, 1.2),
    "noise_smooth": _noise(1.6, 2.2),
    "marble": _marble,
    "wood": _wood,
    "dead_leaves": _leaves,
    "stripes": _stripes,
    "spots": _spots,
    "gabor": _gabor,
    "bricks": _bricks,
    "dots": _dots,
    "pebbles": _pebbles,
    "honeycomb": _honeycomb,
    "weave": _weave,
    "zigzag": _zigzag,
}


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """One texture, uint8 (72, 72, 3)."""
    plane = tuple(PROCESSES.values())[position](rng)
    ink, paper = two_colours(rng)
    light = 1 + rng.uniform(0, 0.25) * power_noise(rng, SIDE, 2.5)[..., None]
    flat = np.broadcast_to(paper, (SIDE, SIDE, 3))
    return to_pixels(blend(flat, ink, plane) * light + rng.normal(0, rng.uniform(0, 0.05), (SIDE, SIDE, 1)))


DOMAIN = Domain(4, tuple(PROCESSES), draw, "jpeg", line_like=False)
