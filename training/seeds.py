"""Trainings that need nothing of each other: shared out over processes of one thread each, and the mean over their seeds."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

from scipy import stats

from training.measure.trial import threads

Asked = TypeVar("Asked")
Result = TypeVar("Result")


def each_alone(run: Callable[[Asked], Result], trials: Sequence[Asked], workers: int) -> Iterator[tuple[Asked, Result]]:
    """Each trial with what `run` makes of it, as it ends; in this process where one worker is enough.

    One thread each, so that the number of `workers` (processes) changes no figure. `run` is a function of a module.
    """
    if workers <= 1 or len(trials) <= 1:
        with threads(1):
            yield from ((trial, run(trial)) for trial in trials)
        return
    # spawn, not fork: a forked child inherits locked thread pools of torch and hangs
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(trials)), mp_context=context) as pool:
        waiting = {pool.submit(_on_one_thread, run, trial): trial for trial in trials}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _on_one_thread(run: Callable[[Asked], Result], trial: Asked) -> Result:
    with threads(1):
        return run(trial)


def over_seeds(values: Sequence[float]) -> list[float | None]:
    """Ends of the 95 % interval of the mean over seeds, by Student's t; none where there is one seed."""
    if len(values) < 2:
        return [None, None]
    middle, spread = sum(values) / len(values), float(stats.sem(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * spread
    return [middle - half, middle + half]
