"""Two processes of one thread each, as the runner `processes` has them, without Prefect."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from pipelines.runners.processes import one_thread_each

WORKERS = 2


class Pool:
    """A MapBatches that counts the seconds that were spent waiting for each name."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[[Any], Any], batches: Iterable[Any]) -> Iterator[Any]:
        waiting: deque[Future[Any]] = deque()
        for batch in batches:
            waiting.append(self._executor.submit(function, batch))
            if len(waiting) > WORKERS + 1:
                yield self._next(name, waiting)
        while waiting:
            yield self._next(name, waiting)

    def _next(self, name: str, waiting: deque[Future[Any]]) -> Any:
        begun = time.perf_counter()
        result = waiting.popleft().result()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun
        return result


@contextmanager
def pool() -> Iterator[Pool]:
    """Processes that have started and imported what examines pictures."""
    with one_thread_each(), ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as executor:
        list(executor.map(_begin, range(2 * WORKERS)))
        yield Pool(executor)


def _begin(number: int) -> int:
    import pipelines.curate  # noqa: F401

    time.sleep(0.5)  # so that each process takes its share
    return number
