"""Stage mechanism without Prefect: what it finds, and the files that it leaves."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.files import atomic_folder, write_json, write_text
from pipelines.layout import Layout
from pipelines.params import Params
from training.mechanism.experiment import GD, GD_PLUS_PLUS
from training.mechanism.of_learner import of_learner
from training.mechanism.run import AGREEMENT, Found, Progress, run_trials, table

DIGITS = 6
LOSSES = ("loss", "loss_gd", "loss_gd_plus_plus")
TABLES = ("training.csv", "out_of_range.csv", "predictions.csv", "weights.csv")
Row = Sequence[Any]


@dataclass(frozen=True)
class Mechanism:
    """`numbers` go into reports/mechanism.json; `found` are the trainings, of which the plots are made."""

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
    """Write the plots' tables as a folder, and the numbers, each atomically."""
    headers = {
        "training.csv": (
            "model",
            "seed",
            "step",
            *LOSSES,
            *(f"{of}.{name}" for of in (GD, GD_PLUS_PLUS) for name in AGREEMENT),
        ),
        "out_of_range.csv": ("model", "seed", "stretched", "factor", *LOSSES),
        "predictions.csv": ("model", "reference", "trained"),
        "weights.csv": ("model", "product", "layer", "head", "row", "column", "trained", "theory"),
    }
    rows = {
        "training.csv": _curves,
        "out_of_range.csv": _out_of_range,
        "predictions.csv": _predictions,
        "weights.csv": _weights,
    }
    with atomic_folder(folder(layout)) as target:
        for name in TABLES:
            write_text(target / name, _csv(headers[name], rows[name](made.found)))
    write_json(layout.mechanism, made.numbers)


def folder(layout: Layout) -> Path:
    """Where the tables lie."""
    return layout.mechanism.with_suffix("")


def rounded(value: Any) -> Any:
    """The same with floats of a few digits: more would be noise in every diff."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _curves(found: Sequence[Found]) -> Iterator[Row]:
    for run in found:
        for look in run["curve"]:
            alike = [look.get(of, {}).get(name) for of in (GD, GD_PLUS_PLUS) for name in AGREEMENT]
            yield run["name"], run["seed"], look["step"], *(look.get(name) for name in LOSSES), *alike


def _out_of_range(found: Sequence[Found]) -> Iterator[Row]:
    for run in found:
        for row in run["out_of_range"]:
            yield run["name"], run["seed"], row["stretched"], row["factor"], *(row.get(name) for name in LOSSES)


def _predictions(found: Sequence[Found]) -> Iterator[Row]:
    """Of the first seed of each model."""
    for run in _firsts(found):
        trained, exact = run["predictions"]
        yield from ((run["name"], there, here) for here, there in zip(trained, exact, strict=True))


def _weights(found: Sequence[Found]) -> Iterator[Row]:
    """Of the first seed of each linear model."""
    for run in _firsts(found):
        for product, (trained_LHEE, theory_LHEE) in run.get("products", {}).items():
            for layer, (trained_HEE, theory_HEE) in enumerate(zip(trained_LHEE, theory_LHEE, strict=True)):
                for head, (trained_EE, theory_EE) in enumerate(zip(trained_HEE, theory_HEE, strict=True)):
                    for row, (trained_E, theory_E) in enumerate(zip(trained_EE, theory_EE, strict=True)):
                        for column, pair in enumerate(zip(trained_E, theory_E, strict=True)):
                            yield run["name"], product, layer, head, row, column, *pair


def _firsts(found: Sequence[Found]) -> Iterator[Found]:
    seen: set[str] = set()
    for run in found:
        if run["name"] not in seen:
            seen.add(run["name"])
            yield run


def _csv(header: Sequence[str], rows: Iterator[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return text.getvalue()
