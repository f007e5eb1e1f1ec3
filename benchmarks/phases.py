"""In-context meta-learning at the default and beside it: the table of docs/in_context_learning.md.

python -m benchmarks.phases [--seeds 5] [--only WORDS ...]
"""

import argparse
import os
import time
from collections.abc import Mapping
from typing import Any

from pipelines.phases_settings import Phases
from training.phases.phase import PHASES
from training.phases.run import numbers, run_trials

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "two heads": {"heads": 2},
    "one layer": {"layers": 1},
    "64 classes, as in the paper": {"classes": 64},
    "128 classes": {"classes": 128, "steps": 10_000},
    "eight pairs": {"context": 8},
}
Numbers = Mapping[str, Any]


def words(value: Numbers) -> str:
    """Mean and the ends of the interval, in per cent."""
    if value["mean"] is None:
        return "-"
    ends = "" if value["low"] is None else f" [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"
    return f"{100 * value['mean']:.1f}{ends}"


def lines(name: str, made: Numbers, seconds: float) -> list[str]:
    """What one variant came to."""
    found = [f"== {name}: {seconds:.0f} s, known {', '.join(f'{of} {100 * value:.1f}' for of, value in made['known'].items())}"]
    found.append("  end: " + ", ".join(f"{of} {words(value)}" for of, value in made["end"].items()))
    for phase, told in PHASES.items():
        row = made["phases"][phase]
        found.append(f"  {told}: entered {list(row['entered'].values())}, {row['seeds']} seeds")
        if row["seeds"]:
            found.append(f"    accuracy {words(row['accuracy'])}, decoded {rounded(row['decodability'])}")
            found += [f"    {head} {rounded(values)}" for head, values in row["circuits"].items()]
    for part, row in made["decodability"].items():
        ranks = row["rank_correlation"]
        told = "-" if ranks["mean"] is None else f"{ranks['mean']:.3f} [{ranks['low']}, {ranks['high']}]"
        found.append(f"  {part}: decoded {words(row['end'])}, rank correlation with accuracy {told}")
    return found


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """The same with two digits."""
    return {name: round(value, 2) for name, value in values.items()}


def main() -> None:
    """Train and print every variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=sorted(VARIANTS))
    asked = parser.parse_args()
    for name in asked.only or VARIANTS:
        begun = time.monotonic()
        found = run_trials(
            Phases(**VARIANTS[name] | {"seeds": asked.seeds}), int(os.environ.get("WORKERS", os.cpu_count() or 1))
        )
        print("\n".join(lines(name, numbers(found), time.monotonic() - begun)), flush=True)


if __name__ == "__main__":
    main()
