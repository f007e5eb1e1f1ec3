"""How a stage shows itself in Prefect: names, tags, batches as tasks, progress, artifacts. Import after `server.connect`."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from threading import Event
from typing import Any, TypeVar

from prefect import Flow, Task, tags
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed

from pipelines.layout import Layout
from pipelines.mapping import Given, Made
from pipelines.runners import Workers
from pipelines.runners.threads import pool
from pipelines.secrets import without_secrets

Result = TypeVar("Result")
One = TypeVar("One")


class LightFlow(Flow[[], Any]):
    """A flow that travels without its function, for a task needs its name alone, and the function may hold a ledger."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Flow, (_nothing, self.name)


def _nothing() -> None:
    """The function of a flow elsewhere."""


def run_flow(
    stage: str, subject: str, function: Callable[[], Result], workers: Workers | None = None, *, beside: int | None = None
) -> Result:
    """Run `function` as one flow run named `<stage> <subject>` and tagged with both. Its exceptions pass through.

    `beside`: so many tasks of `each_as_task` at a time, where there are no `workers`.
    """
    name = f"{stage} {subject}".strip()

    def guarded() -> Result:  # Prefect keeps what a failed run says
        return without_secrets(function)

    flow: Flow[[], Result] = LightFlow(
        guarded,
        name=stage,
        flow_run_name=name,
        task_runner=workers.task_runner if workers else pool(beside) if beside else None,
        persist_result=False,
        validate_parameters=False,
    )
    with tags(*{stage, subject or stage}):
        return flow()


def run_task(name: str, function: Callable[[], Result]) -> Result:
    """Run `function` as one task. Its exceptions pass through."""
    task: Task[[], Result] = Task(partial(without_secrets, function), name=name, cache_policy=NO_CACHE, persist_result=False)
    return task()


def each_as_task(kind: str, function: Callable[[One], Result], given: Sequence[One]) -> Iterator[tuple[One, Result]]:
    """Run `function` for each of `given`, a task each by its words, as many at a time as the flow has threads.

    Yields what is made as it is made. A task's exception passes through, and nothing new is begun after it.
    """
    ended = Event()

    def guarded(one: One) -> Result | None:
        return None if ended.is_set() else without_secrets(partial(function, one))

    waiting = {}
    try:
        for one in given:
            call: Callable[[], Any] = partial(guarded, one)
            task: Task[[], Any] = Task(
                call,
                name=kind,
                task_run_name=f"{kind} {one}",
                cache_policy=NO_CACHE,
                persist_result=False,
                cache_result_in_memory=False,
            )
            waiting[task.submit()] = one
        for done in as_completed(list(waiting)):
            yield waiting[done], done.result()
    finally:
        ended.set()


class Batches:
    """The MapBatches of a flow: each batch a task of its workers, with progress on the terminal and in the UI."""

    def __init__(self, subject: str, images: int, workers: Workers) -> None:
        self._subject = subject
        self._images = images
        self._workers = workers

    def __call__(self, name: str, function: Callable[[Given], Made], batches: Iterable[Given]) -> Iterator[Made]:
        """Results in order; few are in memory at a time.

        Raises ValueError naming the domain and the batch whose worker died each time that it was tried.
        """
        task: Task[[Given], Made] = Task(
            partial(without_secrets, partial(self._workers.call, function)),
            name=name,
            cache_policy=NO_CACHE,
            persist_result=False,
            cache_result_in_memory=False,
        )
        progress = Progress(f"{name} {self._subject}", self._images)
        waiting: deque[tuple[Any, Given]] = deque()
        try:
            for batch in batches:
                waiting.append((task.submit(batch), batch))
                while len(waiting) >= self._workers.ahead():
                    yield self._next(name, waiting, progress)
            while waiting:
                yield self._next(name, waiting, progress)
        except BaseException:  # Ctrl-C too
            self._workers.stop()
            raise
        progress.close()

    def _next(self, name: str, waiting: deque[tuple[Any, Given]], progress: "Progress") -> Any:
        future, batch = waiting.popleft()
        try:
            result = future.result()
        except self._workers.died:
            raise ValueError(
                f"domain {self._subject}: each worker that {name} of {batch} was given to died; "
                "look for a picture that takes all memory, or give workers more of it"
            ) from None
        progress.add(batch.height)
        return result


class Progress:
    """Progress of a stage: a line on the terminal that is rewritten, and an artifact in the UI at most every few seconds."""

    def __init__(self, what: str, total: int, unit: str = "images", every: float = 3.0) -> None:
        self._what, self._total, self._unit, self._every = what, max(1, total), unit, every
        self._done, self._shown, self._begun = 0, time.monotonic(), time.monotonic()
        self._artifact: Any = None

    def add(self, amount: int, note: str = "") -> None:
        """Count `amount` more as done."""
        self._done += amount
        now = time.monotonic()
        if sys.stderr.isatty():
            print(f"\r  {self._line()} {note}\x1b[K", end="", file=sys.stderr, flush=True)
        if now - self._shown < self._every:
            return
        self._shown = now
        if not sys.stderr.isatty():
            print(f"  {self._line()} {note}", file=sys.stderr, flush=True)
        percent = min(100.0, 100.0 * self._done / self._total)
        if self._artifact is None:
            self._artifact = create_progress_artifact(percent, key=artifact_key(self._what), description=self._what)
        else:
            update_progress_artifact(self._artifact, percent)

    def close(self) -> None:
        """Say that nothing more comes."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if self._artifact is not None:
            update_progress_artifact(self._artifact, 100.0)

    def _line(self) -> str:
        rate = self._done / max(1e-9, time.monotonic() - self._begun)
        left = max(0, self._total - self._done) / max(1e-9, rate)
        return f"{self._what}: {self._done}/{self._total} {self._unit}, {rate:.0f}/s, {left:.0f} s left"


class ProgressArtifact:
    """A progress artifact in the UI: made when first shown, then updated."""

    def __init__(self, what: str) -> None:
        self._key = artifact_key(what)
        self._id: Any = None

    def __call__(self, line: str, percent: float) -> None:
        """Show how far it is, with a line of words."""
        if self._id is None:
            self._id = create_progress_artifact(percent, key=self._key, description=line)
        else:
            update_progress_artifact(self._id, percent, description=line)


def artifact_key(*words: str) -> str:
    """A key as Prefect wants it: a-z, 0-9 and dashes."""
    return "-".join("".join(c if c.isalnum() else "-" for c in word.lower()) for word in words).strip("-")


def show_table(key: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """A table artifact."""
    create_table_artifact(list(rows), key=key, description=description)


def show_markdown(key: str, text: str, description: str) -> None:
    """A markdown artifact; pictures in it are data URIs."""
    create_markdown_artifact(text, key=key, description=description)


def show_report_link(layout: Layout) -> None:
    """A link to the report on this machine."""
    page = (layout.reports / "index.html").absolute()
    create_link_artifact(page.as_uri(), link_text=str(page.name), key="report", description="The report")
