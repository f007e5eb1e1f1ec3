"""Many files at a time: bounded, in order, one failure stops no other; and two at one file do not disturb each other."""

import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers import Server
from transfers import CONTENT, left, note_waits, place_in

from pipelines.transfer import Pin, SourceChanged, TransferError
from pipelines.transfer.fetch import fetch, fetch_all


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def put_many(server: Server, count: int) -> list[str]:
    for i in range(count):
        server.put(f"/{i}.bin", CONTENT[i : 10_000 + i], rate=2e5)
    return [server.url(f"/{i}.bin") for i in range(count)]


def test_all_in_order_and_so_many_at_once(server: Server, tmp_path: Path) -> None:
    urls = put_many(server, 12)
    place = place_in(tmp_path, connections=3)
    paths = fetch_all(urls, place)
    assert [path.read_bytes() for path in paths] == [CONTENT[i : 10_000 + i] for i in range(12)]
    assert server.most_at_once == 3
    assert sorted(place.came) == sorted(urls)
    assert fetch_all([], place) == []


def test_one_failure_stops_no_other(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note_waits(monkeypatch)
    urls = put_many(server, 6)
    server.pages["/1.bin"].status = 503
    server.pages["/3.bin"].status = 502
    place = place_in(tmp_path, connections=2, retries=1)
    with pytest.raises(TransferError, match=r"^2 of 6 files failed, the others are kept; the first: .*/1.bin: .* answers 503$"):
        fetch_all(urls, place)
    assert len(left(place, ".bin")) == 4
    server.pages["/1.bin"].status = 200
    server.pages["/3.bin"].status = 404
    with pytest.raises(ValueError, match=r"^1 of 6 files failed, the others are kept; the first: .*/3.bin: .* answers 404"):
        fetch_all(urls, place)
    server.pages["/3.bin"].status = 200
    assert len(fetch_all(urls, place)) == 6
    assert server.sent == 60_000  # each once


def test_what_changed_is_said_first(server: Server, tmp_path: Path) -> None:
    urls = put_many(server, 3)
    server.pages["/0.bin"].status = 503
    server.pages["/1.bin"].status = 404
    place = replace(place_in(tmp_path), pinned={urls[2]: Pin(1, "0" * 64)})
    with pytest.raises(
        SourceChanged, match=r"^3 of 3 files failed, the others are kept; the first: .*/2.bin: the source changed"
    ):
        fetch_all(urls, place)
    with pytest.raises(TransferError, match=r"^http://.*/0.bin: the server answers 503$"):
        fetch_all(urls[:1], place)


def test_the_same_file_twice_comes_once(server: Server, tmp_path: Path) -> None:
    page = server.put("/set.zip", CONTENT, rate=1e6)
    first, second = fetch_all([server.url("/set.zip")] * 2, place_in(tmp_path))
    assert first == second
    assert page.sent == len(CONTENT)


def test_two_processes_at_one_file(server: Server, tmp_path: Path) -> None:
    page = server.put("/set.zip", CONTENT, rate=1e6, drops=[100_000, 100_000])
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_fetch, args=(server.url("/set.zip"), tmp_path)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert page.sent == len(CONTENT)
    place = place_in(tmp_path)
    assert fetch(server.url("/set.zip"), place).read_bytes() == CONTENT
    assert not left(place, ".part", ".part.json")


def _fetch(url: str, folder: Path) -> None:
    place = place_in(folder, retries=3)
    assert fetch(url, place).read_bytes() == CONTENT


def test_who_waits_for_another_ends_at_the_deadline(server: Server, tmp_path: Path) -> None:
    page = server.put("/set.zip", CONTENT, silent=True)
    first = threading.Thread(
        target=pytest.raises, args=(TransferError, fetch, page_url := server.url("/set.zip"), place_in(tmp_path))
    )
    first.start()
    while not page.requests:
        pass
    with pytest.raises(TransferError, match=r"set.zip: the deadline of 0.2 s is over"):
        fetch(page_url, place_in(tmp_path, deadline=0.2))
    server.release()
    first.join()


def test_a_full_disk_ends_all(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.transfer.kept import Part

    urls = put_many(server, 8)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Part, "write", full)
    with pytest.raises(OSError, match="No space left"):
        fetch_all(urls, place_in(tmp_path, connections=1, retries=5))
    assert server.asked <= 2
