"""Cells as under a microscope: the morphology is the class; number, place, stain, modality and focus are not.

In the spirit of SIMCEP (Lehmussola et al. 2007): shapes by angular radius, texture inside, blur and sensor noise on top.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from pipelines.sources.generated.canvas import Floats, blend, colour, grid, power_noise, to_pixels
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 72
X, Y = grid(SIDE)


class Layers(NamedTuple):
    """What a stain shows, planes (72, 72) in 0 to 1: the bodies of the cells and their nuclei or grains."""

    body: Floats
    core: Floats


def _blob(rng: Generator, at: Floats, size: float, ratio: float = 1.0, rough: float = 0.06, spikes: int = 0) -> Floats:
    """Mask of one cell at `at` with radius `size`, `ratio` times as long as wide, in any direction."""
    turn = rng.uniform(0, np.pi)
    reach = size * (1.25 * np.sqrt(max(ratio, 1 / ratio)) + 0.1) + 0.05
    left, top = np.clip((((at - reach) + 1) / 2 * SIDE).astype(int), 0, SIDE)
    right, bottom = np.clip((((at + reach) + 1) / 2 * SIDE).astype(int) + 1, 0, SIDE)
    window = (slice(top, bottom), slice(left, right))  # drawing only there is several times faster
    dx, dy = X[window] - at[0], Y[window] - at[1]
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / np.sqrt(ratio)
    v = (dy * np.cos(turn) - dx * np.sin(turn)) * np.sqrt(ratio)
    angle = np.arctan2(v, u)
    edge = np.ones_like(angle)
    for wave in (2, 3, 4):
        edge = edge + rng.normal(0, rough / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    if spikes:
        edge = edge + 0.16 * np.cos(spikes * angle + rng.uniform(0, 2 * np.pi))
    mask = np.zeros((SIDE, SIDE))
    mask[window] = np.clip((size * edge - np.hypot(u, v)) / 0.05 + 0.5, 0, 1)
    return mask


def _places(rng: Generator, count: int, apart: float) -> Floats:
    """Up to `count` places (n, 2), at least `apart` from each other."""
    found: list[Floats] = []
    for at in rng.uniform(-0.85, 0.85, (count * 8, 2)):
        if len(found) < count and all(np.hypot(*(at - other)) > apart for other in found):
            found.append(at)
    return np.stack(found)


def _union(masks: list[Floats]) -> Floats:
    return np.asarray(np.max(masks, axis=0)) if masks else np.zeros((SIDE, SIDE))


def _alone(
    count: tuple[int, int], size: tuple[float, float], ratio: float = 1.1, nucleus: float = 0.4, spikes: int = 0
) -> Callable[[Generator], Layers]:
    """Separate cells with one nucleus each; `nucleus` is its share of the radius, 0 for none."""

    def layers(rng: Generator) -> Layers:
        mean = rng.uniform(*size)
        places = _places(rng, int(rng.integers(*count)), mean * 1.9)
        bodies = [_blob(rng, at, mean * rng.uniform(0.85, 1.15), ratio * rng.uniform(0.9, 1.2), spikes=spikes) for at in places]
        cores = [_blob(rng, at + rng.normal(0, 0.1 * mean, 2), mean * nucleus) for at in places if nucleus]
        return Layers(_union(bodies), _union(cores))

    return layers


def _nuclei(parts: tuple[int, int], spread: float, share: float) -> Callable[[Generator], Layers]:
    """Large cells with several nuclei, or lobes of one where `spread` is small, around the middle."""

    def layers(rng: Generator) -> Layers:
        mean = rng.uniform(0.34, 0.5)
        places = _places(rng, int(rng.integers(2, 5)), mean * 1.9)
        cores = []
        for at in places:
            lobes, turn = int(rng.integers(*parts)), rng.uniform(0, 2 * np.pi)
            for angle in turn + np.arange(lobes) * 2 * np.pi / lobes * (1 if spread > 0.4 else 0.75):
                cores.append(_blob(rng, at + spread * mean * np.array([np.cos(angle), np.sin(angle)]), share * mean))
        return Layers(_union([_blob(rng, at, mean) for at in places]), _union(cores))

    return layers


def _grains(rng: Generator) -> Layers:
    plain = _alone((3, 7), (0.28, 0.45), nucleus=0)(rng)
    dots = [_blob(rng, at, rng.uniform(0.03, 0.06)) for at in rng.uniform(-1, 1, (110, 2))]
    return Layers(plain.body, _union(dots) * plain.body)


def _rings(rng: Generator) -> Layers:
    mean = rng.uniform(0.22, 0.4)
    places = _places(rng, int(rng.integers(4, 9)), mean * 1.8)
    bodies = [_blob(rng, at, mean) * (1 - 0.85 * _blob(rng, at, mean * rng.uniform(0.4, 0.65))) for at in places]
    return Layers(_union(bodies), np.zeros((SIDE, SIDE)))


def _chain(rng: Generator, links: int, radius: float, step: float = 1.9) -> list[Floats]:
    """Small round cells in a winding row."""
    at, heading = rng.uniform(-0.7, 0.7, 2), rng.uniform(0, 2 * np.pi)
    masks = []
    for _ in range(links):
        masks.append(_blob(rng, at, radius * rng.uniform(0.9, 1.1)))
        heading += rng.normal(0, 0.35)
        at = at + step * radius * np.array([np.cos(heading), np.sin(heading)])
    return masks


def _chains(rng: Generator) -> Layers:
    radius = rng.uniform(0.07, 0.11)
    masks = [m for _ in range(int(rng.integers(2, 5))) for m in _chain(rng, int(rng.integers(5, 10)), radius)]
    return Layers(_union(masks), np.zeros((SIDE, SIDE)))


def _clusters(rng: Generator) -> Layers:
    radius, masks = rng.uniform(0.07, 0.11), []
    for centre in _places(rng, int(rng.integers(2, 4)), 0.7):
        masks += [_blob(rng, at, radius) for at in centre + rng.normal(0, 2 * radius, (int(rng.integers(9, 16)), 2))]
    return Layers(_union(masks), np.zeros((SIDE, SIDE)))


def _yeast(rng: Generator) -> Layers:
    mean = rng.uniform(0.2, 0.32)
    masks = []
    for at in _places(rng, int(rng.integers(3, 7)), mean * 2.4):
        angle, bud = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.65) * mean
        masks += [
            _blob(rng, at, mean, 1.2),
            _blob(rng, at + (mean + 0.6 * bud) * np.array([np.cos(angle), np.sin(angle)]), bud),
        ]
    return Layers(_union(masks), np.zeros((SIDE, SIDE)))


def _sickles(rng: Generator) -> Layers:
    masks = []
    for at in _places(rng, int(rng.integers(4, 8)), 0.5):
        size, angle = rng.uniform(0.25, 0.38), rng.uniform(0, 2 * np.pi)
        bite = at + size * rng.uniform(0.45, 0.6) * np.array([np.cos(angle), np.sin(angle)])
        masks.append(_blob(rng, at, size, 1.1) * (1 - _blob(rng, bite, size * 0.95)))
    return Layers(_union(masks), np.zeros((SIDE, SIDE)))


def _threads(rng: Generator) -> Layers:
    radius = rng.uniform(0.05, 0.08)
    masks = [m for _ in range(int(rng.integers(2, 5))) for m in _chain(rng, int(rng.integers(24, 44)), radius, step=0.8)]
    return Layers(_union(masks), np.zeros((SIDE, SIDE)))


def _tissue(rng: Generator) -> Layers:
    x, y = _places(rng, 26, 0.26).T
    away = np.sort(np.hypot(X[..., None] - x, Y[..., None] - y), axis=-1)
    walls = np.clip((away[..., 1] - away[..., 0]) / 0.09, 0, 1)
    return Layers(walls, np.asarray(np.clip((0.09 - away[..., 0]) / 0.05 + 0.5, 0, 1)))


MORPHOLOGIES: dict[str, Callable[[Generator], Layers]] = {
    "round_small": _alone((9, 18), (0.12, 0.18)),
    "round_large": _alone((2, 5), (0.36, 0.55)),
    "oval": _alone((4, 8), (0.2, 0.32), ratio=1.9),
    "rods": _alone((8, 16), (0.13, 0.18), ratio=4.5, nucleus=0),
    "no_nucleus": _alone((3, 8), (0.22, 0.4), nucleus=0),
    "large_nucleus": _alone((3, 7), (0.25, 0.42), nucleus=0.75),
    "spiky": _alone((3, 7), (0.22, 0.38), nucleus=0, spikes=11),
    "two_nuclei": _nuclei((2, 3), 0.45, 0.3),
    "lobed_nucleus": _nuclei((3, 5), 0.32, 0.3),
    "granular": _grains,
    "rings": _rings,
    "chains": _chains,
    "clusters": _clusters,
    "budding": _yeast,
    "sickles": _sickles,
    "threads": _threads,
    "tissue": _tissue,
}


def _brightfield(rng: Generator) -> tuple[Floats, Floats, Floats]:
    """Colours of the field, the bodies and the nuclei: rose to violet on pale, as with common stains."""
    stain = colour(rng, (0.6, 0.75), (0.3, 0.6), (0.72, 0.98))
    return colour(rng, (0.88, 0.95), (0.0, 0.3), (0.7, 1.1)), stain, colour(rng, (0.2, 0.35), (0.3, 0.7), (0.6, 0.8))


def _fluorescence(rng: Generator) -> tuple[Floats, Floats, Floats]:
    """Colours of the field, the bodies and the nuclei: any two dyes that glow in the dark."""
    return colour(rng, (0.02, 0.08)), colour(rng, (0.3, 0.5), (0.3, 0.9)), colour(rng, (0.6, 0.8), (0.3, 1.0))


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """One field of view, uint8 (72, 72, 3)."""
    body, core = tuple(MORPHOLOGIES.values())[position](rng)
    inside = body * (0.75 + 0.12 * power_noise(rng, SIDE, 1.0))
    field, stain, dye = _fluorescence(rng) if rng.uniform() < 0.15 else _brightfield(rng)
    scene = blend(blend(np.broadcast_to(field, (SIDE, SIDE, 3)), stain, np.clip(inside, 0, 1)), dye, core * 0.9)
    uneven = 1 + 0.05 * power_noise(rng, SIDE, 2.5)[..., None]
    focus = Image.fromarray(to_pixels(scene * uneven)).filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9)))
    return to_pixels(np.asarray(focus) / 255.0 + rng.normal(0, rng.uniform(0.005, 0.025), (SIDE, SIDE, 3)))


DOMAIN = Domain(6, tuple(MORPHOLOGIES), draw, "jpeg", line_like=False)
