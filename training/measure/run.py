"""The measurement: every subset trained with the same budget, judged on the same episodes as the main learner and baselines."""

from collections.abc import Mapping

import polars as pl

from pipelines.params import Measurement
from pipelines.training_settings import Training
from training.baselines import BASELINES
from training.collection import DomainTensors
from training.evaluate import Scorer, episode_accuracies
from training.learner import Learner
from training.measure import SCHEMA
from training.measure.design import Company
from training.measure.store import Store
from training.measure.sweep import Each, Plan, in_threads, processes
from training.measure.trial import Trial, finish, stored
from training.parts_readout import Parts
from training.seen import features_of

TRAININGS, SIMILARITY, SEQUENCE, ASKED = "trainings.parquet", "similarity.parquet", "sequence.parquet", "asked.json"
Row = tuple[object, ...]


def trial_of(
    collection: Mapping[str, DomainTensors],
    roles: Mapping[str, str],
    training: Training,
    measurement: Measurement,
    store: Store,
    parts: Parts | None = None,
) -> tuple[Trial, Company]:
    """What all trainings share, and the domains that subsets are made of.

    Raises ValueError (one line) if no domain is held out or none is trained on.
    """
    named = {role: tuple(name for name in collection if roles.get(name) == role) for role in ("train", "spare", "held_out")}
    if not named["held_out"]:
        raise ValueError("measurement: expected at least one held-out domain, found none")
    company = Company(named["train"], named["spare"])
    trained = {name: collection[name] for name in named["train"] + named["spare"]}
    return Trial(trained, {name: collection[name] for name in named["held_out"]}, training, measurement, store, parts), company


def measure(trial: Trial, found: Plan, *, learner: Learner, workers: int = 2, each: Each | None = None) -> pl.DataFrame:
    """The table of results; SCHEMA names its columns. What the store has is not done again.

    `learner` is the one of stage train; baselines work on the features that it reads, which of pixels are those of its
    backbone. Each subset is trained on one thread, so that the number of `workers` (processes) changes no figure. `each` goes
    through the jobs that are left. Raises ValueError (one line) for a domain too small for the episodes asked for.
    """
    rows = main_rows(trial, learner)  # before any training: a domain that is too small is told at once
    judged = {job: places for job in found.jobs if (places := stored(trial, job)) is not None}
    left = [job for job in found.jobs if job not in judged]
    if left:
        with processes(trial, min(workers, len(left)), finish) as do:
            judged |= dict((each or in_threads(workers))(do, left))
    for job in found.jobs:
        rows += [
            (list(job.subset), job.seed, name, n_shot, "learner", accuracies_E.tolist())
            for (name, n_shot), accuracies_E in judged[job].items()
        ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def trainings_of(found: Plan) -> pl.DataFrame:
    """Which trainings the results are of: subset, seed and key in the store."""
    rows = [(list(job.subset), job.seed, job.key) for job in found.jobs]
    return pl.DataFrame(rows, schema={"subset": pl.List(pl.String), "seed": pl.Int64, "key": pl.String}, orient="row")


def main_rows(trial: Trial, learner: Learner) -> list[Row]:
    """Stage train's learner and the baselines on the held-out domains."""
    scorers: dict[str, Scorer] = {"learner": learner, **BASELINES}
    rows: list[Row] = []
    for name, domain in trial.held_out.items():
        features_ND = features_of(learner, domain.features_ND)
        for n_shot in trial.measurement.n_shots:
            drawn = trial.episodes((name, n_shot))
            for who, scorer in scorers.items():
                accuracies_E = episode_accuracies(scorer, features_ND, drawn)
                rows.append((None, trial.training.seed, name, n_shot, who, accuracies_E.tolist()))
    return rows
