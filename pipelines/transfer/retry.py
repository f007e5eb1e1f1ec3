"""Trying again: which failures, how often, after how long, and until when."""

import logging
import random
import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from tenacity import RetryCallState, Retrying

from pipelines.transfer import Place, TransferError

Result = TypeVar("Result")
LONGEST = 60.0  # s between two attempts, unless the server asks for more
PATIENCE = 3600.0  # s that a server may ask for
log = logging.getLogger(__name__)


class Unready(TransferError):
    """Not for now. `status` of the server's answer, if it gave one, and `after`: s that it asks to be left alone."""

    def __init__(self, reason: str, status: int | None = None, after: float | None = None) -> None:
        super().__init__(reason)
        self.status, self.after = status, after


class Expired(TransferError):
    """The time for it is over: no more attempts in this run."""


def sleep(seconds: float, stopped: Event) -> None:
    """Wait, but not after a stop. Tests put their own here."""
    stopped.wait(seconds)


def seconds_left(place: Place) -> float | None:
    """Until the domain's deadline; None where it has none."""
    deadline = place.rules.deadline
    return None if deadline is None else place.begun + deadline - time.monotonic()


def check_deadline(place: Place) -> None:
    """Raise Expired if the domain's deadline is over."""
    left = seconds_left(place)
    if left is not None and left <= 0:
        raise Expired(f"the deadline of {place.rules.deadline:g} s is over")


def check_wait(seconds: float, place: Place, reason: object) -> None:
    """Raise Expired if the domain's deadline comes before the end of such a wait."""
    left = seconds_left(place)
    if left is not None and seconds >= left:
        left = max(0.0, left)
        raise Expired(f"{reason}; the next attempt would be in {seconds:.0f} s, after the deadline in {left:.0f} s")


def persist(
    attempt: Callable[[], Result], place: Place, stopped: Event, reached: Callable[[], int], name: str | None = None
) -> Result:
    """What `attempt` returns, tried again on TransferError as the rules say; its last error passes.

    `reached` counts the bytes that are safe: an attempt that raised it was none in vain. `name` is for the log; None: none.
    """

    def one() -> Result:
        if stopped.is_set():
            raise Expired("stopped")
        return attempt()

    patience = _Patience(place, reached, name)
    retrying = Retrying(
        retry=patience.again,
        wait=patience.wait,
        stop=patience.stop,
        sleep=lambda seconds: sleep(seconds, stopped),
        reraise=True,
    )
    return retrying(one)


class _Patience:
    """Counts one file's attempts in vain."""

    def __init__(self, place: Place, reached: Callable[[], int], name: str | None) -> None:
        self._place, self._reached, self._name = place, reached, name
        self._best = reached()
        self._failures = 0

    def again(self, state: RetryCallState) -> bool:
        error = _error(state)
        if not isinstance(error, TransferError) or isinstance(error, Expired):
            return False
        reached = self._reached()
        self._failures = 1 if reached > self._best else self._failures + 1
        self._best = max(self._best, reached)
        return self._failures <= self._place.rules.retries

    def wait(self, state: RetryCallState) -> float:
        """Full jitter over 1, 2, 4, ... s, but not less than the server asks for."""
        jittered = random.uniform(0, min(LONGEST, 2.0 ** (self._failures - 1)))
        error = _error(state)
        asked = error.after if isinstance(error, Unready) else None
        return max(jittered, asked or 0.0)

    def stop(self, state: RetryCallState) -> bool:
        """Never stops by itself; raises where the wait would be too long."""
        error, wait = _error(state), state.upcoming_sleep
        check_wait(wait, self._place, error)
        if wait > PATIENCE:
            status = error.status if isinstance(error, Unready) else None
            raise Unready(f"{error}; the server asks to wait {wait:.0f} s, so try again then", status)
        if self._name is not None:
            log.warning("%s: %s; trying again in %.1f s", self._name, error, wait)
        return False


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
