"""Threads, processes and Dask on one machine: seconds of whole commands on a made domain, and whether the bytes agree.

    python -m benchmarks.runners [--images 10000] [--rounds 3]

Each command is a process of its own, the kinds in turn, the median of the rounds counts. A small domain of 512 images says
what it takes to start, Python and Prefect included; the rate is that of the images which the large one has more.
"""

import argparse
import hashlib
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import yaml
from PIL import Image

from pipelines.layout import Layout
from pipelines.raw import write_raw
from pipelines.sources import RawRecord

ROOT = Path(__file__).parents[1]
KINDS = ("threads", "processes", "dask")
SMALL = 512  # images: two batches
SIDE = 128  # px


class Took(NamedTuple):
    """Of one command."""

    wall: float  # s
    cpu: float  # s, of all its processes


def pictures(count: int, seed: int) -> Iterator[RawRecord]:
    """JPEGs of SIDE px, smooth with some noise, no two alike, in 20 classes."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC
        )
        noisy_HWC = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (SIDE, SIDE, 3), dtype=np.int16)
        out = io.BytesIO()
        Image.fromarray(np.clip(noisy_HWC, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
        yield RawRecord(f"c{number % 20}/{number:06d}.jpg", f"c{number % 20}", out.getvalue())


def make_project(root: Path, images: int) -> None:
    """A project of two domains whose raw records are there, with its encoder."""
    layout = Layout(root)
    for seed, (name, count) in enumerate({"small": SMALL, "large": images}.items()):
        layout.raw(name).mkdir(parents=True)
        write_raw(pictures(count, seed), layout.raw(name), {"kind": "archive", "locator": f"{name}.zip"})
        card = {"id": name, "title": name, "domain": "made pictures", "description": "Noise.", "licence": "CC0-1.0"}
        layout.card(name).parent.mkdir(exist_ok=True)
        layout.card(name).write_text(yaml.safe_dump(card | {"source": {"kind": "archive", "locator": f"{name}.zip"}}))
    choose(root, "threads")
    command(root, "encoder")


def choose(root: Path, kind: str) -> None:
    panel = {"domains": {"large": "train", "small": "held_out"}, "allow_licences": "all", "runner": kind}
    Layout(root).params.write_text(yaml.safe_dump(panel | {"curation": {"cap_per_class": 1_000_000}}))


def command(root: Path, *words: str) -> Took:
    """Run `python -m pipelines ...` in the project."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "pipelines", *words], cwd=root, env=surroundings, check=True, capture_output=True)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def digest(root: Path, stage: str) -> str:
    """Of every file that the stage made of the large domain, with its name."""
    layout, total = Layout(root), hashlib.sha256()
    folders = [layout.embeddings("large")] if stage == "embed" else [layout.domain("large"), layout.features("large")]
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def main() -> int:
    """Measure and print the tables."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--images", type=int, default=10_000)
    asked.add_argument("--rounds", type=int, default=3)
    given = asked.parse_args()
    took: dict[tuple[str, str, str], list[Took]] = {}
    made: set[tuple[str, str]] = set()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_project(root, given.images)
        command(root, "ui")
        for _ in range(given.rounds):
            for kind in KINDS:
                choose(root, kind)
                for stage in ("embed", "curate"):
                    for domain in ("small", "large"):
                        took.setdefault((stage, kind, domain), []).append(command(root, stage, domain))
                        print(f"  {stage} {domain} {kind}: {took[stage, kind, domain][-1]}", file=sys.stderr, flush=True)
                    made.add((stage, digest(root, stage)))
        command(root, "stop")
    print(f"{os.cpu_count()} cores, {given.images} JPEGs of {SIDE} px, median of {given.rounds}\n")
    print("| stage | runner | small, s | large, s | large, CPU s | images/s |\n|---|---|--:|--:|--:|--:|")
    for (stage, kind, domain), large in took.items():
        if domain == "large":
            start, wall = (median(one.wall for one in took[stage, kind, name]) for name in ("small", "large"))
            rate = (given.images - SMALL) / (wall - start)
            print(f"| {stage} | {kind} | {start:.1f} | {wall:.1f} | {median(one.cpu for one in large):.1f} | {rate:.0f} |")
    assert len(made) == 2, "the kinds made different bytes"
    print("\nEvery file the same, byte for byte, by all three.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
