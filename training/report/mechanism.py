"""The section on gradient descent in the forward pass: only where stage mechanism has run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.files import read_json
from pipelines.layout import Layout
from training.mechanism.likeness import MEASURES, STEPS
from training.mechanism.stage import folder
from training.mechanism.tables import TABLES, read_table
from training.report import charts
from training.report.charts import swatch
from training.report.matrices import heat_map, scatter

NAMES = {"loss": ("learner", "trained attention"), "loss_gd": ("class_mean", "gradient descent")}
NAMES |= {"loss_gd_plus_plus": ("ridge", "GD++")}
ALIKE = {"gd": "GD", "gd_plus_plus": "GD++"}
RULES = ("class_mean", *(f"gd_{steps}" for steps in STEPS), "ridge", "readout")
RULE_WORDS = {"class_mean": "Class mean", "ridge": "Ridge", "readout": "Its read-out alone"}
PRODUCTS = {"key_query": "KᵀQ", "projection_value": "P V"}
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """A drawing and what stands over it."""

    title: str
    drawing: Markup
    note: str = ""


def mechanism_section(layout: Layout) -> dict[str, Any] | None:
    """What the template needs, or None where stage mechanism has not run. Raises ValueError (one line) if its files are odd."""
    if not layout.mechanism.exists():
        return None
    numbers = read_json(layout.mechanism)
    try:
        tables = {name: read_table(folder(layout), name) for name in TABLES}
        models = tables["training"]["model"].unique(maintain_order=True).to_list()  # JSON has them by name
        stacks = [name for name in models if name.endswith(("_layer", "_layers"))]  # of linear attention, one head, tied
        return {
            "legend": [swatch(*NAMES[name]) for name in NAMES],
            "rows": [model_row(name, numbers[name]) for name in models],
            "losses": [
                loss_chart(name, tables["training"]) for name in models if "softmax" not in name and "heads" not in name
            ],
            "agreement": agreement_chart(tables["one_layer"]),
            "weights": weight_maps(tables["weights"]),
            "predictions": [
                Picture(words(name), scatter_of(name, tables["predictions"]), f"across: {ALIKE[numbers[name]['like']]}")
                for name in models
            ],
            "stretched": stretched_rows(tables["out_of_range"], {name: numbers[name]["like"] for name in stacks}),
            "stacks": [words(name) for name in stacks],
            "shots": learner_tables(numbers.get("learner", {})),
        }
    except (OSError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        said = " ".join(str(error).split())[:100]
        raise ValueError(
            f"{layout.mechanism}: expected what stage mechanism writes, with its tables beside it ({said}); run it again"
        ) from None


def words(name: str) -> str:
    """A model's name as people say it."""
    return (
        name.replace("_", " ")
        .replace(" untied", ", untied")
        .replace("layer ", "layer, ")
        .replace("softmax two", "softmax, two")
    )


def model_row(name: str, row: Numbers) -> dict[str, Any]:
    """One line of the table of models."""
    return {
        "name": words(name),
        "like": ALIKE[row["like"]],
        "losses": [row.get(column) for column in NAMES],
        "cells": [
            (row[column], row["intervals"][column])
            for column in ("sensitivity_cosine", "sensitivity_l2", "prediction_difference")
        ],
        "eta": (rate_words(row["eta_by_layer"]), rate_words(row[row["like"]]["eta"])) if "eta_learned" in row else None,
    }


def rate_words(rates: Sequence[float]) -> str:
    """The rate of all layers, or that of each where they differ."""
    return ", ".join(dict.fromkeys(f"{rate:.2f}" for rate in rates))


def loss_chart(name: str, training: pl.DataFrame) -> Picture:
    """Loss on the way, a line a seed, over the lines of as many exact steps."""
    rows = training.filter(pl.col("model") == name)
    first = rows.filter(pl.col("seed") == rows["seed"].min())
    steps = first["step"].to_list()
    drawn = [
        (NAMES[column][0], steps, first[column].to_list())
        for column in ("loss_gd", "loss_gd_plus_plus")
        if first[column].null_count() == 0
    ]
    drawn += [
        ("learner", part["step"].to_list(), part["loss"].to_list()) for _, part in rows.group_by("seed", maintain_order=True)
    ]
    x, y = charts.nice_scale(0.0, float(max(steps)), 4), charts.nice_scale(0.0, max(max(series[2]) for series in drawn), 4)
    ends = [series[2][-1] for series in drawn if series[0] == "learner"]
    alt = f"Loss of {words(name)} over {max(steps)} steps: ends at {sum(ends) / len(ends):.4f}"
    alt += f"; gradient descent {first['loss_gd'][0]:.4f}"
    return Picture(words(name), charts.lines(drawn, x, y, "g", alt))


def agreement_chart(one_layer: pl.DataFrame) -> Picture:
    """Of one layer: cosine of the sensitivities and distance of the predictions on the way, mean over seeds."""
    steps = one_layer["step"].to_list()
    cosines, distances = (one_layer[name].to_list() for name in MEASURES[2:])
    x, y = charts.nice_scale(0.0, float(max(steps)), 4), charts.nice_scale(min(0.0, *cosines), 1.0, 4)
    alt = f"Cosine of the sensitivities from {cosines[0]:.3f} to {cosines[-1]:.4f}"
    alt += f", distance of the predictions from {distances[0]:.3f} to {distances[-1]:.4f}"
    drawn = charts.lines([("learner", steps, cosines), ("knn", steps, distances)], x, y, "g", alt)
    return Picture("Agreement with the gradient step", drawn)


def weight_maps(weights: pl.DataFrame) -> list[Picture]:
    """Of one layer's first seed: both products, trained beside the theory's."""
    drawn = []
    for product, title in PRODUCTS.items():
        rows = weights.filter((pl.col("model") == "one_layer") & (pl.col("product") == product)).sort("row", "column")
        side = int(rows["row"].max()) + 1  # type: ignore[arg-type]
        largest = float(max(rows["trained"].abs().max(), rows["theory"].abs().max()))  # type: ignore[type-var, arg-type]
        for column in ("trained", "theory"):
            values = rows[column].to_list()
            matrix = [values[start : start + side] for start in range(0, len(values), side)]
            alt = f"{title}, {column}: {side} x {side}, largest entry {max(values, key=abs):.3g}"
            drawn.append(Picture(f"{title}, {column}", heat_map(matrix, largest, alt)))
    return drawn


def scatter_of(name: str, predictions: pl.DataFrame) -> Markup:
    """Predictions of the first seed over those of its reference."""
    pairs = predictions.filter(pl.col("model") == name).select("reference", "trained").rows()
    apart = sum(abs(one - other) for one, other in pairs) / max(1, len(pairs))
    return scatter(pairs, f"{len(pairs)} predictions of {words(name)} over its reference's, {apart:.3f} apart on average")


def stretched_rows(out_of_range: pl.DataFrame, like: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a stretch: the loss of each model and of its reference, mean over seeds, in words."""
    means = out_of_range.group_by("stretched", "factor", "model", maintain_order=True).agg(pl.col(list(NAMES)).mean())
    rows = []
    for (stretched, factor), part in means.group_by("stretched", "factor", maintain_order=True):
        of = {row["model"]: row for row in part.iter_rows(named=True)}
        cells = [loss_words(of[name][column]) for name, reference in like.items() for column in ("loss", f"loss_{reference}")]
        rows.append({"what": {"input_range": "inputs", "scale": "weights"}[str(stretched)], "factor": factor, "cells": cells})
    return rows


def loss_words(value: float) -> str:
    """A loss that may be anything: past all numbers it is said in words."""
    return f"{value:.4f}" if value < 1000 else f"{value:.1e}" if isfinite(value) else "past all numbers"


def learner_tables(learner: Numbers) -> list[dict[str, Any]]:
    """One table a number of shots: the project's own learner beside each rule, mean over held-out domains."""
    tables = []
    for shot, row in learner.get("mean", {}).items():
        rules = [(rule_words(name), [row[name][of] for of in MEASURES]) for name in RULES if name in row]
        tables.append({"title": shot.replace("_", "-"), "rows": rules, "like": rule_words(row["like"])})
    return tables


def rule_words(name: str) -> str:
    """A rule's name as people say it."""
    steps = name.removeprefix("gd_")
    return RULE_WORDS.get(name) or f"{steps} gradient step{'' if steps == '1' else 's'}"
