"""What a swap costs beside building everything again, on the default collection: `python -m benchmarks.swap`.

    python -m benchmarks.swap --folder FOLDER        # keeps the two projects there; about three times as long as `make run`

In one fresh copy of the project everything is built from nothing; then the spare `curves` and the train domain `glyphs`
change their roles; then the card of `textures` asks for other pictures, which is a newcomer in the place of a train domain.
Each time `dvc repro` does what is new. In another copy the collection with changed roles is built from nothing: it has to be
the same to the last bit as the one that the swap came to. Prints Markdown.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.overhead import ROOT, copy_project
from pipelines.files import read_json
from pipelines.layout import Layout
from training.measure.run import TRAININGS
from training.report.stage_times import last_run, read_stages

ROLES = {"  glyphs: train\n": "  glyphs: spare\n", "  curves: spare ": "  curves: train "}
NEWCOMER = "textures"


@dataclass(frozen=True)
class Cost:
    """What one `dvc repro` took."""

    what: str
    seconds: float  # wall
    processor: float  # s of all processes, which other work on the machine bears on less
    bytes: int  # outputs of the stages that ran, and the trainings kept
    stages: int
    trainings: int
    load: float  # of the machine, in the last minute of it


def repro(project: Path, what: str) -> Cost:
    """Run `dvc repro`, which has to succeed."""
    layout = Layout(project)
    before = _kept(layout)
    begun, used = time.monotonic(), _processor()
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "dvc", "repro"]
    subprocess.run(command, cwd=project, check=True, stdout=sys.stderr)
    seconds, load, after = time.monotonic() - begun, os.getloadavg()[0], _kept(layout)
    stages = read_stages(layout.state / "stages", list(read_json(layout.manifest)["domains"]))
    ran = [time for time in stages if time.stage in last_run(stages) or time.group == "report"]
    written = sum(time.bytes for time in ran) + sum(after[name] for name in after.keys() - before.keys())
    cost = Cost(
        what, seconds, _processor() - used, written, len(ran), len({name.parent for name in after.keys() - before.keys()}), load
    )
    print(row(cost, None), file=sys.stderr, flush=True)
    return cost


def _processor() -> float:
    """Processor seconds of all children that have ended, and of theirs."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _kept(layout: Layout) -> dict[Path, int]:
    return {path: path.stat().st_size for path in layout.trainings.rglob("*") if path.is_file()}


def edit(path: Path, changes: dict[str, str]) -> None:
    """Replace what stands once in a file."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        if text.count(old) != 1:
            raise ValueError(f"{path}: expected {old.strip()!r} once")
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def same_results(one: Path, other: Path) -> bool:
    """Whether two projects measured the same accuracies in each episode, by the same trainings."""
    names = ("results.parquet", TRAININGS)
    folders = [Layout(project).measurement for project in (one, other)]
    return all(pl.read_parquet(folders[0] / name).equals(pl.read_parquet(folders[1] / name)) for name in names)


def row(cost: Cost, rebuild: Cost | None) -> str:
    """A line of the table, with shares of a rebuild (of itself, until one is known)."""
    whole = rebuild or cost
    pairs = ((cost.seconds, whole.seconds), (cost.processor, whole.processor), (cost.bytes / 1e6, whole.bytes / 1e6))
    figures = [f"{value:.0f} ({value / of:.0%})" for value, of in pairs]
    return f"| {cost.what} | {' | '.join(figures)} | {cost.stages} | {cost.trainings} | {cost.load:.1f} |"


def run(folder: Path) -> list[Cost]:
    """Build, change roles, take a newcomer in; and build what the change of roles came to from nothing."""
    one, other = folder / "swapped", folder / "rebuilt"
    for project in (one, other):
        copy_project(project)
    costs = [repro(one, "everything, from nothing")]
    for project in (one, other):
        edit(Layout(project).params, ROLES)
    costs.append(repro(one, "`curves` and `glyphs` change roles"))
    costs.append(repro(other, "the same collection, from nothing"))
    if not same_results(one, other):
        raise ValueError("a swap came to other accuracies than a rebuild")
    told = read_json(one / "reports" / "metrics.json")["swap_cost"]
    print(f"the report says: {told}", file=sys.stderr)
    edit(Layout(one).card(NEWCOMER), {"    seed: 0\n": "    seed: 1\n"})
    costs.append(repro(one, f"a newcomer in the place of `{NEWCOMER}`"))
    print(f"the report says: {read_json(one / 'reports' / 'metrics.json')['swap_cost']}\n", flush=True)
    return costs


def main() -> int:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swap", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="keep the projects in this new folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = run(asked.folder or Path(folder))
    print("| what, and its share of a rebuild | s | processor s | MB written | stages | trainings | load |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    print("\n".join(row(cost, costs[2]) for cost in costs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
