"""How a step runs over the batches of a domain: one after the other here, in tasks of a flow in `watched`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import polars as pl

BATCH = 256  # images a task: large enough that running it costs more than watching it


class MapBatches(Protocol):
    """Calls a function on each batch, perhaps in parallel, and gives the results in order, a few batches ahead at most."""

    def __call__(self, name: str, function: Callable[..., Any], batches: Iterable[pl.DataFrame]) -> Iterator[Any]: ...


def one_by_one(name: str, function: Callable[..., Any], batches: Iterable[pl.DataFrame]) -> Iterator[Any]:
    """The plain MapBatches: in this thread."""
    return map(function, batches)
