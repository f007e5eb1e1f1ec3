"""The same work on many things in threads: numpy lets go of the interpreter, so they share the cores of this machine."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

MOST = 8  # threads; each holds a block in memory
Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(function: Callable[[Given], Made], things: Iterable[Given]) -> Iterator[Made]:
    """What the function makes of each thing, in their order, whatever the number of threads; few are ahead at a time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(MOST, cores)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Made]] = deque()
        for thing in things:
            waiting.append(pool.submit(function, thing))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
