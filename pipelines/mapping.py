"""Work in batches: what a step is called on, and how. What runs them (threads, processes, a cluster) is `pipelines.watched`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

BATCH = 256  # images a task: large enough that running it costs more than watching it


class Batch(Protocol):
    """Some images, or where they lie. It may go to another process or machine, so it is small: paths, not pictures."""

    @property
    def height(self) -> int: ...  # images


Given = TypeVar("Given", bound=Batch)
Made = TypeVar("Made")


class MapBatches(Protocol):
    """Calls a function on each batch, perhaps elsewhere, and gives the results in order, a few batches ahead at most.

    The function is one of a module, or a `functools.partial` of one with small arguments, for it travels with each batch.
    """

    def __call__(self, name: str, function: Callable[[Given], Made], batches: Iterable[Given]) -> Iterator[Made]: ...


def one_by_one(name: str, function: Callable[[Given], Made], batches: Iterable[Given]) -> Iterator[Made]:
    """The plain MapBatches: in this thread."""
    return map(function, batches)
