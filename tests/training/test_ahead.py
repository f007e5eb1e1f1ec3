"""Batches made ahead: what is made never depends on it, and steps in order share a call."""

from collections.abc import Sequence
from threading import Event, current_thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.ahead import Ahead, Block


def counting(calls: list[list[int]], most: int, wanted: set[int] | None = None) -> Block[str]:
    def make(steps: Sequence[int]) -> dict[int, str]:
        calls.append(list(steps))
        return {step: f"made {step}" for step in steps}

    return Block(make, most, None if wanted is None else wanted.__contains__)


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 8), st.sets(st.integers(0, 80)))
def test_a_step_gets_its_own_in_any_order(steps: list[int], most: int, wanted: set[int]) -> None:
    for block in (counting([], most), counting([], most, wanted)):
        assert [block(step) for step in steps] == [f"made {step}" for step in steps]


def test_steps_in_order_share_calls_and_jumps_do_not() -> None:
    calls: list[list[int]] = []
    block = counting(calls, 4)
    for step in range(12):
        block(step)
    assert calls == [[0], [1, 2], [3, 4, 5, 6], [7, 8, 9, 10], [11, 12, 13, 14]]
    block(100)
    block(12)
    assert calls[5:] == [[100], [12]]


def test_steps_that_nobody_wants_are_not_made_and_break_no_run() -> None:
    calls: list[list[int]] = []
    wanted = {step for step in range(200) if step % 3 != 1}
    block = counting(calls, 8, wanted)
    for step in sorted(wanted)[:60]:
        block(step)
    assert len(calls) < 20
    assert {step for call in calls for step in call} <= wanted


def test_the_next_step_is_made_in_a_thread_and_its_error_comes_when_it_is_asked_for() -> None:
    made: list[tuple[int, bool]] = []
    begun = Event()

    def make(step: int) -> int:
        made.append((step, current_thread().name.startswith("episodes")))
        if step == 8:
            begun.set()
        if step == 9:
            raise ValueError("a domain went")
        return step

    ahead = Ahead(make)
    assert ahead(7) == 7
    assert begun.wait(10)  # nobody asked for step 8
    assert made == [(7, False), (8, True)]
    assert ahead(8) == 8
    with pytest.raises(ValueError, match="a domain went"):
        ahead(9)
    assert ahead(3) == 3  # out of order, what was made ahead is dropped
