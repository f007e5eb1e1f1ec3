"""Does it matter which images a full class keeps? `python -m benchmarks.diversity [--data DIR] [--write FILE]`.

Half of each class is a pool, of which CAP images are kept by lot, farthest-first or k-means++; the other half is judged on. How
well the kept cover the pool, and what a learner that has only the kept ones makes of the held-out half. `--write` puts the
table between the marks of docs/benchmarks.md.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.few_shot import F32, I64, N_QUERY, N_WAY, accuracies
from benchmarks.image_sets import pictures
from pipelines.diversity import diverse
from pipelines.encoders import fit, prepare
from pipelines.features import unit_rows
from pipelines.files import write_text
from pipelines.images import Unreadable, decode
from pipelines.sources.generated import dirt, generator

REAL = ("sign_digits", "noto_emoji", "elpv_solar")
EMBEDDED = "textures"
CAP, N_SHOT = 10, 5
MOST = 120  # images of a class that are looked at
LEAST = 2 * CAP + N_QUERY  # images that a class needs
WAYS = ("random", "farthest_first", "kmeans")
MARKS = ("<!-- table: python -m benchmarks.diversity --write docs/benchmarks.md -->", "<!-- end of diversity -->")


class Score(NamedTuple):
    """Cosine distances of the pool to the nearest kept image of its class, and 5-way 5-shot accuracies on held-out images."""

    radius: float
    mean_distance: float
    class_mean: float
    ridge: float


def embedded(name: str) -> Iterator[tuple[str, Image.Image]]:
    """(label, picture) of an embedded domain without its planted dirt."""
    domain = generator(name)
    images = range(min(MOST, domain.most_images))
    entries = [dirt.Entry("clean", (c, i), (c, i)) for c in range(len(domain.classes) - 1) for i in images]
    for record in dirt.realise(domain, 0, entries, None):
        try:
            yield record.label, decode(record.data, 10_000_000).image
        except Unreadable:
            continue


def features_of(images: Iterator[tuple[str, Image.Image]], encoder: Any) -> tuple[F32, I64]:
    """Unit features [N, D] and labels [N] of the first MOST images of each class that has enough."""
    seen: dict[str, list[Any]] = {}
    for label, image in images:
        if len(seen.setdefault(label, [])) < MOST:
            seen[label].append(prepare(image))
    classes = [found for _, found in sorted(seen.items()) if len(found) >= LEAST]
    features_ND = unit_rows(np.concatenate([encoder.encode(found) for found in classes]))
    return features_ND, np.repeat(np.arange(len(classes)), [len(found) for found in classes])


def keep(features_ND: F32, way: str, rng: np.random.Generator) -> I64:
    """CAP rows of a pool that is in random order."""
    if way == "random":
        return np.arange(CAP)
    dice = [int(lot) for lot in rng.integers(0, 2**64, CAP, dtype=np.uint64)]
    return np.array(diverse(features_ND, CAP, 0, way, dice))  # type: ignore[arg-type]


def trial(features_ND: F32, labels_N: I64, way: str, seed: int, episodes: int) -> Score:
    """One draw of pools and held-out halves, the same for every way."""
    shuffle = np.random.default_rng(seed)
    pools, judged, kept = [], [], []
    for label in np.unique(labels_N):
        rows = shuffle.permutation(np.flatnonzero(labels_N == label))
        half = max(CAP, len(rows) // 2)
        pools.append(rows[:half])
        judged.append(rows[half:])
        kept.append(rows[:half][keep(features_ND[rows[:half]], way, np.random.default_rng((seed, int(label))))])
    far = [1 - (features_ND[pool] @ features_ND[of_class].T).max(1) for pool, of_class in zip(pools, kept, strict=True)]
    support, query = _episodes(kept, judged, episodes, seed)
    plain, _, ridge = accuracies(features_ND, support, query)
    radius, mean = (float(np.mean([of_class(distance) for distance in far])) for of_class in (np.max, np.mean))
    return Score(radius, mean, plain, ridge)


def _episodes(kept: list[I64], judged: list[I64], episodes: int, seed: int) -> tuple[I64, I64]:
    """Supports of kept images [E, N_WAY * N_SHOT] and queries of held-out ones [E, N_WAY * N_QUERY]."""
    rng = np.random.default_rng((seed, 1))
    chosen = [rng.choice(len(kept), N_WAY, replace=False) for _ in range(episodes)]
    support = [np.concatenate([rng.choice(kept[c], N_SHOT, replace=False) for c in ways]) for ways in chosen]
    query = [np.concatenate([rng.choice(judged[c], N_QUERY, replace=False) for c in ways]) for ways in chosen]
    return np.array(support), np.array(query)


def table(data: Path, seeds: int, episodes: int) -> str:
    """A line a set and way: means over the seeds, with the standard error of the difference to random for accuracies."""
    encoder = fit()
    lines = [
        "| set | kept by | radius | mean distance | class mean | ridge |",
        "|---|---|---|---|---|---|",
    ]
    for name in (*REAL, EMBEDDED):
        features_ND, labels_N = features_of(embedded(name) if name == EMBEDDED else pictures(name, data), encoder)
        scores = {way: np.array([trial(features_ND, labels_N, way, seed, episodes) for seed in range(seeds)]) for way in WAYS}
        for way, found in scores.items():
            gain = (found - scores["random"])[:, 2:]
            said = [f"{value:.3f}" for value in found.mean(0)]
            if way != "random":
                error = gain.std(0, ddof=1) / seeds**0.5
                said[2:] = [f"{v} ({g:+.3f} ± {2 * e:.3f})" for v, g, e in zip(said[2:], gain.mean(0), error, strict=True)]
            lines.append(f"| {name} ({labels_N.max() + 1} classes) | {way} | {' | '.join(said)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the real sets")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--write", type=Path, help="file whose table is replaced")
    given = parser.parse_args()
    if not given.data.is_dir():
        print(f"error: {given.data}: no such folder; name the one with the real sets by --data", file=sys.stderr)
        return 2
    found = table(given.data, given.seeds, given.episodes)
    if given.write:
        text = given.write.read_text(encoding="utf-8")
        before, after = text.partition(MARKS[0])[0], text.partition(MARKS[1])[2]
        write_text(given.write, f"{before}{MARKS[0]}\n{found}\n{MARKS[1]}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
