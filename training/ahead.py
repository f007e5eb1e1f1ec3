"""Batches made before they are asked for: many steps at once where that is cheaper, or one in a thread of its own."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Block(Generic[Made]):
    """Gives what belongs to a step, and makes it for the steps to come as well, as long as steps are asked for in order.

    A training asks for one step after another, so the fixed cost of a call is shared by up to `most` steps. A step out of
    order is made alone. What is made does not depend on that.
    """

    def __init__(
        self, make: Callable[[Sequence[int]], Mapping[int, Made]], most: int, wanted: Callable[[int], bool] | None = None
    ) -> None:
        """`make` makes steps all at once; steps that are not `wanted` will not be asked for (none: all may be)."""
        self._make, self._most, self._wanted = make, most, wanted
        self._held: Mapping[int, Made] = {}
        self._steps = range(0)

    def __call__(self, step: int) -> Made:
        held = self._held  # read once: another thread may be about to replace it
        if step not in held:
            behind = step - self._steps.stop
            in_order = 0 <= behind <= len(self._steps)
            steps = range(step, step + (max(1, min(self._most, 2 * len(self._steps))) if in_order else 1))
            held = self._make([each for each in steps if each == step or self._wanted is None or self._wanted(each)])
            self._steps, self._held = steps, held
        return held[step]


class Ahead(Generic[Made]):
    """Makes the next step in a thread while this one is worked on: for features that come from a disk."""

    def __init__(self, make: Callable[[int], Made]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="episodes")
        self._waiting: dict[int, Future[Made]] = {}

    def __call__(self, step: int) -> Made:
        """What belongs to the step; what was made ahead for another one is dropped."""
        waiting, self._waiting = self._waiting, {}
        found = waiting.pop(step).result() if step in waiting else self._make(step)
        self._waiting[step + 1] = self._thread.submit(self._make, step + 1)
        return found
