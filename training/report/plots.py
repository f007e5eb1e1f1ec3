"""The tables behind `dvc plots`: the same numbers as metrics.json, one row an interval."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.files import write_text


def write_plots(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write accuracy.csv, removal.csv and replacement.csv into `folder`."""
    ends = ("mean", "low", "high")
    accuracy = [
        (domain, shot.removesuffix("_shot"), learner, *(value[end] for end in ends))
        for domain, by_shot in metrics["held_out"].items()
        for shot, by_learner in by_shot.items()
        for learner, value in by_learner.items()
    ]
    write_text(folder / "accuracy.csv", _csv(("domain", "n_shot", "learner", *ends), accuracy))
    write_text(folder / "removal.csv", _csv(("removed", "domain", *ends), _nested(metrics["removal"])))
    write_text(folder / "replacement.csv", _csv(("removed", "added", *ends), _nested(metrics["replacement"])))


def _nested(table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Sequence[Any]]:
    return [(one, other, v["mean"], v["low"], v["high"]) for one, row in table.items() for other, v in row.items()]


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
