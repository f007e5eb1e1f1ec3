"""The section on general-purpose in-context learning: only where stage gpicl has run."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.files import read_json
from pipelines.layout import Layout
from training.gpicl.phases import PHASES
from training.gpicl.tables import PLACE_COLUMNS, TRACE_COLUMNS
from training.report import charts
from training.report.charts import swatch

NAMES = {"transformer": "Transformer", "pairs": "Transformer, pairs", "lstm": "LSTM", "outer_lstm": "Outer-product LSTM"}
NAMES |= {"sgd": "MLP by SGD", "class_mean": "Class mean", "ridge": "Ridge"}
COLOURS = {"transformer": "learner", "pairs": "ridge", "lstm": "knn", "outer_lstm": "unsure", "sgd": "class_mean marked"}
ON = {
    "seen": ("class_mean", "tasks trained on"),
    "unseen": ("ridge", "unseen tasks"),
    "unseen_domains": ("learner", "unseen domains"),
}
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """A drawing, what stands over it, and what its lines are."""

    title: str
    drawing: Markup
    legend: list[Markup]


def gpicl_section(layout: Layout) -> dict[str, Any] | None:
    """What the template needs, or None where stage gpicl has not run. Raises ValueError (one line) if its files are odd."""
    if not layout.gpicl.exists():
        return None
    numbers, folder = read_json(layout.gpicl), layout.gpicl.with_suffix("")
    try:
        places = read_table(folder / "positions.csv", PLACE_COLUMNS)
        traces = read_table(folder / "traces.csv", TRACE_COLUMNS)
        domains = numbers["held_out"]
        return {
            "chance": numbers["chance"],
            "settings": numbers["settings"],
            "domains": domains,
            "rows": [model_row(name, numbers["models"][name], domains) for name in NAMES if name in numbers["models"]]
            + [yardstick_row(name, numbers["yardsticks"][name], domains) for name in NAMES if name in numbers["yardsticks"]],
            "by_examples": [*model_pictures(numbers, places), *domain_pictures(numbers, places)],
            "diagram": diagram_rows(numbers["diagram"]),
            "phases": [swatch(f"phase-{phase}", words) for phase, words in PHASES.items()],
            "on_the_way": on_the_way(numbers, traces),
            "remedies": remedy_rows(numbers),
        }
    except (OSError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        said = " ".join(str(error).split())[:100]
        raise ValueError(
            f"{layout.gpicl}: expected what stage gpicl writes, with its tables beside it ({said}); run it again"
        ) from None


def read_table(path: Any, columns: Sequence[str]) -> pl.DataFrame:
    """A table with these columns, numbers as they look. Raises KeyError if one is missing."""
    frame = pl.read_csv(io.BytesIO(path.read_bytes()), infer_schema_length=None)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise KeyError(f"{path.name} has no column {missing[0]}")
    return frame


def model_row(name: str, row: Numbers, domains: Sequence[str]) -> dict[str, Any]:
    """One line of the table: a model's phase and its accuracies."""
    phases = dict.fromkeys(PHASES[seed["phase"]] for seed in row["seeds"].values())
    kinds = [row["seen"]["first"], *(row[kind]["end"] for kind in ("seen", "unseen", "unseen_domains"))]
    return {
        "name": NAMES[name],
        "parameters": row["parameters"],
        "state": row["state"],
        "phase": " / ".join(phases),
        "cells": [*kinds, *(row["domains"][domain]["end"] for domain in domains)],
    }


def yardstick_row(name: str, row: Numbers, domains: Sequence[str]) -> dict[str, Any]:
    """The same of a yardstick, which has no tasks of its own."""
    mean = {"mean": sum(row[domain]["end"]["mean"] for domain in domains) / len(domains)}
    cells = [None, None, row["unseen"]["end"], mean, *(row[domain]["end"] for domain in domains)]
    return {"name": NAMES[name], "parameters": None, "state": None, "phase": "", "cells": cells}


def model_pictures(numbers: Numbers, places: pl.DataFrame) -> list[Picture]:
    """Of each transformer: accuracy after so many examples on each kind of sequences."""
    found = []
    for name in ("transformer", "pairs"):
        if name in numbers["models"]:
            lines = [(kind, words, curve(places, name, on)) for on, (kind, words) in ON.items()]
            found.append(picture(f"{NAMES[name]}, by what is judged", lines, numbers))
    return found


def domain_pictures(numbers: Numbers, places: pl.DataFrame) -> list[Picture]:
    """Of each unseen domain: accuracy of all models and of the MLP that SGD trains on the same examples."""
    names = [name for name in COLOURS if name in [*numbers["models"], *numbers["yardsticks"]]]
    return [
        picture(domain, [(COLOURS[name], NAMES[name], curve(places, name, domain)) for name in names], numbers)
        for domain in numbers["held_out"]
    ]


def curve(places: pl.DataFrame, model: str, on: str) -> tuple[list[float], list[float]]:
    """Numbers of examples and accuracies, mean over seeds."""
    rows = places.filter((pl.col("model") == model) & (pl.col("on") == on))
    means = rows.group_by("examples").agg(pl.col("accuracy").mean()).sort("examples")
    return means["examples"].to_list(), means["accuracy"].to_list()


def picture(title: str, lines: Sequence[tuple[str, str, tuple[list[float], list[float]]]], numbers: Numbers) -> Picture:
    """Lines over the number of examples."""
    length = float(numbers["settings"]["context"])
    x = charts.Scale(0.0, length, (0.0, length / 4, length / 2, 3 * length / 4, length))
    y = charts.nice_scale(min(0.0, *(min(ys) for _, _, (_, ys) in lines)), max(max(ys) for _, _, (_, ys) in lines), 4)
    told = "; ".join(f"{words} from {ys[0]:.2f} to {ys[-1]:.2f}" for _, words, (_, ys) in lines)
    drawing = charts.lines([(kind, *xy) for kind, _, xy in lines], x, y, ".0%", f"{title}: accuracy by examples: {told}")
    return Picture(title, drawing, [swatch(kind, words) for kind, words, _ in lines])


def on_the_way(numbers: Numbers, traces: pl.DataFrame) -> Picture | None:
    """Accuracy on unseen tasks while the first model trains, plain and with each remedy; None where none was tried."""
    if not numbers["remedies"]:
        return None
    asked = numbers["settings"]
    mine = traces.filter((pl.col("model") == asked["models"][0]) & (pl.col("seed") == asked["seed"]))
    lines = []
    for part, kind in zip(mine.partition_by("biased", "batch", maintain_order=True), COLOURS.values(), strict=False):
        head = part.row(0, named=True)
        words = f"biased {head['biased']:g}" if head["biased"] else f"batch {head['batch']}"
        seen = [step * head["batch"] / 1000 for step in part["step"].to_list()]
        lines.append((kind.split()[0], words, (seen, part["unseen"].to_list())))
    x = charts.nice_scale(0.0, max(xs[-1] for _, _, (xs, _) in lines), 4)
    y = charts.nice_scale(0.0, max(max(ys) for _, _, (_, ys) in lines), 4)
    told = "; ".join(f"{words} ends at {ys[-1]:.2f}" for _, words, (_, ys) in lines)
    drawing = charts.lines([(kind, *xy) for kind, _, xy in lines], x, y, ".0%", f"Unseen tasks by sequences trained on: {told}")
    return Picture("Unseen tasks", drawing, [swatch(kind, words) for kind, words, _ in lines])


def remedy_rows(numbers: Numbers) -> list[dict[str, Any]]:
    """The plain training of the first model, then each remedy: its plateau and where it ended. None where none was tried."""
    if not numbers["remedies"]:
        return []
    name = numbers["settings"]["models"][0]
    rows = []
    for words, row in {"plain": numbers["models"][name], **numbers["remedies"]}.items():
        (seed, *_) = row["seeds"].values()
        ends = [seed["unseen_end"], seed["unseen_domains_end"]]
        rows.append(
            {
                "name": words.replace("_", " "),
                "steps": row["steps"],
                "batch": row["batch"],
                "plateau": seed["plateau"],
                "ends": ends,
            }
        )
    return rows


def diagram_rows(diagram: Numbers) -> dict[str, Any] | None:
    """The phase diagram: columns are numbers of tasks, rows are widths and seeds; None where there is none."""
    if not diagram:
        return None
    columns = sorted(diagram, key=lambda name: int(name.removeprefix("2^")))
    lines = sorted(
        {(int(width.split("_")[1]), seed) for row in diagram.values() for width, seeds in row.items() for seed in seeds}
    )
    rows = []
    for width, seed in lines:
        cells = [diagram[column].get(f"width_{width}", {}).get(seed) for column in columns]
        rows.append({"name": f"width {width}, {seed.replace('_', ' ')}", "cells": cells})
    return {"columns": [column.removeprefix("2^") for column in columns], "rows": rows}
