"""Workers that are processes of this machine. A task waits in a thread here while a process works on its batch.

Prefect's own ProcessPoolTaskRunner imports Prefect in each worker, and ends a run for good when one of them is killed.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Lock, Thread
from typing import TypeVar

from pipelines.params import Runner
from pipelines.runners.threads import pool
from pipelines.runners.workers import Workers, cores
from pipelines.secrets import guard_logs

Given = TypeVar("Given")
Made = TypeVar("Made")
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "POLARS_MAX_THREADS"), "1"
)


@contextmanager
def processes(runner: Runner) -> Iterator[Workers]:
    """One process a worker, with one thread each for numbers and frames; they start with the first batch."""
    workers = cores(runner)
    with one_thread_each(), Pool(workers) as shared:
        yield Workers(pool(workers + 1), lambda: workers + 2, shared.call, (BrokenProcessPool,))


class Pool:
    """A pool of processes that outlives the death of its members."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = Lock()
        self._executor = _executor(workers)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def call(self, function: Callable[[Given], Made], batch: Given) -> Made:
        """Call the function in a process; safe in threads. Raises BrokenProcessPool if the batch kills its process.

        The death of one process breaks the whole pool and does not say whose batch it was. So the pool is replaced, and each
        batch that was in it is tried once more alone: what dies then is the one.
        """
        executor = self._executor
        try:
            return executor.submit(function, batch).result()
        except BrokenProcessPool:
            self._replace(executor)
        with self._lock, _executor(1) as alone:
            return alone.submit(function, batch).result()

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is broken:
                broken.shutdown(wait=False, cancel_futures=True)
                self._executor = _executor(self._workers)
                print("  a worker process died; what it had is done again", file=sys.stderr, flush=True)


def _executor(workers: int) -> ProcessPoolExecutor:
    # spawned: polars has threads once it is imported, and a fork may wait for ever for a lock that one of them held
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """What each worker does first: leave Ctrl-C to its parent, and end when that is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    guard_logs()
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that start within this have one thread for numbers and one for frames: parallel are the batches."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
