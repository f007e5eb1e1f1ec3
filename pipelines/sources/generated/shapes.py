"""Geometric shapes in pose: the shape is the class; colour, pose, ground and stray specks are not."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from pipelines.sources.generated.canvas import Floats, blend, ground, polygons, pose, to_pixels, two_colours
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 96


def _regular(corners: int) -> Floats:
    angle = np.arange(corners) * 2 * np.pi / corners - np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _star(tips: int, inner: float) -> Floats:
    radius = np.where(np.arange(2 * tips) % 2, inner, 1.0)
    return np.asarray(_regular(2 * tips) * radius[:, None])


def _arc(start: float, end: float, radius: float = 1.0, centre: tuple[float, float] = (0.0, 0.0)) -> Floats:
    angle = np.radians(np.linspace(start, end, 48))
    return np.asarray(np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius + np.array(centre))


def _corners(*values: float) -> Floats:
    return np.array(values, dtype=np.float64).reshape(-1, 2)


def _cross(arm: float) -> Floats:
    quarter = _corners(arm, arm, 1, arm, 1, -arm, arm, -arm)
    turns = [np.array([[0, 1], [-1, 0]]), np.array([[-1, 0], [0, -1]]), np.array([[0, -1], [1, 0]])]
    return np.concatenate([quarter, *(quarter @ turn.T for turn in turns)])


def _heart() -> Floats:
    t = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y - 2.5], axis=1) / 16


def _gear() -> Floats:
    t = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    return np.asarray(np.stack([np.cos(t), np.sin(t)], axis=1) * (0.85 + 0.15 * np.tanh(6 * np.sin(9 * t)))[:, None])


OUTLINES: dict[str, Callable[[], Floats]] = {
    "triangle": lambda: _regular(3),
    "square": lambda: _regular(4),
    "pentagon": lambda: _regular(5),
    "hexagon": lambda: _regular(6),
    "disc": lambda: _regular(64),
    "half_disc": lambda: _arc(0, 180) - np.array([0, 0.4]),
    "star_four": lambda: _star(4, 0.42),
    "star_five": lambda: _star(5, 0.42),
    "star_six": lambda: _star(6, 0.55),
    "ring": lambda: _regular(64),
    "frame": lambda: _regular(4),
    "cross": lambda: _cross(0.32),
    "crescent": lambda: np.concatenate([_arc(50, 310), _arc(282, 78, 0.8, (0.48, 0.0))]),
    "arrow": lambda: _corners(-1, -0.25, 0.1, -0.25, 0.1, -0.7, 1, 0, 0.1, 0.7, 0.1, 0.25, -1, 0.25),
    "heart": _heart,
    "trapezoid": lambda: _corners(-0.5, -0.55, 0.5, -0.55, 1, 0.55, -1, 0.55),
    "bolt": lambda: _corners(0.1, -1, -0.6, 0.15, -0.1, 0.15, -0.3, 1, 0.6, -0.3, 0.1, -0.3, 0.5, -1),
    "drop": lambda: np.concatenate([_arc(-30, 210, 0.65, (0.0, 0.3)), _corners(0, -1)]),
    "gear": _gear,
}
HOLES = {"ring": 0.55, "frame": 0.55, "gear": 0.35}  # share of the outline


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """One shape, uint8 (96, 96, 3)."""
    name = tuple(OUTLINES)[position]
    outline = OUTLINES[name]()
    matrix, shift = pose(rng, 0.5, (0.5, 0.8), 0.3, 0.12)
    wobble = rng.normal(0, 0.03, outline.shape) if len(outline) < 20 else 0.0
    placed = (outline + wobble) @ matrix.T + shift
    holes = [(outline * HOLES[name]) @ matrix.T + shift] if name in HOLES else []
    ink, paper = two_colours(rng)
    scene = blend(ground(rng, SIDE, paper, 0.25, 0.02), 0.5 * (ink + paper), _specks(rng))
    return to_pixels(blend(scene, ground(rng, SIDE, ink, 0.2, 0.02), polygons(SIDE, [placed], holes)))


def _specks(rng: Generator) -> Floats:
    """Mask of a few small shapes that have nothing to do with the class."""
    dots = []
    for _ in range(int(rng.integers(0, 9))):
        matrix, shift = pose(rng, np.pi, (0.03, 0.13), 0.5, 0.95)
        dots.append(_regular(int(rng.integers(3, 9))) @ matrix.T + shift)
    return polygons(SIDE, dots) * rng.uniform(0.4, 1)


DOMAIN = Domain(3, tuple(OUTLINES), draw, "png", line_like=False)
