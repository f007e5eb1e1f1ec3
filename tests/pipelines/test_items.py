"""Many small files from a real server: in order, kept one by one, asked for again only where they did not come."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Server
from transfers import CONTENT, note_waits, place_in

from pipelines.transfer import Place, TransferError
from pipelines.transfer.items import Fetched, Item, failures, fetch_items

LIMIT = 50_000


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def content(number: int) -> bytes:
    return CONTENT[number : number + 1000]


def put(server: Server, count: int, **behaviour: object) -> list[Item]:
    for i in range(count):
        server.put(f"/{i}.png", content(i), **behaviour)
    return [Item(f"id-{i}", server.url(f"/{i}.png")) for i in range(count)]


def fetch(items: list[Item], place: Place) -> list[Fetched]:
    return list(fetch_items(items, place, LIMIT))


def fetch_until(items: list[Item], place: Place, message: str) -> list[Fetched]:
    found: list[Fetched] = []
    stream = fetch_items(items, place, LIMIT)
    with pytest.raises(TransferError, match=message):
        found.extend(iter(stream.__next__, None))
    return found


def test_all_come_in_order_once_over_kept_connections(server: Server, tmp_path: Path) -> None:
    items = put(server, 300)
    place = place_in(tmp_path, connections=4)
    whole = [Fetched(f"id-{i}", content(i), 200, None) for i in range(300)]
    assert fetch(items, place) == whole
    assert fetch(items[::-1], place) == whole[::-1]
    assert server.sent == 300_000
    assert server.connections <= 4
    assert server.most_at_once <= 4
    assert failures(place) == []


def test_what_fails_for_good_has_a_reason_and_is_tried_in_the_next_run(server: Server, tmp_path: Path) -> None:
    items = put(server, 8)
    for number, status in enumerate((404, 403, 410)):
        server.pages[f"/{number}.png"].status = status
    server.put("/3.png", b"x" * (LIMIT + 1))
    server.put("/4.png", b"x" * (LIMIT + 1), chunked=True)
    server.put("/5.png", b"")
    server.put("/6.png", b"x", location="file:///etc/passwd")
    place = place_in(tmp_path, retries=3)
    found = fetch(items, place)
    reasons = [
        (404, "the server answers 404; no such file"),
        (403, "the server answers 403; it refuses access"),
        (410, "the server answers 410; it is gone"),
        (200, "holds 50001 bytes, more than the limit of 50000"),
        (200, "holds more than the limit of 50000 bytes"),
        (200, "the server answers with an empty file"),
        (None, "redirects to 'file://127.0.0.1/etc/passwd', which is no http(s) URL; refusing"),
    ]
    assert [(came.status, came.reason) for came in found[:7]] == reasons
    assert all(came.data == b"" for came in found[:7])
    assert found[7] == Fetched("id-7", content(7), 200, None)
    assert failures(place) == [(f"id-{i}", *reason) for i, reason in enumerate(reasons)]
    assert server.asked == 8  # nothing that is for good is tried twice in one run
    put(server, 3)
    assert [came.reason is None for came in fetch(items[:4], place)] == [True, True, True, False]
    assert [len(server.pages[f"/{i}.png"].requests) for i in range(5)] == [1, 1, 1, 2, 1]
    assert failures(place) == [("id-3", *reasons[3])]  # of what this run asked for


def test_what_fails_for_now_ends_the_run_with_an_error(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = note_waits(monkeypatch)
    items = put(server, 6)
    server.pages["/2.png"].status = 503
    server.pages["/4.png"].drops = [10] * 9
    server.pages["/5.png"].statuses = [500]
    place = place_in(tmp_path, retries=2)
    message = r"^2 of 6 items failed for now \(first: id-2: the server answers 503\); the next run tries only those$"
    found = fetch_until(items, place, message)
    assert [came.reason is None for came in found] == [True, True, False, True, False, True]
    assert (found[2].status, found[4].status) == (503, None)
    assert [name for name, _, _ in failures(place)] == ["id-2", "id-4"]
    assert len(waits) == 2 + 2 + 1
    sent = server.sent
    put(server, 6)
    assert [came.data for came in fetch(items, place)] == [content(i) for i in range(6)]
    assert server.sent == 2000
    assert sent == 4000 + 3 * 10
    assert failures(place) == []


def test_a_host_that_asks_for_rest_gets_it_from_all(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = note_waits(monkeypatch)
    items = put(server, 3)
    server.pages["/0.png"].statuses = [429]
    server.pages["/0.png"].retry_after = "20"
    assert all(came.reason is None for came in fetch(items, place_in(tmp_path, retries=1, connections=1)))
    assert len(waits) >= 3  # for the item itself, and before the next ones
    assert all(19 < wait <= 20 for wait in waits)


def test_it_gives_up_where_nothing_comes(server: Server, tmp_path: Path) -> None:
    items = put(server, 500, status=503)
    with pytest.raises(TransferError, match="files in a row failed for now; what came is kept, and the next run tries only"):
        fetch(items, place_in(tmp_path, connections=2))
    assert server.asked <= 50


def test_the_deadline(server: Server, tmp_path: Path) -> None:
    items = put(server, 50, rate=20_000.0)
    place = place_in(tmp_path, connections=2, deadline=0.4)
    with pytest.raises(TransferError, match=r"the deadline of 0.4 s is over; what came is kept"):
        fetch(items, place)
    before = server.sent
    for page in server.pages.values():
        page.rate = None
    assert len(fetch(items, place_in(tmp_path))) == 50
    assert server.sent - before < 50_000


def test_a_store_that_is_damaged_says_so(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    place.downloads.mkdir(parents=True)
    (place.downloads / "items.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(ValueError, match=r"items.sqlite: damaged \(file is not a database\); delete it to get"):
        fetch([Item("a", "a.png")], place)


def test_offline(server: Server, tmp_path: Path) -> None:
    items = put(server, 4)
    server.pages["/1.png"].status = 404
    fetch(items[:2], place_in(tmp_path))
    asked = server.asked
    place = place_in(tmp_path, offline=True)
    assert [(came.status, came.reason) for came in fetch(items, place)] == [
        (200, None),
        (404, "the server answers 404; no such file"),  # as known
        (None, "offline"),
        (None, "offline"),
    ]
    assert server.asked == asked


def test_an_update_asks_again_and_takes_what_is_new(server: Server, tmp_path: Path) -> None:
    items = put(server, 4)
    fetch(items, place_in(tmp_path))
    server.put("/1.png", b"new", tag='"2"')
    server.put("/2.png", status=404)
    server.put("/3.png", status=503)
    place = place_in(tmp_path, update=True)
    found = fetch_until(items, place, "1 of 4 items failed for now")
    assert [(came.data, came.status) for came in found] == [(content(0), 200), (b"new", 200), (b"", 404), (b"", 503)]
    assert server.pages["/0.png"].sent == 1000
    offline = fetch(items, place_in(tmp_path, offline=True))
    assert [came.data for came in offline] == [content(0), b"new", b"", content(3)]  # for now takes nothing away


def test_another_address_of_the_same_item_is_fetched(server: Server, tmp_path: Path) -> None:
    items = put(server, 2)
    place = place_in(tmp_path)
    fetch([Item("a", items[0].locator)], place)
    assert fetch([Item("a", items[1].locator)], place)[0].data == content(1)
    signed = [Item("a", f"{items[0].locator}?size=1&token={secret}") for secret in ("first-one", "another")]
    assert [fetch([item], place)[0].data for item in signed] == [content(0)] * 2
    assert server.pages["/0.png"].sent == 2000  # the signature is no part of the address
    assert b"first-one" not in b"".join(path.read_bytes() for path in place.downloads.iterdir())


def test_secrets_are_not_filled_into_what_a_source_names(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "hushhush")
    fetch([Item("a", server.url("/x.png?${SOME_TOKEN}"))], place_in(tmp_path))
    assert all("hushhush" not in request["path"] for page in server.pages.values() for request in page.requests)


@pytest.mark.parametrize(
    ("locator", "reason"),
    [
        ("../secret.png", "the path leads out of its folder"),
        ("link.png", "the path leads out of its folder"),
        ("/etc/passwd", "expected an http(s) or s3 address or a relative path"),
        ("file:///etc/passwd", "expected an http(s) or s3 address or a relative path"),
        ("ftp://host/a.png", "expected an http(s) or s3 address or a relative path"),
        ("gone.png", "no such file"),
        (".", "no such file"),
        ("big.png", "holds more than the limit of 50000 bytes"),
        ("a\0b", "no name that a file can have"),
        ("x" * 5000, "no name that a file can have"),
        ("\ud800.png", "no name that a file can have"),
        ("http://", "leads to an address that is no http(s) URL"),
        ("http://a b/\n", "leads to an address that is no http(s) URL"),
        ("http://[::1/x", "leads to an address that is no http(s) URL"),
    ],
)
def test_paths_stay_in_their_folder_and_bad_addresses_are_named(tmp_path: Path, locator: str, reason: str) -> None:
    place = place_in(tmp_path)
    place.folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (place.folder / "link.png").symlink_to(tmp_path / "secret.png")
    (place.folder / "big.png").write_bytes(b"x" * (LIMIT + 1))
    (place.folder / "good.png").write_bytes(b"good")
    found = fetch([Item("bad", locator), Item("good", "good.png")], place)
    assert found == [Fetched("bad", b"", None, reason), Fetched("good", b"good", None, None)]
    assert failures(place) == [("bad", None, reason)]


def test_memory_and_work_ahead_are_bounded(server: Server, tmp_path: Path) -> None:
    items = put(server, 10)
    drawn = itertools.count()

    def endless() -> Iterator[Item]:
        for i in itertools.cycle(range(10)):
            yield Item(f"{next(drawn)}", items[i].locator)

    stream = fetch_items(endless(), place_in(tmp_path, connections=2), LIMIT)
    assert [came.source_id for came in itertools.islice(stream, 20)] == [str(i) for i in range(20)]
    stream.close()  # type: ignore[attr-defined]
    assert next(drawn) <= 20 + 2 * 50
    assert server.asked <= 20 + 2 * 50


@settings(max_examples=15)
@given(ends=st.lists(st.sampled_from([200, 404, 503]), min_size=1, max_size=12), seed=st.integers(0, 3))
def test_any_mixture_of_ends(tmp_path_factory: pytest.TempPathFactory, ends: list[int], seed: int) -> None:
    place = place_in(tmp_path_factory.mktemp("items"), connections=1 + seed)
    with Server() as server:
        items = put(server, len(ends))
        for i, status in enumerate(ends):
            server.pages[f"/{i}.png"].status = status
        found = []
        try:
            for came in fetch_items(items, place, LIMIT):
                found.append(came)
        except TransferError:
            assert 503 in ends
        else:
            assert 503 not in ends
        assert [(came.source_id, came.status, came.data) for came in found] == [
            (f"id-{i}", status, content(i) if status == 200 else b"") for i, status in enumerate(ends)
        ]
        put(server, len(ends))
        assert [came.data for came in fetch(items, place)] == [content(i) for i in range(len(ends))]
        assert server.sent == 1000 * sum(status != 200 for status in ends)


CHILD = """
import sys
from pathlib import Path
from transfers import place_in
from pipelines.transfer.items import Item, fetch_items
items = (Item(f"id-{i}", f"{sys.argv[1]}/{i}.png") for i in range(400))
for came in fetch_items(items, place_in(Path(sys.argv[2]), connections=4), 50_000):
    pass
"""


def test_a_kill_loses_but_what_was_under_way(server: Server, tmp_path: Path) -> None:
    put(server, 400, rate=1e5)
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(Path.cwd() / "tests")])}
    for goal in (60, 180, 300):
        child = subprocess.Popen([sys.executable, "-c", CHILD, server.url().rstrip("/"), str(tmp_path)], env=where)
        while server.asked < goal and child.poll() is None:
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
    place = replace(place_in(tmp_path), domain="d")
    found = fetch([Item(f"id-{i}", server.url(f"/{i}.png")) for i in range(400)], place)
    assert [came.data for came in found] == [content(i) for i in range(400)]
    assert 400_000 <= server.sent <= 400_000 + 3 * 4 * 1000  # for each kill at most one file a connection came in vain
