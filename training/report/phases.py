"""The section on how a task comes to be inferred from its context: only where stage phases has run."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipelines.files import read_json
from pipelines.layout import Layout
from training.phases.circuits import MEASURES
from training.phases.phase import PHASES, Phase
from training.phases.tables import TABLES
from training.report import charts
from training.report.charts import swatch
from training.report.gpicl import Picture, read_table
from training.report.matrices import heat_map

Numbers = Mapping[str, Any]
Lines = Sequence[tuple[str, str, Sequence[float], Sequence[float]]]  # class, words, steps, values
CIRCUITS = {"bigram": "class_mean", "label_attention": "ridge", "chunk_example": "learner"}
CIRCUIT_WORDS = {
    "bigram": "bigram: the asked item to itself",
    "label_attention": "label attention: the asked item to the labels",
    "chunk_example": "chunk example: labels to their own items",
}
KNOWN = {"non_context": "class_mean", "semi_context": "ridge"}
KNOWN_WORDS = {
    "non_context": "best from the asked item alone",
    "semi_context": "best from it and the labels of the context",
}
COLOURS = ("class_mean", "ridge", "knn", "unsure")
MOST_HEADS = 8  # that have pictures


def phases_section(layout: Layout) -> dict[str, Any] | None:
    """What the template needs, or None where stage phases has not run. Raises ValueError (one line) if its files are odd."""
    if not layout.phases.exists():
        return None
    numbers = read_json(layout.phases)
    try:
        looks, circuits, decoded, attention = (
            read_table(layout.phases.with_suffix("") / f"{name}.csv", TABLES[name][0])
            for name in ("looks", "circuits", "decodability", "attention")
        )
        heads = circuits.select("layer", "head").unique().sort("layer", "head").rows()
        last = f"layer_{heads[-1][0]}"
        return {
            "settings": numbers["settings"],
            "known": numbers["known"],
            "end": numbers["end"],
            "heads": [head_words(*head) for head in heads],
            "rows": [phase_row(phase, numbers, last) for phase in PHASES],
            "states": [(words_of(name), row) for name, row in numbers["decodability"].items()],
            "accuracy": accuracy_picture(looks, numbers["known"]),
            "circuits": [circuit_picture(circuits, *head) for head in heads[:MOST_HEADS]],
            "left_out": max(0, len(heads) - MOST_HEADS),
            "decoded": decoded_picture(looks, decoded),
            "attention": attention_maps(attention, heads[:MOST_HEADS]),
        }
    except (OSError, KeyError, TypeError, IndexError, pl.exceptions.PolarsError) as error:
        said = " ".join(str(error).split())[:100]
        raise ValueError(
            f"{layout.phases}: expected what stage phases writes, with its tables beside it ({said}); run it again"
        ) from None


def phase_row(phase: Phase, numbers: Numbers, last: str) -> dict[str, Any]:
    """One line of the table; a phase that no training came through has no figures."""
    row = numbers["phases"][phase]
    decoded = row.get("decodability", {})
    return {
        "name": PHASES[phase],
        "entered": list(row["entered"].values()),
        "accuracy": row.get("accuracy"),
        "heads": [[values[name] for name in MEASURES] for values in row.get("circuits", {}).values()],
        "decoded": [decoded["layer_1"], decoded[last]] if decoded else [],
    }


def accuracy_picture(looks: pl.DataFrame, known: Numbers) -> Picture:
    """Accuracy on the way, mean over trainings, and the most that can be known of an item and of labels."""
    steps, accuracies = over_steps(looks, "accuracy")
    lines = [(kind, KNOWN_WORDS[name], [steps[0], steps[-1]], [known[name]] * 2) for name, kind in KNOWN.items()]
    return picture("Accuracy", [*lines, ("learner", "accuracy", steps, accuracies)])


def circuit_picture(circuits: pl.DataFrame, layer: int, head: int) -> Picture:
    """The measures of one head on the way, mean over trainings."""
    rows = circuits.filter((pl.col("layer") == layer) & (pl.col("head") == head))
    return picture(head_words(layer, head), [(CIRCUITS[of], CIRCUIT_WORDS[of], *over_steps(rows, of)) for of in MEASURES])


def decoded_picture(looks: pl.DataFrame, decoded: pl.DataFrame) -> Picture:
    """How well the task is told from the states after each layer and after the read-out, beside accuracy."""
    states = [name for name in decoded["state"].unique(maintain_order=True) if name != "input" and name != "readout_1"]
    lines = [
        (kind, words_of(state), *over_steps(decoded.filter(pl.col("state") == state), "decoded"))
        for kind, state in zip(COLOURS, states[-len(COLOURS) :], strict=False)
    ]
    return picture("The task, decoded", [*lines, ("learner", "accuracy", *over_steps(looks, "accuracy"))])


def attention_maps(attention: pl.DataFrame, heads: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Of the first training: what each token attends to at the last look in each phase."""
    found = []
    for phase in attention["phase"].unique(maintain_order=True):
        for layer, head in heads:
            rows = attention.filter((pl.col("phase") == phase) & (pl.col("layer") == layer) & (pl.col("head") == head))
            values = rows.sort("row", "column")["share"].to_list()
            side = round(len(values) ** 0.5)
            matrix = [values[start : start + side] for start in range(0, len(values), side)]
            most = max(range(side), key=lambda column, asked=matrix[-1]: asked[column])  # type: ignore[misc]
            alt = f"{PHASES[phase]}, {head_words(layer, head)}: the asked item attends most to token {most + 1} of {side}"
            found.append({"title": PHASES[phase], "note": head_words(layer, head), "drawing": heat_map(matrix, 1.0, alt)})
    return found


def over_steps(rows: pl.DataFrame, column: str) -> tuple[list[float], list[float]]:
    """Steps and values, mean over trainings."""
    means = rows.group_by("step").agg(pl.col(column).mean()).sort("step")
    return means["step"].to_list(), means[column].to_list()


def picture(title: str, lines: Lines) -> Picture:
    """Shares by step."""
    x = charts.nice_scale(0.0, float(max(steps[-1] for _, _, steps, _ in lines)), 4)
    y = charts.Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
    told = "; ".join(f"{words} from {values[0]:.2f} to {values[-1]:.2f}" for _, words, _, values in lines)
    drawing = charts.lines([(kind, steps, values) for kind, _, steps, values in lines], x, y, ".0%", f"{title} by step: {told}")
    return Picture(title, drawing, [swatch(kind, words) for kind, words, _, _ in lines])


def head_words(layer: int, head: int) -> str:
    """A head as people say it."""
    return f"layer {layer}, head {head}"


def words_of(state: str) -> str:
    """A hidden state as people say it."""
    return {"input": "the asked item as it comes in"}.get(
        state
    ) or f"after {state.replace('_', ' ').replace('readout', 'read-out')}"
