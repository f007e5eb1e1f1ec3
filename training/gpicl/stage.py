"""Stage gpicl without Prefect: what it finds in the collection, and the files that it leaves."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.files import atomic_folder, read_json, write_json, write_text
from pipelines.layout import Layout
from pipelines.params import Params
from training.collection import load_collection
from training.device import choose
from training.gpicl.kept import Kept, forget
from training.gpicl.run import Progress, by_role, gpicl
from training.gpicl.tables import TABLES

SUMMARIES = ("seen", "new", "unseen", "unseen_domains")
PARTS = ("first", "end", "gain")
ENDS = ("mean", "low", "high")


def gpicl_main(params: Params, layout: Layout, workers: int | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Train and judge all that `params.gpicl` asks for. `workers`: processes on the CPU, by default one a core.

    Trainings that end are kept until `write_gpicl`, and a run that was cut off goes on from them. Raises ValueError (one line)
    as `load_collection` and `gpicl` do.
    """
    if not layout.manifest.exists():
        raise ValueError(f"{layout.manifest}: missing; run `dvc repro` first, which makes the collection")
    manifest = read_json(layout.manifest)
    roles = {name: str(entry["role"]) for name, entry in manifest["domains"].items()}
    ground = by_role(load_collection(layout, manifest), roles, params.gpicl)
    device = choose(params.training).device
    kept = Kept(kept_folder(layout), [*ground.train, *ground.held_out], params.gpicl, device)
    found = gpicl(ground, device=device, workers=workers or os.cpu_count() or 1, progress=progress, kept=kept)
    return found | {"device": str(device)}


def write_gpicl(found: Mapping[str, Any], layout: Layout) -> None:
    """Write the plots' tables as a folder, and the numbers, each atomically."""
    with atomic_folder(layout.gpicl.with_suffix("")) as target:
        for name, table in TABLES.items():
            write_text(target / name, table(found))
    write_json(layout.gpicl, numbers(found))
    forget(kept_folder(layout))


def kept_folder(layout: Layout) -> Path:
    """Where trainings of a run that goes on are kept."""
    return layout.state / "gpicl"


def numbers(found: Mapping[str, Any]) -> dict[str, Any]:
    """reports/gpicl.json: settings, models, yardsticks, remedies and diagram; accuracies are shares, intervals are 95 %."""
    by_model: dict[str, list[dict[str, Any]]] = {}
    for result in found["models"]:
        by_model.setdefault(result["model"], []).append(result)
    yardsticks = {
        name: {kind: {"end": judged["end"]} for kind, judged in kinds.items()} for name, kinds in found["yardsticks"].items()
    }
    diagram: dict[str, Any] = {}
    for result in found["diagram"]:
        row = diagram.setdefault(f"2^{result['log2_tasks']}", {}).setdefault(f"width_{result['width']}", {})
        row[f"seed_{result['seed']}"] = cell(result)
    return {
        **{name: found[name] for name in ("chance", "settings", "train", "held_out", "device", "sgd_rate")},
        "models": {name: over_seeds(results) for name, results in by_model.items()},
        "yardsticks": yardsticks,
        "remedies": {named(result): over_seeds([result]) for result in found["remedies"]},
        "diagram": diagram,
    }


def named(result: Mapping[str, Any]) -> str:
    """A remedy in words that are a key."""
    return f"biased_{result['biased']:g}" if result["biased"] else f"batch_{result['batch']}"


def cell(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the diagram says of one training."""
    values = {"seen_first": result["seen"]["first"]["mean"]}
    values |= {f"{kind}_end": result[kind]["end"]["mean"] for kind in SUMMARIES}
    return {"phase": result["phase"], **values}


def over_seeds(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Trainings that differ by their seed alone. Intervals hold the chance of the sequences, which are the same for all seeds;
    `seeds` says how each training ended."""
    first = results[0]
    table: dict[str, Any] = {kind: middle([result[kind] for result in results]) for kind in SUMMARIES}
    table["domains"] = {name: middle([result["domains"][name] for result in results]) for name in first["domains"]}
    table["seeds"] = {
        f"seed_{result['seed']}": {"plateau": result["plateau"], "seconds": result["seconds"], **cell(result)}
        for result in results
    }
    return table | {name: first[name] for name in ("parameters", "state", "steps", "batch")}


def middle(summaries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The plain mean of each accuracy and of the ends of its interval."""
    return {
        part: {end: round(sum(summary[part][end] for summary in summaries) / len(summaries), 4) for end in ENDS}
        for part in PARTS
    }
