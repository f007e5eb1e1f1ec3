"""Pictures a second through embedding and curation at 128 px: `python -m benchmarks.curation [--pictures N] [--rounds N]`.

Once as plain functions over two processes, with the seconds of each part, and once as the command, with DVC's and Prefect's
share: `python -m pipelines embed` and `curate`, runner `processes`, on a Prefect server that runs before. No cap a class, so
that every picture goes through every step.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.made_project import DOMAIN, write_project
from benchmarks.photographs import DATA, jpegs
from benchmarks.pool import Pool, pool
from pipelines import curate as steps
from pipelines.cards import load_card
from pipelines.curate import curate
from pipelines.embed import embed
from pipelines.encoders import fit
from pipelines.files import atomic_folder
from pipelines.layout import Layout
from pipelines.params import load_params

PARTS = ("decide", "deduplicate", "suspects", "publish")  # of `curate`, beside what its workers do; the second is in the first


def timed(name: str, seconds: dict[str, float]) -> None:
    """Have a step that `curate` calls count its seconds."""
    step: Callable[..., object] = getattr(steps, name)

    def counted(*words: object, **named: object) -> object:
        begun = time.perf_counter()
        try:
            return step(*words, **named)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun

    setattr(steps, name, counted)


def plain_embed(layout: Layout, processes: Pool) -> float:
    """Seconds."""
    begun = time.perf_counter()
    with atomic_folder(layout.embeddings(DOMAIN)) as target:
        embed(DOMAIN, layout, target, 64_000_000, processes)
    return time.perf_counter() - begun


def plain_curate(layout: Layout, processes: Pool) -> tuple[float, str]:
    """Seconds, and what became of the records."""
    settings, begun = load_params(layout.params).curation, time.perf_counter()
    with atomic_folder(layout.features(DOMAIN)) as features, atomic_folder(layout.domain(DOMAIN)) as target:
        stats = curate(load_card(layout.card(DOMAIN)), layout, target, features, settings, processes)
    return time.perf_counter() - begun, ", ".join(f"{count} {name}" for name, count in stats["verdicts"].items() if count)


def command(root: Path, *words: str) -> float:
    """Seconds of a command of ours in the project."""
    begun, code = time.perf_counter(), Path(__file__).parents[1]
    called, where = [sys.executable, "-m", "pipelines", *words], os.environ | {"PYTHONPATH": str(code)}
    done = subprocess.run(called, cwd=root, env=where, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--data", type=Path, default=DATA, help="folder of the real image sets; embedded pictures without it")
    words.add_argument("--pictures", type=int, default=20_000)
    words.add_argument("--rounds", type=int, default=2)
    chosen = words.parse_args()
    count = chosen.pictures
    with tempfile.TemporaryDirectory() as folder, pool() as processes:
        layout = write_project(Path(folder), jpegs(count, 128, chosen.data))
        layout.encoder.parent.mkdir(exist_ok=True)
        fit().save(layout.encoder)
        print("| what | s | images/s |\n|---|--:|--:|")
        took = plain_embed(layout, processes)
        print(f"| embed | {took:.1f} | {count / took:.0f} |", flush=True)
        for name in PARTS:
            timed(name, processes.seconds)
        for number in range(chosen.rounds):
            processes.seconds.clear()
            took, found = plain_curate(layout, processes)
            print(f"| curate, round {number + 1} | {took:.1f} | {count / took:.0f} |")
            for name, part in processes.seconds.items():
                print(f"| of this {name} | {part:.1f} | |", flush=True)
        command(Path(folder), "ui")
        try:
            for stage in ("embed", "curate"):
                took = command(Path(folder), stage, DOMAIN)
                print(f"| `python -m pipelines {stage}` | {took:.1f} | {count / took:.0f} |", flush=True)
        finally:
            command(Path(folder), "stop")
        print(f"\n{found}")


if __name__ == "__main__":
    main()
