"""Trainings an hour of a measurement's sweep, in processes beside one after another: `python -m benchmarks.sweep`.

    python -m benchmarks.sweep PROJECT --trainings 12 --rounds 2     # of a project that has been run

Both sides do the same trainings of stage measure by the same code, each into a store of its own, in turn; every accuracy of
every episode has to be equal to the last bit. Starting the processes counts. Prints Markdown.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.params import load_params
from training.measure.stage import planned
from training.measure.store import Store
from training.measure.sweep import in_threads, processes
from training.measure.trial import Job, Judged, Trial, finish


def sweep(trial: Trial, jobs: list[Job], workers: int) -> tuple[float, dict[Job, Judged]]:
    """Seconds of these trainings in so many processes, with one in this process, and what they came to."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        fresh = replace(trial, store=Store(Path(folder)))
        with processes(fresh, workers, finish) as do:
            found = dict(in_threads(workers)(do, jobs))
        return time.monotonic() - begun, found


def equal(one: dict[Job, Judged], other: dict[Job, Judged]) -> bool:
    """Whether two sweeps came to the same bytes for every job and place."""
    if one.keys() != other.keys() or any(one[job].keys() != other[job].keys() for job in one):
        return False
    return all(one[job][place].tobytes() == other[job][place].tobytes() for job in one for place in one[job])


def main() -> int:
    """Measure both sides in turn and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, help="a project that `dvc repro` has built")
    parser.add_argument("--trainings", type=int, default=12, help="of those that its params.yaml asks for, the first so many")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    layout = Layout(asked.project)
    found = planned(load_params(layout.params), layout, read_json(layout.manifest))
    jobs = found.plan.jobs[: asked.trainings]
    seconds: dict[int, list[float]] = {1: [], asked.workers: []}
    first: dict[Job, Judged] = {}
    for number in range(asked.rounds):
        for workers in seconds:
            took, done = sweep(found.trial, jobs, workers)
            first = first or done
            if not equal(first, done):
                raise ValueError(f"{workers} processes came to other accuracies")
            seconds[workers].append(took)
            print(f"round {number}, {workers}: {took:.1f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    print(f"{len(jobs)} trainings of {found.trial.measurement.steps} steps, load {os.getloadavg()[0]:.1f}\n")
    print("| processes | s | trainings an hour | times |\n|--:|--:|--:|--:|")
    for workers, took in seconds.items():
        times = statistics.median(alone / beside for alone, beside in zip(seconds[1], took, strict=True))
        middle = statistics.median(took)
        print(f"| {workers} | {middle:.1f} | {3600 * len(jobs) / middle:.0f} | {times:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
