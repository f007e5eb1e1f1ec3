"""What a flow knows of its workers, wherever they are."""

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


def nothing() -> None:
    """What is under way may end by itself."""


@dataclass(frozen=True)
class Workers:
    """Workers that have started, or start with the first batch."""

    task_runner: TaskRunner[PrefectFuture[Any]]
    ahead: Callable[[], int]  # batches to have in flight; bounds memory whatever the domain's size
    call: Callable[[Callable[[Any], Any], Any], Any] = here  # what a task does with a function and a batch
    died: tuple[type[Exception], ...] = ()  # raised for a batch whose worker died each time that it was tried
    stop: Callable[[], None] = nothing  # drop what is under way, where it would hold up the end of a run that failed


def cores(runner: Runner) -> int:
    """Workers on this machine: as many as the user wants, else one a core."""
    return runner.here
