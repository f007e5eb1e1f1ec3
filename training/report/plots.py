"""The tables behind the figures, for `dvc plots` and for who takes them out of the page: one row an interval."""

import base64
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.files import write_text
from training.report import at_a_glance

ENDS = ("mean", "low", "high")


def tables(
    metrics: Mapping[str, Any], context: pl.DataFrame, similarity: pl.DataFrame, sequence: pl.DataFrame
) -> dict[str, str]:
    """CSV by name: accuracy, context (accuracy by shots), similarity (of each two domains), what domains are worth.

    And learner, lost, won: the same for `dvc plots`, a row a name.
    """
    accuracy = [
        (domain, shot.removesuffix("_shot"), learner, *(value[end] for end in ENDS))
        for domain, by_shot in metrics["held_out"].items()
        for shot, by_learner in by_shot.items()
        for learner, value in by_learner.items()
    ]
    return {
        "accuracy": _csv(("domain", "n_shot", "learner", *ENDS), accuracy),
        "context": _csv(context.columns, context.iter_rows()),
        "similarity": _csv(similarity.columns, similarity.iter_rows()),
        "removal": _csv(("removed", "domain", *ENDS), _nested(metrics["removal"])),
        "replacement": _csv(("removed", "added", "verdict", *ENDS), _verdicts(metrics["replaceability"])),
        "sequence": _csv(sequence.columns, ((" > ".join(order), *row) for order, *row in sequence.iter_rows())),
        **_more(metrics),
        **{name: _csv(*table) for name, table in at_a_glance.tables(metrics).items()},
    }


def _more(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What only some designs measure; a table that would be empty is there with its header, for `dvc plots` looks for it."""
    return {
        "shapley": _csv(("domain", *ENDS), _flat(metrics.get("shapley", {}))),
        "addition": _csv(("added", "domain", *ENDS), _nested(metrics.get("addition", {}))),
        "interaction": _csv(("first", "second", *ENDS), _nested(metrics.get("interaction", {}))),
        "datamodel": _csv(("domain", *ENDS), _flat(metrics.get("datamodel", {}).get("weights", {}))),
        "transfer": _csv(("trained_on", "domain", *ENDS), _nested(metrics.get("transfer", {}))),
    }


def write_plots(folder: Path, found: Mapping[str, str]) -> None:
    """Write each table into `folder` under its name."""
    for name, text in found.items():
        write_text(folder / f"{name}.csv", text)


def data_uri(text: str) -> str:
    """A table as the address of a link that saves it."""
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}"


def _nested(table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Sequence[Any]]:
    return [(one, other, v["mean"], v["low"], v["high"]) for one, row in table.items() for other, v in row.items()]


def _flat(table: Mapping[str, Mapping[str, float]]) -> list[Sequence[Any]]:
    return [(name, *(value[end] for end in ENDS)) for name, value in table.items()]


def _verdicts(table: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Sequence[Any]]:
    return [(one, other, v["verdict"], *(v[end] for end in ENDS)) for one, row in table.items() for other, v in row.items()]


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
