"""Invented characters: a class is a sequence of pen strokes, a member is one more writing of it (Lake et al. 2015).

As in Bayesian program learning, a character is a programme (strokes as control points of splines) and writing adds motor noise.
"""

from functools import cache

import numpy as np
from numpy.random import Generator

from pipelines.sources.generated.canvas import Floats, blend, colour, fit, ground, lines, pose, to_pixels
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 64
CLASSES = 41
PROGRAMMES_TAG = 70_001  # the characters are the same for every seed


@cache
def _programme(position: int) -> tuple[Floats, ...]:
    """The strokes of a class, each (points, 2); later strokes often start on an earlier one."""
    rng = np.random.default_rng([PROGRAMMES_TAG, position])
    strokes: list[Floats] = []
    for _ in range(int(rng.integers(2, 5))):
        joined = strokes and rng.uniform() < 0.6
        start = strokes[-1][int(rng.integers(len(strokes[-1])))] if joined else rng.uniform(-0.8, 0.8, 2)
        points, heading = [start], rng.uniform(0, 2 * np.pi)
        for _ in range(int(rng.integers(2, 5))):
            step = rng.uniform(0.5, 1.0) * np.array([np.cos(heading), np.sin(heading)])
            points.append(np.clip(points[-1] + step, -0.95, 0.95))
            heading += rng.normal(0, 1.1)
        strokes.append(np.stack(points))
    ends = np.cumsum([len(stroke) for stroke in strokes])[:-1]
    return tuple(np.split(fit(np.concatenate(strokes)), ends))


def _spline(points: Floats) -> Floats:
    """A Catmull-Rom spline through the points: (12 a piece, 2)."""
    p = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, 12)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.asarray(curve.transpose(1, 0, 2).reshape(-1, 2))


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """One writing of a character, uint8 (64, 64, 3)."""
    matrix, shift = pose(rng, 0.6, (0.5, 0.85), 0.45, 0.15)
    written = []
    for stroke in _programme(position):
        noisy = stroke + rng.normal(0, 0.15, stroke.shape) + rng.normal(0, 0.08, 2)
        written.append(_spline(noisy) @ matrix.T + shift)
    mask = lines(SIDE, written, rng.uniform(1.5, 4.0)) * rng.uniform(0.75, 1)
    paper = ground(rng, SIDE, colour(rng, (0.82, 0.96), (0.0, 0.5)), 0.08)
    return to_pixels(blend(paper, colour(rng, (0.05, 0.35)), mask))


DOMAIN = Domain(7, tuple(f"character_{number:02d}" for number in range(CLASSES)), draw, "png", line_like=True)
