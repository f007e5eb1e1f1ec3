"""The report: metrics.json, tables for `dvc plots`, and one self-contained page that shows what the run found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.files import write_json, write_text
from pipelines.layout import Layout
from training.report.at_a_glance import headline
from training.report.compare import as_lines, read_side
from training.report.inputs import read_inputs
from training.report.metrics import metrics
from training.report.page import render, render_comparison
from training.report.planted import score
from training.report.plots import tables, write_plots
from training.report.summary import terminal_summary

__all__ = ["Report", "compare", "terminal_summary", "write_report"]


@dataclass(frozen=True)
class Report:
    """What was written."""

    page: Path
    bytes: int  # of the page
    metrics: dict[str, Any]


def write_report(layout: Layout) -> Report:
    """Write `metrics.json`, `summary.json`, `plots/*.csv` and `index.html` into `reports/`, each atomically.

    Raises ValueError (one line: file and what to do) if an input is missing or malformed; nothing is written then.
    """
    inputs = read_inputs(layout)
    scored = score(inputs)
    numbers = metrics(inputs, scored)
    found = tables(numbers, inputs.context, inputs.similarity, inputs.sequence)
    html = render(inputs, numbers, scored, found)
    page = layout.reports / "index.html"
    write_json(layout.reports / "metrics.json", numbers)
    write_json(layout.reports / "summary.json", headline(numbers))
    write_plots(layout.reports / "plots", found)
    write_text(page, html)
    return Report(page, len(html.encode()), numbers)


def compare(layout: Layout, first: str, second: str) -> list[str]:
    """Write `reports/compare.html`, two collections beside each other; returns the same in lines of a terminal.

    Raises ValueError (one line) if a side has no metrics.
    """
    sides = read_side(first, layout), read_side(second, layout)
    page = layout.reports / "compare.html"
    write_text(page, render_comparison(*sides))
    return [*as_lines(*sides), "", f"page: {page}"]
