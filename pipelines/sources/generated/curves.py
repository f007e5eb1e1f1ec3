"""Plane curves: a class is one parametric family, drawn with any pen, tilted and stretched.

Lawrence 1972, A Catalog of Special Plane Curves.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from pipelines.sources.generated.canvas import Floats, blend, fit, ground, lines, pose, to_pixels, two_colours
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 64
T = np.linspace(0, 2 * np.pi, 400)
Family = Callable[[Generator], Floats]  # points (400, 2)


def _polar(radius: Floats, angle: Floats = T) -> Floats:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _lissajous(a: int, b: int) -> Family:
    most = 0.6 * np.pi / (2 * b)  # a phase of pi / 2b folds the curve onto itself
    return lambda rng: np.stack([np.sin(a * T + rng.uniform(-most, most)), np.sin(b * T)], axis=1)


def _rose(petals: float) -> Family:
    def points(rng: Generator) -> Floats:
        angle = T * (1 if petals % 1 == 0 else 2)
        return _polar(np.cos(petals * angle) + rng.uniform(-0.12, 0.12), angle)

    return points


def _epitrochoid(ratio: int, low: float, high: float) -> Family:
    def points(rng: Generator) -> Floats:
        arm = rng.uniform(low, high)
        return np.stack(
            [(ratio + 1) * np.cos(T) - arm * np.cos((ratio + 1) * T), (ratio + 1) * np.sin(T) - arm * np.sin((ratio + 1) * T)],
            axis=1,
        )

    return points


def _hypotrochoid(ratio: int, low: float, high: float) -> Family:
    def points(rng: Generator) -> Floats:
        arm = rng.uniform(low, high)
        return np.stack(
            [(ratio - 1) * np.cos(T) + arm * np.cos((ratio - 1) * T), (ratio - 1) * np.sin(T) - arm * np.sin((ratio - 1) * T)],
            axis=1,
        )

    return points


def _archimedes(rng: Generator) -> Floats:
    return _polar(T / 6.3 + rng.uniform(0, 0.2), T * rng.uniform(2.2, 4.2))


def _logarithmic(rng: Generator) -> Floats:
    return _polar(np.exp(rng.uniform(0.45, 0.65) * T), T * rng.uniform(1.5, 2.5))


def _limacon(rng: Generator) -> Floats:
    return _polar(1 + rng.uniform(1.5, 2.4) * np.cos(T))


def _lemniscate(rng: Generator) -> Floats:
    reach = 1 + rng.uniform(0.2, 1.2) * np.sin(T) ** 2
    return np.stack([np.cos(T) / reach * 1.4, np.sin(T) * np.cos(T) / reach * 1.4], axis=1)


def _superellipse(rng: Generator) -> Floats:
    power = 2 / rng.uniform(3, 6)
    c, s = np.cos(T), np.sin(T)
    return np.stack([np.sign(c) * np.abs(c) ** power, np.sign(s) * np.abs(s) ** power], axis=1)


def _ellipse(rng: Generator) -> Floats:
    return np.stack([np.cos(T), rng.uniform(0.45, 1.0) * np.sin(T)], axis=1)


def _cycloid(rng: Generator) -> Floats:
    turns, arm = T * rng.uniform(2.0, 3.2), rng.uniform(1.2, 2.4)
    return np.stack([turns - arm * np.sin(turns), -2 * arm * np.cos(turns) / 1.6], axis=1)


def _butterfly(rng: Generator) -> Floats:
    """Fay 1989."""
    return _polar(np.exp(np.sin(T)) - 2 * np.cos(4 * T) + rng.uniform(0.5, 1) * np.sin((2 * T - np.pi) / 24) ** 5)


FAMILIES: dict[str, Family] = {
    "lissajous_1_2": _lissajous(1, 2),
    "lissajous_2_3": _lissajous(2, 3),
    "lissajous_3_4": _lissajous(3, 4),
    "rose_3": _rose(3),
    "rose_4": _rose(2),
    "rose_5": _rose(5),
    "rose_half": _rose(1.5),
    "cardioid": _epitrochoid(1, 0.85, 1.15),
    "nephroid": _epitrochoid(2, 0.85, 1.15),
    "epitrochoid_loops": _epitrochoid(4, 1.8, 3.2),
    "deltoid": _hypotrochoid(3, 0.8, 1.2),
    "astroid": _hypotrochoid(4, 0.8, 1.2),
    "hypotrochoid_loops": _hypotrochoid(5, 2.0, 3.2),
    "spiral_archimedes": _archimedes,
    "spiral_logarithmic": _logarithmic,
    "limacon": _limacon,
    "lemniscate": _lemniscate,
    "superellipse": _superellipse,
    "ellipse": _ellipse,
    "cycloid": _cycloid,
    "butterfly": _butterfly,
}


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """One curve, uint8 (64, 64, 3)."""
    curve = fit(tuple(FAMILIES.values())[position](rng))
    matrix, shift = pose(rng, 0.9, (0.55, 0.85), 0.4, 0.15)
    tremor = np.cumsum(rng.normal(0, 0.004, curve.shape), axis=0)
    drawn = curve @ matrix.T + shift + tremor
    skip = int(rng.integers(0, 60))  # the pen is put down late, so the curve may stay open
    ink, paper = two_colours(rng)
    return to_pixels(blend(ground(rng, SIDE, paper), ink, lines(SIDE, [drawn[skip:]], rng.uniform(1.2, 3.6))))


DOMAIN = Domain(9, tuple(FAMILIES), draw, "png", line_like=True)
