"""The sweep of a measurement: which trainings it asks for, which of them are finished, and the others done in processes."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any, TypeVar

from training.measure.design import Company, Subset, subsets, unique
from training.measure.trial import Job, Judged, Trial

Work = TypeVar("Work")
Made = TypeVar("Made")
Do = Callable[[Job], Judged]
Each = Callable[[Do, Sequence[Job]], Iterable[tuple[Job, Judged]]]  # in any order


@dataclass(frozen=True)
class Plan:
    """The trainings of a measurement, each once, all seeds of a subset beside each other."""

    designs: dict[str, list[Subset]]
    jobs: list[Job]  # what is done, or was before
    left_out: list[Job]  # what the limit of trainings leaves out


def plan(trial: Trial, company: Company) -> Plan:
    """What the measurement asks for; `max_trainings` counts whole subsets, in the order of the designs."""
    asked = trial.measurement
    found = subsets(company, asked.designs, random_subsets=asked.random_subsets, seed=asked.seed)
    wanted = unique(found)
    within = len(wanted) if asked.max_trainings is None else asked.max_trainings // asked.seeds
    seeds = range(trial.training.seed, trial.training.seed + asked.seeds)
    jobs = [trial.job(subset, seed) for subset in wanted for seed in seeds]
    return Plan(found, jobs[: within * asked.seeds], jobs[within * asked.seeds :])


def in_threads(workers: int) -> Callable[[Callable[[Work], Made], Sequence[Work]], Iterator[tuple[Work, Made]]]:
    """Jobs beside each other, without Prefect: a thread waits for each process."""

    def each(do: Callable[[Work], Made], jobs: Sequence[Work]) -> Iterator[tuple[Work, Made]]:
        with ThreadPoolExecutor(workers) as pool:
            waiting = {pool.submit(do, job): job for job in jobs}
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    return each


@contextmanager
def processes(trial: Trial, workers: int, how: Callable[[Trial, Work], Made]) -> Iterator[Callable[[Work], Made]]:
    """What does a piece of work (`how`) in one of so many processes, from any thread; with one worker, in this process.

    What it does raises ValueError (one line) where a process died.
    """
    if workers <= 1:
        yield partial(how, trial)
        return
    # spawn, not fork: a forked child inherits locked thread pools of torch and hangs
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_receive, initargs=(trial,))

    def do(job: Work) -> Made:
        try:
            return pool.submit(_work, how, job).result()
        except BrokenProcessPool:
            raise ValueError(
                f"measurement: a process died while {job} was trained; give runner fewer workers or the machine more memory, "
                "and run again: finished trainings are kept"
            ) from None

    try:
        yield do
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


_TRIAL: list[Trial] = []  # a process's own copy


def _receive(trial: Trial) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    _TRIAL[:] = [trial]


def _end_with_parent() -> None:
    """Leave when whoever started this process is gone, for nobody waits for its training then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(how: Callable[[Trial, Any], Made], job: Any) -> Made:
    return how(_TRIAL[0], job)
