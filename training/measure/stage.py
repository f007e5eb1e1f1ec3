"""Stage measure without Prefect: what it trains, by params.yaml and what lies on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.params import Measurement, Params
from training.collection import DomainTensors, load_collection
from training.feature_parts import feature_parts
from training.measure.run import trial_of
from training.measure.sequence import Turns, turns_of
from training.measure.store import Store
from training.measure.sweep import Plan, plan
from training.measure.told import told
from training.measure.trial import Trial


@dataclass(frozen=True)
class Planned:
    """What stage measure is about to do, and the domains that it does it with."""

    collection: dict[str, DomainTensors]
    trial: Trial
    plan: Plan
    turns: list[Turns]


def planned(params: Params, layout: Layout, manifest: Mapping[str, Any]) -> Planned:
    """The plan of this collection. Raises ValueError (one line) as loading the collection does."""
    collection = load_collection(layout, manifest)
    roles = {name: str(entry["role"]) for name, entry in manifest["domains"].items()}
    store, parts = Store(layout.trainings), feature_parts(layout, manifest)
    trial, company = trial_of(collection, roles, params.training, params.measurement, store, parts)
    return Planned(collection, trial, plan(trial, company), turns_of(trial, company))


def asked_of(measurement: Measurement) -> dict[str, Any]:
    """What the results have to be read by, as JSON."""
    return measurement.model_dump(mode="json", include={"designs", "margin", "random_subsets", "seed", "seeds", "steps"})


def plan_lines(params: Params, layout: Layout) -> list[str]:
    """What `measure --plan` says. Raises ValueError (one line) if the collection is not there yet."""
    if not layout.manifest.exists():
        raise ValueError(f"{layout.manifest}: missing; run `dvc repro collect` to make it")
    found = planned(params, layout, read_json(layout.manifest))
    lines = told(found.plan, found.trial, params.runner.here)
    return [*lines, f"design sequence: {len(found.turns)} trainings in turn beside them"] if found.turns else lines
