"""Workers of a Dask cluster: one that runs, one that a cluster class starts, or processes of this machine."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

import dask
from distributed import Client, KilledWorker, LocalCluster
from distributed.deploy.cluster import Cluster
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner
from prefect_dask.task_runners import DaskTaskRunner

from pipelines.layout import Layout
from pipelines.params import Runner
from pipelines.runners.preparation import prepared
from pipelines.runners.processes import ONE_THREAD
from pipelines.runners.workers import Workers, cores
from pipelines.secrets import clean

CONNECT_SECONDS = 10
PATIENCE_SECONDS = 60  # between two words about waiting for a queue
SETTINGS = {
    "distributed.scheduler.worker-saturation": 1.0,  # no batch waits at a worker: when that dies, only its own is suspected
    "distributed.nanny.pre-spawn-environ": ONE_THREAD,
}


@contextmanager
def cluster(runner: Runner, layout: Layout) -> Iterator[Workers]:
    """The workers of a cluster, each prepared: it sees the project, the Prefect server and the same versions as we.

    A batch whose worker dies is done again by another, as often as the scheduler's allowed-failures (3) says.
    """
    with dask.config.set(SETTINGS), _address(runner) as address, _client(address) as client:
        if runner.address and not client.nthreads():
            raise ValueError(f"runner.address: {address} has no worker; start some: dask worker {address}")
        _wait_for_workers(client, runner)
        with prepared(client, layout):
            task_runner = cast(TaskRunner[PrefectFuture[Any]], DaskTaskRunner(address=address))  # its own type is narrower
            yield Workers(task_runner, Ahead(client), died=(KilledWorker,))


@contextmanager
def _address(runner: Runner) -> Iterator[str]:
    """The address of the scheduler; what was started for it ends with the context."""
    if runner.address:
        yield runner.address
        return
    # what a thread starts inherits what it blocks: Ctrl-C is ours alone, worker processes end with their cluster
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        made = _started(runner)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    with made:
        yield str(made.scheduler_address)


def _started(runner: Runner) -> Cluster:
    if not runner.cluster:
        return LocalCluster(n_workers=cores(runner), threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
    kind = cluster_class(runner.cluster)
    try:
        return kind(**(runner.options | {"n_workers": runner.workers}))
    except Exception as error:  # each class has its own
        raise ValueError(f"runner.cluster: {runner.cluster} did not start: {clean(error)}") from None


def cluster_class(name: str) -> type[Cluster]:
    """The class of this name. Raises ValueError (one line) with the package to install where it cannot be imported."""
    module, _, word = name.rpartition(".")
    if not module or not word:
        raise ValueError(
            f"runner.cluster: {name} is no name of a class, expected package.Class such as dask_jobqueue.SLURMCluster"
        )
    try:
        found: Any = getattr(import_module(module), word)
    except ModuleNotFoundError as error:
        package = (error.name or module).split(".")[0].replace("_", "-")
        raise ValueError(f"runner.cluster: {name} needs the package {package}; install it: pip install {package}") from None
    except (AttributeError, ImportError) as error:
        raise ValueError(f"runner.cluster: {name} cannot be imported: {clean(error)}") from None
    if not (isinstance(found, type) and issubclass(found, Cluster)):
        raise ValueError(f"runner.cluster: {name} is no Dask cluster class, such as dask_jobqueue.SLURMCluster")
    return found


def _client(address: str) -> Client:
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"runner.address: no Dask scheduler answers at {address} ({clean(error)})") from None


def _wait_for_workers(client: Client, runner: Runner) -> None:
    """Until there is one: a queue may take its time, so say so now and then."""
    begun = time.monotonic()
    while not client.nthreads():
        try:
            client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
        except TimeoutError:
            waited = time.monotonic() - begun
            print(f"  {runner.cluster}: no worker yet after {waited:.0f} s", file=sys.stderr, flush=True)


class Ahead:
    """Batches to have in flight: two for each thread of the workers that there are now, asked every few seconds."""

    def __init__(self, client: Client, every: float = 5.0) -> None:
        self._client, self._every = client, every
        self._known, self._asked = 2, 0.0

    def __call__(self) -> int:
        now = time.monotonic()
        if now - self._asked > self._every:
            self._known = max(1, sum(self._client.nthreads().values()))
            self._asked = now
        return 2 * self._known
