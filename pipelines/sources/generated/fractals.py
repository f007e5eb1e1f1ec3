"""Fractals: a class is one random iterated function system (Barnsley 1988), as in FractalDB (Kataoka et al. 2020).

The maps are drawn by their singular values so that each contracts (Anderson & Farrell 2022); systems that fill too little
or too much of the picture are thrown away. Members of a class differ by small changes of the maps, pose and colour.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from pipelines.sources.generated.canvas import Floats, blend, colour, fit, ground, pose, rotation, to_pixels
from pipelines.sources.generated.domain import Domain, Pixels

SIDE = 72
CLASSES = 25
WALKERS, STEPS, SETTLE = 900, 26, 10
FILLED = (0.12, 0.45)  # share of a 48 x 48 grid that an accepted system touches
SYSTEMS_TAG = 50_001  # the systems are the same for every seed


class System(NamedTuple):
    """Maps x -> matrix x + shift: matrices (maps, 2, 2), shifts (maps, 2), chances (maps,) that sum to 1."""

    matrices: Floats
    shifts: Floats
    chances: Floats


def _random_system(rng: Generator) -> System:
    maps = int(rng.integers(2, 5))
    singular = np.stack([rng.uniform(0.45, 0.85, maps), rng.uniform(0.2, 0.7, maps)], axis=1)
    signs = rng.choice([-1.0, 1.0], (maps, 1))
    turns = rng.uniform(-np.pi, np.pi, (2, maps))
    matrices = np.stack(
        [
            rotation(a) @ np.diag(s * np.array([1.0, sign[0]])) @ rotation(b)
            for a, b, s, sign in zip(*turns, singular, signs, strict=True)
        ]
    )
    size = np.abs(np.linalg.det(matrices)) + 0.02
    return System(matrices, rng.uniform(-1, 1, (maps, 2)), size / size.sum())


def _points(system: System, rng: Generator) -> Floats:
    """The chaos game with many walkers at once: points (n, 2) of the attractor."""
    chosen = rng.choice(len(system.chances), (STEPS, WALKERS), p=system.chances)
    here = np.zeros((WALKERS, 2))
    path = np.empty((STEPS, WALKERS, 2))
    for step, maps in enumerate(chosen):
        here = np.einsum("nij,nj->ni", system.matrices[maps], here) + system.shifts[maps]
        path[step] = here
    return path[SETTLE:].reshape(-1, 2)


def _density(points: Floats, side: int) -> Floats:
    """Number of points in each cell of a (side, side) grid over -1 to 1."""
    cells = np.floor((points + 1) / 2 * side).astype(int)
    inside = cells[((cells >= 0) & (cells < side)).all(axis=1)]
    return np.bincount(inside[:, 1] * side + inside[:, 0], minlength=side * side).reshape(side, side).astype(np.float64)


@cache
def _system(position: int) -> System:
    """The system of a class: the first draw that is neither dust nor blot."""
    rng = np.random.default_rng([SYSTEMS_TAG, position])
    while True:
        system = _random_system(rng)
        filled = float((_density(fit(_points(system, rng)), 48) > 0).mean())
        if FILLED[0] <= filled <= FILLED[1]:
            return system


def draw(position: int, index: int, rng: Generator) -> Pixels:
    """One picture of the class's attractor, uint8 (72, 72, 3)."""
    system = _system(position)
    change = 1 + rng.normal(0, 0.05, system.matrices.shape)
    nearby = System(system.matrices * change, system.shifts + rng.normal(0, 0.05, system.shifts.shape), system.chances)
    matrix, shift = pose(rng, 0.8, (0.65, 0.98), 0.3, 0.15)
    mass = np.log1p(_density(fit(_points(nearby, rng)) @ matrix.T + shift, SIDE))
    glow = np.clip(mass / np.percentile(mass[mass > 0], 95), 0, 1) ** rng.uniform(0.5, 0.9)
    core, edge = colour(rng, (0.6, 0.9)), colour(rng, (0.45, 0.7), (0.4, 1.0))
    tint = blend(np.broadcast_to(edge, (SIDE, SIDE, 3)), core, glow)
    scene = blend(ground(rng, SIDE, colour(rng, (0.02, 0.16)), 0.05), tint, glow)
    return to_pixels(scene if rng.uniform() < 0.6 else 1 - scene)


DOMAIN = Domain(5, tuple(f"ifs_{number:02d}" for number in range(CLASSES)), draw, "png", line_like=False)
