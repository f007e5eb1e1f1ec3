"""Workers that are threads of this process: no time to start, but Python's own work goes one at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from threadpoolctl import threadpool_limits

from pipelines.params import Runner
from pipelines.runners.workers import Workers, cores


def pool(workers: int) -> TaskRunner[PrefectFuture[Any]]:
    """Prefect's pool of threads."""
    return cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=workers))  # its own type is narrower


@contextmanager
def threads(runner: Runner) -> Iterator[Workers]:
    """One thread a worker, with one thread each for numbers."""
    workers = cores(runner)
    with threadpool_limits(1):  # parallel are the batches; and sums over more threads differ in their last bits
        yield Workers(pool(workers), lambda: workers + 1)
