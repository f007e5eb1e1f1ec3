"""What a flow knows of its workers, wherever they are."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner

from pipelines.params import Runner

Given = TypeVar("Given")
Made = TypeVar("Made")


def here(function: Callable[[Given], Made], batch: Given) -> Made:
    """Call the function where the task is."""
    return function(batch)


@dataclass(frozen=True)
class Workers:
    """Workers that have started, or start with the first batch."""

    task_runner: TaskRunner[PrefectFuture[Any]]
    ahead: Callable[[], int]  # batches to have in flight; bounds memory whatever the domain's size
    call: Callable[[Callable[[Any], Any], Any], Any] = here  # what a task does with a function and a batch
    died: tuple[type[Exception], ...] = ()  # raised for a batch whose worker died each time that it was tried


def cores(runner: Runner) -> int:
    """Workers on this machine: as many as the user wants, else one a core."""
    return runner.workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
