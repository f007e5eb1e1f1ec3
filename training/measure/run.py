"""The measurement: every subset trained with the same budget, judged on the same episodes as the main learner and baselines."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
import torch
from numpy import float32
from numpy.typing import NDArray
from torch import Tensor

from pipelines.params import Measurement
from pipelines.training_settings import Training
from training.baselines import BASELINES
from training.collection import DomainTensors
from training.episodes import Episodes, evaluation_episodes
from training.evaluate import Scorer, episode_accuracies
from training.learner import Learner
from training.measure import SCHEMA
from training.measure.design import Subset, subsets
from training.parts_readout import Parts
from training.seen import features_of
from training.train import train

Progress = Callable[[int, int, str], None]  # subsets done, subsets in all, the one that has just ended
Judged = dict[tuple[str, int], NDArray[float32]]  # accuracies by (held-out domain, shots)


@dataclass(frozen=True)
class Trial:
    """What every subset's training shares; it is sent once to each worker."""

    domains: Mapping[str, DomainTensors]  # train and spare domains
    held_out: Mapping[str, DomainTensors]
    training: Training
    measurement: Measurement
    parts: Parts | None = None


def measure(
    collection: Mapping[str, DomainTensors],
    roles: Mapping[str, str],
    training: Training,
    measurement: Measurement,
    *,
    learner: Learner,
    parts: Parts | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """One row for each (subset, held-out domain, shots, learner) with the accuracy of every episode; SCHEMA names the columns.

    `learner` is the one of stage train; baselines work on the features that it reads, which of pixels are those of its
    backbone. Each subset is trained for `measurement.steps` steps on one thread, so that
    the number of `workers` (processes) changes no figure. Raises ValueError (one line) for a domain too small for the
    episodes asked for.
    """
    named = {role: [name for name in collection if roles.get(name) == role] for role in ("train", "spare", "held_out")}
    if not named["held_out"]:
        raise ValueError("measurement: expected at least one held-out domain, found none")
    trial = Trial(
        {name: collection[name] for name in named["train"] + named["spare"]},
        {name: collection[name] for name in named["held_out"]},
        training,
        measurement,
        parts,
    )
    design = subsets(named["train"], named["spare"])
    episodes = draw_episodes(trial)  # before any training: a domain that is too small is told at once
    rows = []
    features = held_out_features(learner, trial)  # the baselines' too
    scorers: dict[str, Scorer] = {"learner": learner, **BASELINES}
    for name, scorer in scorers.items():
        rows += result_rows("main", "main", None, None, name, judge(scorer, features, episodes))
    found: dict[str, Judged] = {}
    for subset, judged in train_all(trial, design, workers):
        found[subset.name] = judged
        if progress:
            progress(len(found), len(design), subset.name)
    for subset in design:
        rows += result_rows(subset.name, subset.kind, subset.removed, subset.added, "learner", found[subset.name])
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def draw_episodes(trial: Trial) -> dict[tuple[str, int], Episodes]:
    """The episodes that everybody is judged on, by (held-out domain, shots); a domain's do not depend on its company."""
    asked = trial.measurement
    return {
        (name, n_shot): evaluation_episodes(domain, asked.n_way, n_shot, asked.n_query, asked.episodes, asked.seed)
        for name, domain in trial.held_out.items()
        for n_shot in asked.n_shots
    }


def held_out_features(learner: Learner, trial: Trial) -> dict[str, Tensor]:
    """Features [N, D] of each held-out domain; of pixels those by this learner's own backbone."""
    return {name: features_of(learner, domain.features_ND) for name, domain in trial.held_out.items()}


def judge(scorer: Scorer, features: Mapping[str, Tensor], episodes: Mapping[tuple[str, int], Episodes]) -> Judged:
    """Accuracy of every episode."""
    return {place: episode_accuracies(scorer, features[place[0]], drawn) for place, drawn in episodes.items()}


def result_rows(
    subset: str, kind: str, removed: str | None, added: str | None, learner: str, judged: Judged
) -> list[tuple[object, ...]]:
    """Rows of the results, one for each held-out domain and number of shots."""
    return [(subset, kind, removed, added, name, n_shot, learner, a.tolist()) for (name, n_shot), a in judged.items()]


def train_and_judge(trial: Trial, subset: Subset) -> Judged:
    """Train one subset with the measurement's budget and judge it. On one thread, whatever the machine has."""
    with threads(1):
        domains = [trial.domains[name] for name in subset.domains]
        learner = train(domains, trial.training, steps=trial.measurement.steps, seed=trial.training.seed, parts=trial.parts)
        return judge(learner, held_out_features(learner, trial), draw_episodes(trial))


def train_all(trial: Trial, design: Sequence[Subset], workers: int) -> Iterator[tuple[Subset, Judged]]:
    """Yield each subset as it ends; in this process where one worker is enough."""
    if workers <= 1 or len(design) == 1:
        for subset in design:
            yield subset, train_and_judge(trial, subset)
        return
    # spawn, not fork: a forked child inherits locked thread pools of torch and hangs
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(design)), mp_context=context, initializer=_receive, initargs=(trial,)) as pool:
        waiting = {pool.submit(_work, subset): subset for subset in design}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_TRIAL: list[Trial] = []  # a worker's own copy


def _receive(trial: Trial) -> None:
    _TRIAL[:] = [trial]


def _work(subset: Subset) -> Judged:
    return train_and_judge(_TRIAL[0], subset)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use this many threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
