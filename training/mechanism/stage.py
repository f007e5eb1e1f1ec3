"""Stage mechanism without Prefect: what it finds, and the files that it leaves."""

import os
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from pipelines.files import write_json
from pipelines.layout import Layout
from pipelines.params import Params
from training.mechanism.of_learner import of_learner
from training.mechanism.run import Found, Progress, run_trials, table
from training.mechanism.tables import write_tables

DIGITS = 6


@dataclass(frozen=True)
class Mechanism:
    """`numbers` go into reports/mechanism.json; `found` are the trainings, of which the tables are made."""

    numbers: dict[str, Any]
    found: list[Found]


def mechanism(params: Params, layout: Layout, workers: int | None = None, progress: Progress | None = None) -> Mechanism:
    """Look at the learner, then train and measure all models. `workers`: processes, by default one a core.

    Raises ValueError (one line) as `of_learner` and `run_trials` do; nothing is written here.
    """
    asked = params.mechanism
    learner = of_learner(params, layout, progress) if asked.learner_episodes else {}
    found = run_trials(asked, workers or os.cpu_count() or 1, progress)
    numbers = table(asked, found) | ({"learner": learner} if learner else {})
    settings = {"settings": asked.model_dump(mode="json")}
    return Mechanism(rounded(numbers) | settings, found)


def write_mechanism(made: Mechanism, layout: Layout) -> None:
    """Write the tables and the numbers."""
    write_tables(folder(layout), made.found)
    write_json(layout.mechanism, made.numbers)


def folder(layout: Layout) -> Path:
    """Where the tables lie."""
    return layout.mechanism.with_suffix("")


def rounded(value: Any) -> Any:
    """The same with floats of a few digits, for more would be noise in every diff; what is no number, or past all, is none."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        return round(value, DIGITS) if isfinite(value) else None
    return value
