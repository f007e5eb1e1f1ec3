"""The line that a download shows."""

import time
from threading import Thread

import pytest

from pipelines.meter import Meter


def test_line() -> None:
    meter = Meter("download pebbles", lambda line, percent: None)
    assert meter.line(1.0) == "download pebbles: waiting for the source"
    meter.expect(200_000_000)
    meter.got(50_000_000)
    assert meter.line(10.0) == "download pebbles: fetched 50.0 of 200.0 MB, 5.0 MB/s, 30 s left"
    meter.got(150_000_000)
    meter.converted(1200, 8_000_000)
    assert meter.line(20.0) == "download pebbles: fetched 200.0 of 200.0 MB, 10.0 MB/s; 1200 records, 8.0 MB"


def test_a_size_that_nobody_knows_is_not_shown() -> None:
    meter = Meter("download pebbles", lambda line, percent: None)
    meter.got(3_000_000)
    assert meter.line(1.5) == "download pebbles: fetched 3.0 MB, 2.0 MB/s"


def test_what_is_shown_while_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[tuple[str, float]] = []
    with Meter("download pebbles", lambda line, percent: shown.append((line, percent)), every=0.02) as meter:
        meter.expect(1000)
        threads = [Thread(target=lambda: [meter.got(1) for _ in range(100)]) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while len(shown) < 2:
            time.sleep(0.01)
        meter.converted(7, 900)
    assert shown[-1][1] == 100.0
    assert all(percent <= 99.0 for _, percent in shown[:-1])
    assert "7 records" in shown[-1][0]
    assert "  download pebbles: fetched 0.0 of 0.0 MB" in capsys.readouterr().err
