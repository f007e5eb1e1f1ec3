"""The line that a download shows."""

from pipelines.watched import Meter


def test_line() -> None:
    meter = Meter("download pebbles")
    assert meter.line(1.0) == "download pebbles: waiting for the source"
    meter.expect(200_000_000)
    meter.got(50_000_000)
    assert meter.line(10.0) == "download pebbles: fetched 50.0 of 200.0 MB, 5.0 MB/s, 30 s left"
    meter.got(150_000_000)
    meter.converted(1200, 8_000_000)
    assert meter.line(20.0) == "download pebbles: fetched 200.0 of 200.0 MB, 10.0 MB/s; 1200 records, 8.0 MB"


def test_a_size_that_nobody_knows_is_not_shown() -> None:
    meter = Meter("download pebbles")
    meter.got(3_000_000)
    assert meter.line(1.5) == "download pebbles: fetched 3.0 MB, 2.0 MB/s"
