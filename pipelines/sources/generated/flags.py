"""Invented flags: a class is one design, a layout with its colours; wind, light, view and weather are not.

A layout says which of a design's colours lies at (u, v), both 0 to 1 across and down the cloth.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipelines.sources.generated.canvas import FINE, Floats, grid, ground, power_noise, rotation, shrink, to_pixels
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 96
Areas = NDArray[np.intp]  # for each pixel the place of its colour in the palette
PALETTE = {
    "red": (0.78, 0.08, 0.15),
    "purple": (0.4, 0.1, 0.45),
    "teal": (0.0, 0.45, 0.45),
    "gold": (0.98, 0.8, 0.1),
    "white": (0.96, 0.96, 0.94),
    "black": (0.08, 0.08, 0.08),
    "sky": (0.35, 0.65, 0.9),
    "orange": (0.95, 0.5, 0.1),
}


def _bars(edges: tuple[float, ...], across: bool) -> Callable[[Floats, Floats], Areas]:
    return lambda u, v: np.digitize(u if across else v, edges)


def _cross(centre: float, wide: float) -> Callable[[Floats, Floats], Areas]:
    def areas(u: Floats, v: Floats) -> Areas:
        away = np.minimum(np.abs(u - centre) * 1.5, np.abs(v - 0.5))
        return np.digitize(-away, (-wide, -wide / 2))

    return areas


def _saltire(u: Floats, v: Floats) -> Areas:
    return np.digitize(-np.minimum(np.abs(u - v), np.abs(u + v - 1)), (-0.14,))


def _disc(u: Floats, v: Floats) -> Areas:
    return np.digitize(-np.hypot((u - 0.5) * 1.5, v - 0.5), (-0.28,))


def _chevron(u: Floats, v: Floats) -> Areas:
    return np.where(u * 1.1 < 0.5 - np.abs(v - 0.5), 2, (v > 0.5).astype(np.intp))


def _canton(u: Floats, v: Floats) -> Areas:
    return np.where((u < 0.42) & (v < 0.5), 2, np.floor(v * 8).astype(np.intp) % 2)


def _quarters(u: Floats, v: Floats) -> Areas:
    return ((u > 0.5) ^ (v > 0.5)).astype(np.intp)


def _bend(u: Floats, v: Floats) -> Areas:
    return np.digitize(u - v, (-0.16, 0.16))


def _border(u: Floats, v: Floats) -> Areas:
    return np.digitize(np.minimum(np.minimum(u, 1 - u) * 1.5, np.minimum(v, 1 - v)), (0.14,))


def _sun(u: Floats, v: Floats) -> Areas:
    x, y = (u - 0.4) * 1.5, v - 0.5
    rays = np.sin(8 * np.arctan2(y, x)) > 0
    return np.where(np.hypot(x, y) < 0.2, 1, rays.astype(np.intp) * 2)


def _lozenge(u: Floats, v: Floats) -> Areas:
    away = np.abs(u - 0.5) + np.abs(v - 0.5)
    return np.asarray(np.digitize(-away, (-0.42, -0.18)))


LAYOUTS: dict[str, Callable[[Floats, Floats], Areas]] = {
    "bands": _bars((1 / 3, 2 / 3), across=False),
    "pales": _bars((1 / 3, 2 / 3), across=True),
    "halves": _bars((0.5,), across=False),
    "nordic": _cross(0.38, 0.2),
    "cross": _cross(0.5, 0.16),
    "saltire": _saltire,
    "disc": _disc,
    "chevron": _chevron,
    "canton": _canton,
    "quarters": _quarters,
    "bend": _bend,
    "border": _border,
    "sun": _sun,
    "lozenge": _lozenge,
}


class Design(NamedTuple):
    """A layout and the colours of its areas."""

    layout: str
    colours: tuple[str, ...]


# Layouts recur with other colours and colours with other layouts, so neither alone tells a class.
DESIGNS = (
    Design("bands", ("purple", "gold", "teal")),
    Design("bands", ("teal", "gold", "purple")),
    Design("bands", ("orange", "black", "sky")),
    Design("pales", ("purple", "gold", "teal")),
    Design("pales", ("sky", "red", "white")),
    Design("halves", ("purple", "orange")),
    Design("halves", ("teal", "white")),
    Design("nordic", ("teal", "gold", "purple")),
    Design("nordic", ("orange", "white", "black")),
    Design("cross", ("purple", "gold", "gold")),
    Design("cross", ("sky", "orange", "orange")),
    Design("saltire", ("purple", "gold")),
    Design("saltire", ("teal", "orange")),
    Design("disc", ("gold", "purple")),
    Design("disc", ("black", "orange")),
    Design("chevron", ("teal", "orange", "purple")),
    Design("chevron", ("sky", "white", "black")),
    Design("canton", ("purple", "white", "orange")),
    Design("canton", ("teal", "gold", "teal")),
    Design("quarters", ("purple", "teal")),
    Design("bend", ("orange", "black", "teal")),
    Design("bend", ("purple", "white", "purple")),
    Design("border", ("teal", "gold")),
    Design("sun", ("purple", "orange", "orange")),
    Design("lozenge", ("orange", "white", "teal")),
    Design("quarters", ("gold", "black")),
)


def _view(rng: Generator) -> tuple[Floats, Floats, Floats]:
    """Where on the cloth each pixel of the doubled picture looks, u and v, and how the folds shade it."""
    x, y = grid(SIDE, FINE)
    zoom = rng.uniform(0.72, 1.0)
    points = np.stack([x, y], axis=-1) @ rotation(rng.uniform(-0.3, 0.3)).T / zoom + rng.uniform(-0.2, 0.2, 2)
    depth = 1 + points @ rng.uniform(-0.18, 0.18, 2)
    u, v = points[..., 0] / depth / 2 + 0.5, points[..., 1] / depth * 0.75 + 0.5
    phase = 2 * np.pi * (rng.uniform(0.6, 2.0) * u + rng.uniform(-0.3, 0.3) * v) + rng.uniform(0, 2 * np.pi)
    wave = rng.uniform(0.01, 0.07)
    return u + wave * 0.4 * np.sin(phase), v + wave * np.sin(phase), 1 + 4 * wave * np.cos(phase)


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """One flag in the wind, uint8 (96, 96, 3)."""
    design = DESIGNS[position]
    u, v, shade = _view(rng)
    dyes = np.array([PALETTE[name] for name in design.colours]) * rng.uniform(0.8, 1.1, 3) + rng.normal(
        0, 0.05, (len(design.colours), 3)
    )
    areas = np.minimum(LAYOUTS[design.layout](np.clip(u, 0, 1), np.clip(v, 0, 1)), len(dyes) - 1)
    cloth = ((u > 0) & (u < 1) & (v > 0) & (v < 1)).astype(np.float64)[..., None]
    front = shrink(dyes[areas] * shade[..., None] * cloth)
    sky = (
        ground(rng, SIDE, np.array([0.55, 0.68, 0.85]) * rng.uniform(0.5, 1.15, 3), 0.2)
        + 0.05 * power_noise(rng, SIDE, 2)[..., None]
    )
    scene = front + sky * (1 - shrink(cloth))
    bright = rng.uniform(0.6, 1.1) + 0.06 * power_noise(rng, SIDE, 2)[..., None]
    return to_pixels(scene * bright + rng.normal(0, rng.uniform(0.005, 0.04), scene.shape))


DOMAIN = Domain(
    8,
    tuple(f"{number:02d}_{'_'.join((d.layout, *d.colours))}" for number, d in enumerate(DESIGNS)),
    draw,
    "jpeg",
    line_like=False,
)
