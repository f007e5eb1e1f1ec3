"""Trying again, against a real server: what is tried again, how long is waited, and when it ends."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from servers import Server
from transfers import CHECKSUM, CONTENT, Counted, note_waits, place_in

from pipelines.transfer import TransferError
from pipelines.transfer.fetch import fetch


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return note_waits(monkeypatch)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_answers_worth_another_attempt(server: Server, tmp_path: Path, waits: list[float], status: int) -> None:
    page = server.put("/set.zip", CONTENT, statuses=[status] * 3)
    assert fetch(server.url("/set.zip"), place_in(tmp_path, retries=3), CHECKSUM).read_bytes() == CONTENT
    assert len(page.requests) == 4
    assert len(waits) == 3


def test_attempts_end(server: Server, tmp_path: Path, waits: list[float]) -> None:
    page = server.put("/set.zip", CONTENT, status=503)
    with pytest.raises(TransferError, match=r"set.zip: the server answers 503$"):
        fetch(server.url("/set.zip"), place_in(tmp_path, retries=3))
    assert len(page.requests) == 4
    assert len(waits) == 3


def test_waits_grow_with_full_jitter_up_to_a_minute(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.put("/set.zip", CONTENT, status=500)
    bounds = [min(60.0, 2.0**i) for i in range(40)]
    with pytest.raises(TransferError):
        fetch(server.url("/set.zip"), place_in(tmp_path, retries=40))
    assert all(0 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    assert len({round(wait, 6) for wait in waits}) == 40  # by chance, not in step with others
    assert max(waits) > 16  # 33 draws of up to 60 s


def test_new_bytes_begin_the_count_anew(server: Server, tmp_path: Path, waits: list[float]) -> None:
    page = server.put("/set.zip", CONTENT, drops=[20_000, 0] * 10)
    place = place_in(tmp_path, retries=2)
    place.meter = meter = Counted()
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT
    assert len(page.requests) == 21
    assert page.sent == len(CONTENT)
    assert (meter.expected, meter.came) == (300_000, 300_000)
    assert all(wait <= 2.0 for wait in waits)


def test_bytes_that_came_before_are_not_new(server: Server, tmp_path: Path, waits: list[float]) -> None:
    page = server.put("/set.zip", CONTENT, tag=None, ranges=False, drops=[100_000] * 50)
    with pytest.raises(TransferError):
        fetch(server.url("/set.zip"), place_in(tmp_path, retries=3))
    assert len(page.requests) == 4  # the first alone brought new ones


def test_retry_after_in_seconds_and_as_a_date(server: Server, tmp_path: Path, waits: list[float]) -> None:
    page = server.put("/set.zip", CONTENT, statuses=[429], retry_after="30")
    fetch(server.url("/set.zip"), place_in(tmp_path, retries=1))
    page.statuses, page.retry_after = [503], format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    fetch(server.url("/set.zip?date"), place_in(tmp_path, retries=1))
    page.statuses, page.retry_after = [503], "soon"
    fetch(server.url("/set.zip?words"), place_in(tmp_path, retries=1))
    assert waits[0] == 30
    assert 200 < waits[1] <= 300
    assert waits[2] <= 1


def test_retry_after_beyond_the_deadline_fails_at_once(server: Server, tmp_path: Path, waits: list[float]) -> None:
    page = server.put("/set.zip", CONTENT, statuses=[429], retry_after="900")
    with pytest.raises(TransferError, match=r"answers 429; the next attempt would be in 900 s, after the deadline in \d+ s"):
        fetch(server.url("/set.zip"), place_in(tmp_path, retries=5, deadline=600.0))
    page.statuses, page.retry_after = [429], "86400"
    with pytest.raises(TransferError, match="answers 429; the server asks to wait 86400 s, so try again then"):
        fetch(server.url("/set.zip"), place_in(tmp_path, retries=5))
    assert waits == []
    assert len(page.requests) == 2


def test_the_deadline_ends_a_slow_trickle(server: Server, tmp_path: Path) -> None:
    page = server.put("/set.zip", CONTENT, rate=20_000.0, block=1000)
    place = place_in(tmp_path, retries=5, deadline=0.5)
    with pytest.raises(TransferError, match=r"the deadline of 0.5 s is over; \d+ bytes are kept for the next run"):
        fetch(server.url("/set.zip"), place)
    assert len(page.requests) == 1
    kept = next(place.downloads.glob("*.part")).stat().st_size
    assert 0 < kept < len(CONTENT)
    page.rate = None
    fetch(server.url("/set.zip"), place_in(tmp_path), CHECKSUM)
    assert page.requests[1]["range"] == f"bytes={kept}-"


def test_after_the_deadline_nothing_is_asked(server: Server, tmp_path: Path) -> None:
    page = server.put("/set.zip", CONTENT)
    place = place_in(tmp_path, deadline=5.0)
    place.begun = time.monotonic() - 6
    with pytest.raises(TransferError, match="the deadline of 5 s is over"):
        fetch(server.url("/set.zip"), place)
    assert page.requests == []


def test_a_silent_server_and_none(server: Server, tmp_path: Path, waits: list[float]) -> None:
    page = server.put("/set.zip", CONTENT, silent=True)
    with pytest.raises(TransferError, match="ReadTimeout"):
        fetch(server.url("/set.zip"), place_in(tmp_path, retries=1, read_timeout=0.2))
    assert len(page.requests) == 2
    with pytest.raises(TransferError, match="ConnectError"):
        fetch("http://127.0.0.1:1/x.zip", place_in(tmp_path, retries=1))
    assert len(waits) == 2
