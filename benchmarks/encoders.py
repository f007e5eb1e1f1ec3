"""Compare encoders on the eight real image sets: `python -m benchmarks.encoders [--data DIR] [--write FILE] [--save DIR]`.

`--write` puts the table between the marks of docs/encoder.md; `--save` only writes the features of each set.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: speeds are stated for one core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.encoder_variants import PRODUCT, VARIANTS, Variant, fit_variant, resized
from benchmarks.few_shot import F32, I64, accuracies, draw_episodes
from benchmarks.image_sets import SETS, pictures
from pipelines.encoders import fit, prepare
from pipelines.encoders.arrays import U8
from pipelines.encoders.fitting import REFERENCE_IMAGES
from pipelines.encoders.reference import reference_images
from pipelines.files import atomic_path, write_text

MARKS = ("<!-- table: python -m benchmarks.encoders --write docs/encoder.md -->", "<!-- end of table -->")
MAX_CLASSES = 60  # of omniglot's 200
N_SHOTS = (1, 5)


def load_sets(data: Path, max_classes: int) -> tuple[dict[str, dict[str, U8]], dict[str, I64]]:
    """Images by input name and set, and labels by set."""
    inputs = sorted({variant.input for variant in VARIANTS})
    images: dict[str, dict[str, U8]] = {name: {} for name in inputs}
    labels: dict[str, I64] = {}
    for name in SETS:
        seen: dict[str, int] = {}
        rows: dict[str, list[U8]] = {key: [] for key in inputs}
        kept: list[int] = []
        for label, picture in pictures(name, data):
            if seen.setdefault(label, len(seen)) < max_classes:
                kept.append(seen[label])
                for key in inputs:
                    rows[key].append(prepare(picture) if key == PRODUCT.input else resized(picture, key))
        labels[name] = np.array(kept, dtype=np.int64)
        for key in inputs:
            images[key][name] = np.stack(rows[key])
    return images, labels


@cache
def reference(side: int) -> U8:
    """The reference set at this side, painted once."""
    return reference_images(REFERENCE_IMAGES, side)


def evaluate(features: dict[str, F32], labels: dict[str, I64], episodes: int) -> F32:
    """Accuracies [sets, shots, (class mean, centred class mean, ridge)] on the same episodes for every variant."""
    rows = []
    for name in SETS:
        drawn = [draw_episodes(labels[name], n_shot, episodes) for n_shot in N_SHOTS]
        rows.append([accuracies(features[name], *episode) for episode in drawn])
    return np.array(rows, dtype=np.float32)


def measure(variant: Variant, images: dict[str, U8], labels: dict[str, I64], episodes: int) -> tuple[F32, float]:
    """Accuracies and images encoded a second."""
    side = int(variant.input.split()[0])
    encode = fit_variant(variant, reference(side))
    started = time.process_time()
    features = {name: encode(images[name]) for name in SETS}
    seconds = time.process_time() - started
    return evaluate(features, labels, episodes), sum(map(len, images.values())) / seconds


def line(name: str, accuracy: F32, speed: float) -> str:
    one, five = accuracy.mean(axis=0)
    return f"| {name} | {one[0]:.3f} | {one[2]:.3f} | {five[0]:.3f} | {five[1]:.3f} | {five[2]:.3f} | {speed:,.0f} |"


def per_set(accuracy: F32) -> list[str]:
    head = (
        "| image set | " + " | ".join(f"{n_shot}-shot {kind}" for n_shot in N_SHOTS for kind in ("class mean", "ridge")) + " |"
    )
    body = [
        f"| {name} | " + " | ".join(f"{row[shot, kind]:.3f}" for shot in range(2) for kind in (0, 2)) + " |"
        for name, row in zip(SETS, accuracy, strict=True)
    ]
    return [head, "|---|---|---|---|---|", *body]


def table(data: Path, episodes: int) -> str:
    """The whole table as markdown; each line is printed as it comes."""
    images, labels = load_sets(data, MAX_CLASSES)
    lines = ["| variant | 1-shot class mean | 1-shot ridge | 5-shot class mean | 5-shot centred | 5-shot ridge | images/s |"]
    lines += ["|---|---|---|---|---|---|---|"]
    details: list[str] = []
    for variant in VARIANTS:
        accuracy, speed = measure(variant, images[variant.input], labels, episodes)
        lines.append(line(variant.name, accuracy, speed))
        print(lines[-1], flush=True)
        if variant is PRODUCT:
            details = per_set(accuracy)
    return "\n".join([*lines, "", *details])


def put_table(path: Path, text: str) -> None:
    """Replace what is between the marks in a markdown file."""
    whole = path.read_text(encoding="utf-8")
    before, rest = whole.split(MARKS[0], 1)
    write_text(path, f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{rest.split(MARKS[1], 1)[1]}")


def save_features(data: Path, target: Path) -> None:
    """`<set>.safetensors` for every set: features float32 [N, D] and labels int64 [N] (classes by first appearance)."""
    encoder = fit()
    for name in SETS:
        rows = list(pictures(name, data))
        classes = {label: position for position, label in enumerate(dict.fromkeys(label for label, _ in rows))}
        labels = np.array([classes[label] for label, _ in rows], dtype=np.int64)
        with atomic_path(target / f"{name}.safetensors") as temporary:
            save_file({"features": encoder.encode(picture for _, picture in rows), "labels": labels}, temporary)
        print(f"{name}: {len(rows)} images, {len(classes)} classes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--write", type=Path, help="markdown file with the table's marks")
    parser.add_argument("--save", type=Path, help="folder for features; nothing else is done")
    options = parser.parse_args()
    if options.save:
        save_features(options.data, options.save)
        return
    text = table(options.data, options.episodes)
    if options.write:
        put_table(options.write, text)


if __name__ == "__main__":
    main()
