"""The worth of domains as a text that people read while the report is not there yet: markdown for Prefect."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.params import Params
from training.measure.design import Company
from training.measure.shots import judged_at
from training.measure.worth import MEAN, Question, values_of, worth

VERDICTS = {"replaceable": "replaceable", "not_replaceable": "not replaceable", "cannot_tell_yet": "cannot tell yet"}


def worth_text(results: pl.DataFrame, params: Params) -> str:
    """What taking out and replacing each train domain does, with the verdicts and what it takes to tell the open ones."""
    company = Company(tuple(params.in_role("train")), tuple(params.in_role("spare")))
    asked = params.measurement
    n_shot = judged_at(results)
    values = values_of(results, n_shot, params.in_role("held_out"))
    found = worth(values, Question(company, asked.margin, asked.random_subsets, asked.seed))
    lines = [f"{n_shot}-shot accuracy, mean over held-out domains; points with 95 % intervals.", ""]
    lines += ["| taken out | lost without it | p |", "|---|---|---|"]
    lines += [f"| {name} | {told(row[MEAN])} | {row[MEAN]['p']:.3f} |" for name, row in found["removal"].items()]
    lines += ["", f"| replaced by | won | verdict at a margin of {points(asked.margin)} |", "|---|---|---|"]
    for name, row in found["replaceability"].items():
        for spare, cell in row.items():
            more = f"; {cell['needed']}" if "needed" in cell else ""
            lines.append(f"| {name} by {spare} | {told(cell)} | **{VERDICTS[cell['verdict']]}**{more} |")
    if "shapley" in found:
        lines += ["", "| domain | Shapley value |", "|---|---|"]
        lines += [f"| {name} | {told(value)} |" for name, value in found["shapley"].items()]
    return "\n".join(lines)


def told(value: Mapping[str, Any]) -> str:
    """A difference of accuracies in points, with its interval."""
    return f"{points(value['mean'])} ({points(value['low'])} to {points(value['high'])})"


def points(value: float) -> str:
    """A difference of accuracies in percentage points, with its sign: what a domain is worth is often less than 0.1."""
    return f"{100 * value:+.2f}".replace("-", "−")
