"""Many different photographs as JPEG for the benchmarks of speed: windows of real ones, else of embedded domains."""

import io
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.image_sets import pictures
from pipelines.cards import load_card
from pipelines.images import Unreadable, decode
from pipelines.layout import Layout
from pipelines.sources import kind_of
from pipelines.transfer import Place

DATA = Path(__file__).parents[2] / "shared" / "data"
REAL = ("trashnet", "clothing_small", "coins_eur", "grocery", "elpv_solar", "sign_digits")
EMBEDDED = ("fractals", "textures", "shapes", "cells")
SHARES = (0.4, 0.8)  # of a side that a window holds
GRAIN = 3.0  # levels; enlarged pictures would else be too smooth to cost what photographs do
QUALITY = 90


def sources(data: Path = DATA) -> list[Image.Image]:
    """Pictures to cut windows from; those of the embedded domains where the real sets are not there."""
    if data.is_dir():
        return [image for name in REAL for _, image in pictures(name, data)]
    found = []
    for domain in EMBEDDED:
        card = load_card(Layout().card(domain))
        records = kind_of(card, domain).records(card.source, Place(Path(), Path()))
        for record in records:
            try:
                found.append(decode(record.data, 64_000_000).image)
            except Unreadable:
                continue  # planted dirt
    return found


def jpegs(number: int, side: int, data: Path = DATA, seed: int = 0) -> Iterator[bytes]:
    """So many different JPEGs whose longer side is `side` px."""
    images = sources(data)
    for place in range(number):
        yield jpeg(images, side, np.random.default_rng([seed, place]))


def jpeg(images: Sequence[Image.Image], side: int, rng: np.random.Generator) -> bytes:
    """A window of one of the pictures, perhaps mirrored and in other light."""
    image = images[int(rng.integers(len(images)))]
    share = rng.uniform(*SHARES)
    width, height = (max(1, round(length * share)) for length in image.size)
    x, y = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    scale = side / max(width, height)
    size = max(16, round(width * scale)), max(16, round(height * scale))
    window = image.resize(size, Image.Resampling.BICUBIC, box=(x, y, x + width, y + height))
    if rng.integers(2):
        window = window.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    levels = np.asarray(window, np.float32) * rng.uniform(0.7, 1.2, 3).astype(np.float32)
    if scale > 1:
        levels += rng.normal(0, GRAIN, levels.shape).astype(np.float32)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def blends(side: int, data: Path = DATA, most: int = 60) -> Iterator[bytes]:
    """Different JPEGs without end, made faster than `jpegs` does: windows of two enlarged pictures, one over the other."""
    chosen = np.random.default_rng(0).permutation(len(found := sources(data)))[:most]
    large = []
    for number in chosen:
        scale = 1.5 * side / min(found[number].size)
        size = [round(length * scale) for length in found[number].size]
        levels = np.asarray(found[number].resize((size[0], size[1]), Image.Resampling.BICUBIC), np.float32)
        grain = np.random.default_rng(int(number)).normal(0, 2 * GRAIN, levels.shape).astype(np.float32)
        large.append(Image.fromarray(np.clip(levels + grain, 0, 255).astype(np.uint8)))
    for number in count():
        rng = np.random.default_rng([1, number])
        windows = []
        for one in rng.choice(len(large), 2, replace=False):
            x, y = (int(rng.integers(length - side + 1)) for length in large[one].size)
            window = large[one].crop((x, y, x + side, y + side * 3 // 4))
            windows.append(window.transpose(Image.Transpose.ROTATE_180) if rng.integers(2) else window)
        buffer = io.BytesIO()
        Image.blend(windows[0], windows[1], float(rng.uniform(0.25, 0.75))).save(buffer, "JPEG", quality=QUALITY)
        yield buffer.getvalue()
