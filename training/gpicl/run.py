"""Stage gpicl's trainings: each model, each remedy and every cell of the phase diagram, in processes of one thread each."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch

from pipelines.gpicl_settings import Gpicl
from training.collection import DomainTensors
from training.gpicl.inputs import inputs_of
from training.gpicl.judge import Field
from training.gpicl.kept import Kept
from training.gpicl.sequences import Source
from training.gpicl.tables import KINDS
from training.gpicl.trial import Trial, run_trial
from training.gpicl.yardsticks import yardsticks
from training.measure.trial import threads

Progress = Callable[[str], None]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ground:
    """What all trainings share; sent once to each worker."""

    train: Sequence[DomainTensors]
    held_out: Sequence[DomainTensors]
    settings: Gpicl


def field_of(ground: Ground, device: torch.device = CPU) -> Field:
    """The domains as sources of sequences.

    Raises ValueError (one line) as `Source` and `inputs_of` do, and for a domain named like what stands beside it in tables.
    """
    for domain in ground.held_out:
        if domain.name in KINDS:
            raise ValueError(f"domain {domain.name!r}: stage gpicl's tables use that word; name the domain otherwise")
    train = [domain.in_splits("train") for domain in ground.train]
    inputs = inputs_of(
        {domain.name: domain for domain in [*train, *ground.held_out]},
        [domain.name for domain in train],
        ground.settings.inputs,
    )
    seed = ground.settings.seed
    return Field(
        Source(train, inputs, ground.settings, seed, device, keeps_new=True),
        {
            domain.name: Source([domain], inputs, unlimited(ground.settings), seed, device, keeps_new=False)
            for domain in ground.held_out
        },
        seed,
        device,
    )


def unlimited(settings: Gpicl) -> Gpicl:
    """The same settings for domains that nothing is trained on: all their tasks are unseen, however many there are."""
    return settings.model_copy(update={"log2_tasks": 0, "diagram": settings.diagram.model_copy(update={"log2_tasks": []})})


def trials_of(settings: Gpicl) -> dict[str, list[Trial]]:
    """The trainings by what they are for: models, remedies, diagram. Remedies and diagram are of the first model."""
    asked = settings
    plain = Trial(
        asked.models[0], asked.log2_tasks, asked.width, asked.layers, asked.steps, asked.batch, biased=0.0, seed=asked.seed
    )
    remedies = [replace(plain, biased=share) for share in asked.remedies.biased]
    remedies += [
        replace(plain, batch=size, steps=max(10, asked.steps * asked.batch // size))
        for size in asked.remedies.batch
        if size != asked.batch
    ]
    diagram = [
        replace(plain, log2_tasks=tasks, width=width, seed=seed, steps=asked.diagram.steps)
        for seed in asked.diagram.seeds
        for width in asked.diagram.widths
        for tasks in asked.diagram.log2_tasks
    ]
    seeds = range(asked.seed, asked.seed + asked.seeds)
    models = [replace(plain, model=model, seed=seed) for model in asked.models for seed in seeds]
    return {"models": models, "remedies": remedies, "diagram": diagram}


def gpicl(
    ground: Ground,
    *,
    device: torch.device = CPU,
    workers: int = 1,
    progress: Progress | None = None,
    kept: Kept | None = None,
) -> dict[str, Any]:
    """All trainings and yardsticks. On the CPU each training has one thread, so that `workers` (processes) change no figure.

    Trainings that are `kept` are not done again, and those that end are kept.
    Raises ValueError (one line) as `field_of` and `run_trial` do, before any training where the data are at fault.
    """
    settings = ground.settings
    with one_thread(device):
        field = field_of(ground, device)
        table, rate = yardsticks(field, settings.sequences, settings.n_way, settings.context)
    wanted = trials_of(settings)
    distinct = dict.fromkeys(trial for trials in wanted.values() for trial in trials)
    found = {trial: result for trial in distinct if kept and (result := kept.get(trial))}
    missing = [trial for trial in distinct if trial not in found]
    if progress:
        for _ in found:
            progress("kept from a run that was cut off")
    for trial, result in run_all(ground, field, missing, workers if device == CPU else 1):
        found[trial] = result
        if kept:
            kept.put(trial, result)
        if progress:
            progress(f"{trial.model}, 2^{trial.log2_tasks} tasks: {result['phase']}")
    return {
        "chance": round(1 / settings.n_way, 6),
        "settings": settings.model_dump(mode="json"),
        "train": [domain.name for domain in ground.train],
        "held_out": [domain.name for domain in ground.held_out],
        "sgd_rate": rate,
        "yardsticks": table,
        **{purpose: [found[trial] for trial in trials] for purpose, trials in wanted.items()},
    }


def run_all(ground: Ground, field: Field, trials: Sequence[Trial], workers: int) -> Iterator[tuple[Trial, dict[str, Any]]]:
    """Yield each training as it ends; in this process where one worker is enough."""
    if workers <= 1 or len(trials) == 1:
        with one_thread(field.device):
            yield from ((trial, run_trial(trial, ground.settings, field)) for trial in trials)
        return
    # spawn, not fork: a forked child inherits locked thread pools of torch and hangs
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(trials)), mp_context=context, initializer=_receive, initargs=(ground,)) as pool:
        waiting = {pool.submit(_work, trial): trial for trial in trials}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_GROUND: list[tuple[Ground, Field]] = []  # a worker's own copy


def _receive(ground: Ground) -> None:
    torch.set_num_threads(1)
    _GROUND[:] = [(ground, field_of(ground))]


def _work(trial: Trial) -> dict[str, Any]:
    ground, field = _GROUND[0]
    return run_trial(trial, ground.settings, field)


def one_thread(device: torch.device) -> AbstractContextManager[None]:
    """One thread on the CPU, whatever the machine has; threads as they are elsewhere."""
    return threads(1) if device == CPU else nullcontext()


def by_role(collection: Mapping[str, DomainTensors], roles: Mapping[str, str], settings: Gpicl) -> Ground:
    """The ground of a collection: its train and held-out domains; spare ones have no part in it."""
    named = {role: [collection[name] for name in collection if roles.get(name) == role] for role in ("train", "held_out")}
    return Ground(named["train"], named["held_out"], settings)
