"""The tables behind `dvc plots` and the report's pictures of stage gpicl, one row a number."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipelines.gpicl_settings import ALL_MODELS
from training.gpicl.phases import PHASES

KINDS = ("seen", "new", "unseen", "unseen_domains")
PLACE_COLUMNS = ("model", "seed", "on", "examples", "accuracy")
TRACE_COLUMNS = ("model", "log2_tasks", "width", "batch", "biased", "seed", "step", "loss", "seen", "unseen", "unseen_domains")
DOMAIN_COLUMNS = ("examples", *ALL_MODELS)
WAY_COLUMNS = ("step", "loss", "seen", "unseen", "unseen_domains")
PHASE_COLUMNS = (
    "log2_tasks",
    "width",
    "seed",
    "phase",
    "seen_first",
    "seen_end",
    "new_end",
    "unseen_end",
    "unseen_domains_end",
)


def positions(found: Mapping[str, Any]) -> str:
    """Accuracy after so many examples, by model or yardstick and kind of sequences."""
    rows: list[Sequence[Any]] = []
    for result in found["models"]:
        judged = {kind: result[kind] for kind in KINDS} | result["domains"]
        for kind, summary in judged.items():
            rows += [(result["model"], result["seed"], kind, at, value) for at, value in enumerate(summary["by_place"])]
    for name, kinds in found["yardsticks"].items():
        for kind, summary in kinds.items():
            rows += [(name, "", kind, at, value) for at, value in summary["by_place"].items()]
    return as_csv(PLACE_COLUMNS, rows)


def traces(found: Mapping[str, Any]) -> str:
    """Loss and accuracy at the end of the context on the way of each training."""
    results = {
        tuple(result[name] for name in TRACE_COLUMNS[:6]): result for part in ("models", "remedies") for result in found[part]
    }
    rows = [(*head, *(row[name] for name in TRACE_COLUMNS[6:])) for head, result in results.items() for row in result["trace"]]
    return as_csv(TRACE_COLUMNS, rows)


def phases(found: Mapping[str, Any]) -> str:
    """The phase diagram."""
    rows = []
    for result in found["diagram"]:
        values = (result["seen"]["first"]["mean"], *(result[kind]["end"]["mean"] for kind in KINDS))
        rows.append((result["log2_tasks"], result["width"], result["seed"], PHASES[result["phase"]], *values))
    return as_csv(PHASE_COLUMNS, rows)


def unseen_domains(found: Mapping[str, Any]) -> str:
    """Accuracy on unseen domains after so many examples, a column a model: its first training, empty where there was none."""
    first = {result["model"]: result["unseen_domains"]["by_place"] for result in reversed(found["models"])}
    length = len(next(iter(first.values())))
    rows = [(at, *(first[model][at] if model in first else "" for model in ALL_MODELS)) for at in range(length)]
    return as_csv(DOMAIN_COLUMNS, rows)


def on_the_way(found: Mapping[str, Any]) -> str:
    """Loss and accuracies while the first model trains."""
    return as_csv(WAY_COLUMNS, [[row[name] for name in WAY_COLUMNS] for row in found["models"][0]["trace"]])


TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "positions.csv": positions,
    "traces.csv": traces,
    "phases.csv": phases,
    "unseen_domains.csv": unseen_domains,
    "on_the_way.csv": on_the_way,
}


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as text, numbers with six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return text.getvalue()
