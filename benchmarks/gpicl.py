"""The tables of docs/in_context_learning.md on general-purpose in-context learning.

    python -m benchmarks.gpicl FOLDER --held NAME ... [--train NAME ...] [--workers N] [--keep DIR] [--set NAME=VALUE ...]

FOLDER is a project or holds a file of features a domain, as for benchmarks.learner. Models are trained on the named domains,
in this order, or on all but the held ones, with the settings that params.yaml has in its section `gpicl` where `--set` says no
others, e.g. `--set seeds=3` or `--set "diagram={log2_tasks: [0, 8, 16], widths: [64], seeds: [0], steps: 1500}"`. Prints
Markdown. Trainings that end are kept in DIR, so that a run that was cut off goes on.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.learner import read
from pipelines.gpicl_settings import Gpicl
from pipelines.settings import validate
from training.gpicl.kept import Kept
from training.gpicl.phases import PHASES
from training.gpicl.run import CPU, Ground, gpicl
from training.gpicl.stage import numbers


def percent(value: Mapping[str, float]) -> str:
    """A share with its interval, in per cent."""
    if "low" not in value:
        return f"{100 * value['mean']:.1f}"
    return f"{100 * value['mean']:.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def models(found: Mapping[str, Any]) -> str:
    """Models and yardsticks: accuracy at the end of the context."""
    held = found["held_out"]
    rows = []
    for name, row in found["models"].items():
        seeds = row["seeds"].values()
        phases = " / ".join(dict.fromkeys(PHASES[seed["phase"]] for seed in seeds))
        kinds = [percent(row[kind]["end"]) for kind in ("seen", "unseen", "unseen_domains")]
        of_domains = [percent(row["domains"][domain]["end"]) for domain in held]
        spread = ", ".join(f"{100 * seed['unseen_domains_end']:.1f}" for seed in seeds)
        seconds = sum(seed["seconds"] for seed in seeds) / len(seeds)
        rows.append([name, f"{row['parameters']}", f"{row['state']}", phases, *kinds, spread, *of_domains, f"{seconds:.0f}"])
    for name, row in found["yardsticks"].items():
        mean = {"mean": sum(row[domain]["end"]["mean"] for domain in held) / len(held)}
        ends = [percent(row["unseen"]["end"]), percent(mean), "", *(percent(row[domain]["end"]) for domain in held)]
        rows.append([name, "", "", "", "", *ends, ""])
    head = ["model", "parameters", "state", "phase", "seen tasks", "unseen tasks", "unseen domains", "by seed", *held, "s"]
    return table(head, rows)


def remedies(found: Mapping[str, Any]) -> str:
    """The plain training of the first model and each remedy."""
    plain = found["models"][found["settings"]["models"][0]]
    rows = []
    for name, row in {"plain": plain, **found["remedies"]}.items():
        seed = next(iter(row["seeds"].values()))
        ends = [f"{100 * seed[kind]:.1f}" for kind in ("unseen_end", "unseen_domains_end")]
        rows.append([name, str(row["batch"]), str(row["steps"]), str(seed["plateau"]), *ends, f"{seed['seconds']:.0f}"])
    return table(["training", "batch", "steps", "above chance from step", "unseen tasks", "unseen domains", "s"], rows)


def diagram(found: Mapping[str, Any]) -> str:
    """The phase of each training: seen tasks without an example, seen tasks, unseen tasks, unseen domains."""
    columns = sorted(found["diagram"], key=lambda name: int(name.removeprefix("2^")))
    lines = {(width, seed) for row in found["diagram"].values() for width, seeds in row.items() for seed in seeds}
    rows = []
    for width, seed in sorted(lines, key=lambda line: (int(line[0].removeprefix("width_")), line[1])):
        cells = []
        for column in columns:
            one = found["diagram"][column].get(width, {}).get(seed)
            ends = ("seen_first", "seen_end", "unseen_end", "unseen_domains_end")
            cells.append(f"{one['phase']} {' '.join(f'{100 * one[end]:.0f}' for end in ends)}" if one else "")
        rows.append([f"{width} {seed}".replace("_", " "), *cells])
    return table(["", *columns], rows)


def main() -> None:
    """Train what is asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--held", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--train", nargs="+", metavar="NAME")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args()
    changes = {name: yaml.safe_load(value) for name, _, value in (change.partition("=") for change in asked.set)}
    settings = validate(Gpicl, changes, "--set")
    domains, _ = read(asked.folder)
    trained = asked.train or [name for name in domains if name not in asked.held]
    if unknown := sorted({*asked.held, *trained} - set(domains)):
        parser.error(f"{unknown[0]}: expected one of {', '.join(domains)}")
    ground = Ground([domains[name] for name in trained], [domains[name] for name in asked.held], settings)
    kept = Kept(asked.keep, [*ground.train, *ground.held_out], settings, CPU) if asked.keep else None
    torch.set_num_threads(1)
    found = numbers(gpicl(ground, workers=asked.workers, progress=print, kept=kept) | {"device": "cpu"})
    print("", models(found), "", remedies(found), "", diagram(found), sep="\n")


if __name__ == "__main__":
    main()
