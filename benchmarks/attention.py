"""A training step with inline and with full attention: `python -m benchmarks.attention`. Prints Markdown.

5-way 5-shot episodes with 15 queries a class. Inline, a query is a token among the others that sees the supports and itself;
full, each query has a sequence of its own (CAMeLU, arXiv 2405.16124). Both take turns; medians of the rounds. What accuracy
either comes to is `python -m benchmarks.learner FOLDER --set attention=full`.
"""

import argparse
import os
import statistics
from typing import get_args

import torch

from benchmarks.training_steps import real_step, seconds, settings_of
from pipelines.training_settings import Attention, Readout, Size
from training.device import choose
from training.shape import SIZES


def row(size: Size, readout: Readout, batch: int, rounds: int) -> str:
    """A row of the table."""
    steps = {kind: settings_of(size, readout, batch, kind) for kind in get_args(Attention)}
    place = choose(steps["inline"])
    running = {kind: real_step(settings, place) for kind, settings in steps.items()}
    took: dict[str, list[float]] = {kind: [] for kind in running}
    for step in running.values():
        next(step)
    for _ in range(rounds):
        for kind, step in running.items():
            took[kind].append(seconds(lambda step=step: next(step), 5 if kind == "inline" else 1, place.device))  # type: ignore[misc]
    ratio = statistics.median(full / inline for full, inline in zip(took["full"], took["inline"], strict=True))
    cells = [
        size,
        readout,
        batch,
        *(f"{1e3 * statistics.median(took[kind]):.0f}" for kind in ("inline", "full")),
        f"{ratio:.1f}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", nargs="+", choices=list(SIZES), default=["tiny", "small"])
    parser.add_argument("--readout", nargs="+", choices=get_args(Readout), default=["linear", "parts"])
    parser.add_argument("--batch", type=int, default=16, help="episodes a step")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}\n")
    print("| size | read-out | batch | inline, ms | full, ms | times |\n|---|---|---|---|---|---|", flush=True)
    for size in asked.size:
        for readout in asked.readout:
            print(row(size, readout, asked.batch, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
