"""A tiny collection to sweep over: two train domains, one spare and two held-out ones, of Gaussian classes."""

import time
from pathlib import Path
from typing import Any

import torch

from pipelines.params import Measurement
from pipelines.training_settings import Training
from training.collection import DomainTensors, unit_rows
from training.measure.run import trial_of
from training.measure.store import Store
from training.measure.sweep import Plan, in_threads, plan, processes
from training.measure.trial import Trial, finish

TRAINING = Training(n_way=3, max_shot=2, n_query=2, batch=2, warmup=2, steps=4)
MEASUREMENT = Measurement(n_way=3, n_shots=[1, 2], n_query=4, episodes=12, steps=3, seeds=2)
ROLES = {"a": "train", "b": "train", "c": "spare", "d": "held_out", "e": "held_out"}


def domain(name: str, seed: int | None = None) -> DomainTensors:
    """Five classes of twelve images; the same for the same seed, which is the name's own unless given."""
    generator = torch.Generator().manual_seed(ord(name) if seed is None else seed)
    mean_C1D = torch.randn(5, 1, 16, generator=generator)
    features_ND = unit_rows((mean_C1D + torch.randn(5, 12, 16, generator=generator)).flatten(0, 1))
    class_N = torch.arange(5).repeat_interleave(12)
    return DomainTensors(name, features_ND, class_N, torch.arange(60), ("train",) * 60, tuple("vwxyz"))


COLLECTION = {name: domain(name) for name in ROLES}


def asked(
    store: Path, roles: dict[str, str] = ROLES, collection: dict[str, DomainTensors] = COLLECTION, **changes: Any
) -> tuple[Trial, Plan]:
    """What `measure` is given, with changes to the measurement."""
    measurement = Measurement.model_validate(MEASUREMENT.model_dump() | changes)
    trial, company = trial_of(collection, roles, TRAINING, measurement, Store(store))
    return trial, plan(trial, company)


def sweep(store: Path) -> None:
    """Finish every training, in a process that a test kills."""
    trial, found = asked(store)
    with processes(trial, 2, finish) as do:
        for job, _ in in_threads(1)(do, found.jobs):
            print(job.key, flush=True)
            time.sleep(0.2)
