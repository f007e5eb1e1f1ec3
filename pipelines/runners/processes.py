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
        yield Workers(pool(workers + 1), lambda: workers + 2, shared.call, (BrokenProcessPool,), shared.stop)


class Pool:
    """A pool of processes that outlives the death of its members."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = Lock()
        self._executors = [_executor(workers)]  # the last is that of new batches
        self._stopped = False

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for executor in self._executors:
            executor.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """Let nothing more be done, and drop what is under way."""
        self._stopped = True
        for executor in self._executors:
            for process in list((executor._processes or {}).values()):  # 3.14 has kill_workers for this
                process.kill()

    def call(self, function: Callable[[Given], Made], batch: Given) -> Made:
        """Call the function in a process; safe in threads. Raises BrokenProcessPool if the batch kills its process.

        The death of one process breaks the whole pool and does not say whose batch it was. So the pool is replaced, and each
        batch that was in it is tried once more alone: what dies then is the one.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # of this thread, and so of the processes that it starts
        executor = self._executors[-1]
        try:
            return executor.submit(function, batch).result()
        except BrokenProcessPool as broken:
            return self._again(executor, broken, function, batch)

    def _again(
        self, executor: ProcessPoolExecutor, broken: BrokenProcessPool, function: Callable[[Given], Made], batch: Given
    ) -> Made:
        with self._lock:
            if self._stopped:
                raise broken
            if self._executors[-1] is executor:
                self._executors.append(_executor(self._workers))
                print("  a worker process died; what it had is done again", file=sys.stderr, flush=True)
            with _executor(1) as alone:
                self._executors.insert(0, alone)
                return alone.submit(function, batch).result()


def _executor(workers: int) -> ProcessPoolExecutor:
    # spawned: polars has threads once it is imported, and a fork may wait for ever for a lock that one of them held
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """What each worker does first: see to its log, and that it ends when its parent is gone, however that went."""
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
