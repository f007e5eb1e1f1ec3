"""Fetching what a lock pinned: refused where the source holds another, taken anew where the user says so, used offline."""

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers import Server
from transfers import CONTENT, SHA256, left, note_waits, place_in

from pipelines.transfer import Pin, Place, SourceChanged, TransferError
from pipelines.transfer.fetch import fetch

OTHER = CONTENT[::-1]
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()
KEPT = "the old data are kept, `python -m pipelines update coins` takes what is there now"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        running.put("/set.zip", CONTENT)
        yield running


def pinned(server: Server, folder: Path, pin: Pin | None = None, **rules: object) -> Place:
    return replace(place_in(folder, **rules), pinned={server.url("/set.zip"): pin or Pin(300_000, SHA256, '"1"')})


def test_what_is_as_pinned_comes(server: Server, tmp_path: Path) -> None:
    place = pinned(server, tmp_path)
    assert fetch(server.url("/set.zip"), place).read_bytes() == CONTENT
    assert place.came == dict(place.pinned)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:250_000], "shrank: 250000 bytes, 300000 were pinned (50000 fewer)"),
        (CONTENT * 2, "changed: 600000 bytes, 300000 were pinned (300000 more)"),
    ],
)
def test_another_size_is_refused_before_its_body(server: Server, tmp_path: Path, content: bytes, message: str) -> None:
    page = server.put("/set.zip", content, rate=1e6)
    with pytest.raises(SourceChanged) as caught:
        fetch(server.url("/set.zip"), pinned(server, tmp_path))
    assert str(caught.value) == f"{server.url('/set.zip')}: the source {message}; {KEPT}"
    assert len(page.requests) == 1
    assert left(pinned(server, tmp_path)) == []


def test_a_size_that_is_not_told_is_refused_as_soon_as_it_shows(server: Server, tmp_path: Path) -> None:
    place = pinned(server, tmp_path, Pin(100_000, hashlib.sha256(CONTENT[:100_000]).hexdigest()))
    server.put("/set.zip", CONTENT, length=False)
    with pytest.raises(SourceChanged, match="changed: more than 100000 bytes, 100000 were pinned"):
        fetch(server.url("/set.zip"), place)
    server.put("/set.zip", CONTENT[:50_000], chunked=True)
    with pytest.raises(SourceChanged, match="shrank: 50000 bytes"):
        fetch(server.url("/set.zip"), place)
    place = replace(place, downloads=tmp_path / "others")
    server.put("/set.zip", CONTENT[:50_000], length=False)  # the end, or a dropped line: nobody can tell
    with pytest.raises(TransferError, match="the server sent 50000 of 100000 bytes; 50000 bytes are kept"):
        fetch(server.url("/set.zip"), place)
    with pytest.raises(SourceChanged, match="shrank: 50000 bytes"):  # until the server has no more to give
        fetch(server.url("/set.zip"), place)


def test_another_etag_is_no_proof(server: Server, tmp_path: Path) -> None:
    server.pages["/set.zip"].tag = '"2"'
    place = pinned(server, tmp_path)
    assert fetch(server.url("/set.zip"), place).read_bytes() == CONTENT
    assert place.came[server.url("/set.zip")] == Pin(300_000, SHA256, '"2"')


@pytest.mark.parametrize("tag", ['"1"', '"2"', None])
def test_another_content_of_the_same_size(server: Server, tmp_path: Path, tag: str | None) -> None:
    place = pinned(server, tmp_path)
    path = fetch(server.url("/set.zip"), place)
    page = server.put("/set.zip", OTHER, tag=tag)
    wanted = pinned(server, tmp_path, Pin(300_000, OTHER_SHA256, tag), retries=1)
    server.put("/set.zip", CONTENT[:1] + CONTENT[:-1], tag=tag)
    with pytest.raises(SourceChanged, match=rf"changed: 300000 bytes as before, but sha256 \w+ now, {OTHER_SHA256} was pinned"):
        fetch(server.url("/set.zip"), wanted)
    assert path.read_bytes() == CONTENT  # what was kept still is
    server.pages["/set.zip"] = page
    page.tag = tag and '"3"'
    assert fetch(server.url("/set.zip"), wanted).read_bytes() == OTHER  # now it is what the lock says


@pytest.mark.parametrize("old", [CONTENT[:9], None])
def test_an_update_takes_what_was_refused_without_getting_it_again(server: Server, tmp_path: Path, old: bytes | None) -> None:
    if old is not None:
        server.put("/set.zip", old)
        fetch(server.url("/set.zip"), place_in(tmp_path))
    page = server.put("/set.zip", OTHER, tag='"2"')
    with pytest.raises(SourceChanged):
        fetch(server.url("/set.zip"), pinned(server, tmp_path))
    place = pinned(server, tmp_path, update=True)
    assert fetch(server.url("/set.zip"), place).read_bytes() == OTHER
    assert place.came == {server.url("/set.zip"): Pin(300_000, OTHER_SHA256, '"2"')}
    assert page.sent == 300_000


@pytest.mark.parametrize(
    ("tag", "modified", "condition"),
    [
        ('"1"', None, "if-none-match"),
        ('W/"1"', None, "if-none-match"),
        (None, "Sat, 01 Nov 2025 10:00:00 GMT", "if-modified-since"),
    ],
)
def test_an_update_of_what_is_unchanged_fetches_nothing(
    server: Server, tmp_path: Path, tag: str | None, modified: str | None, condition: str
) -> None:
    page = server.put("/set.zip", CONTENT, tag=tag, modified=modified)
    path = fetch(server.url("/set.zip"), pinned(server, tmp_path))
    place = pinned(server, tmp_path, update=True)
    assert fetch(server.url("/set.zip"), place) == path
    assert condition in page.requests[1]
    assert page.sent == 300_000
    assert place.came[server.url("/set.zip")].sha256 == SHA256
    assert left(place) == [path.name, f"{path.name}.json"]


def test_an_update_takes_an_empty_file_for_one(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url("/set.zip"), pinned(server, tmp_path))
    server.put("/set.zip", b"", tag='"2"')
    assert fetch(server.url("/set.zip"), pinned(server, tmp_path, update=True)) == path
    assert path.read_bytes() == b""


def test_an_update_keeps_the_old_file_until_the_new_one_is_whole(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url("/set.zip"), pinned(server, tmp_path))
    page = server.put("/set.zip", OTHER[:200_000], tag='"2"', drops=[100_000])
    place = pinned(server, tmp_path, update=True)
    with pytest.raises(TransferError, match="100000 bytes are kept"):
        fetch(server.url("/set.zip"), place)
    assert path.read_bytes() == CONTENT
    with pytest.raises(ValueError, match="expected sha256:000"):  # the card's word holds in an update, too
        fetch(server.url("/set.zip"), place, f"sha256:{'0' * 64}")
    assert path.read_bytes() == CONTENT
    assert fetch(server.url("/set.zip"), place).read_bytes() == OTHER[:200_000]
    assert page.sent == 200_000


def test_a_kept_file_that_is_not_as_pinned_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    page = server.put("/set.zip", OTHER, tag='"2"')
    path = fetch(server.url("/set.zip"), place_in(tmp_path))
    page.content, page.tag = CONTENT, '"1"'
    assert fetch(server.url("/set.zip"), pinned(server, tmp_path)) == path
    assert path.read_bytes() == CONTENT


def test_local_files_are_pinned(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    place.folder.mkdir()
    path = place.folder / "set.zip"
    path.write_bytes(CONTENT)
    place = replace(place, pinned={"set.zip": Pin(300_000, SHA256)})
    assert fetch("set.zip", place) == path
    for content, message in [(CONTENT[1:], "shrank: 299999 bytes, 300000 were pinned"), (OTHER, "changed: 300000 bytes as")]:
        path.write_bytes(content)
        with pytest.raises(SourceChanged, match=f"set.zip: the source {message}"):
            fetch("set.zip", place)
    updated = replace(place, rules=replace(place.rules, update=True), came={})
    assert fetch("set.zip", updated) == path
    assert updated.came == {"set.zip": Pin(300_000, OTHER_SHA256)}


def test_offline_opens_no_socket(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.url("/set.zip")
    waits = note_waits(monkeypatch)
    path = fetch(url, place_in(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for place in (pinned(server, tmp_path, offline=True), pinned(server, tmp_path, offline=True, update=True)):
        assert fetch(url, place) == path
    with pytest.raises(ValueError, match=r"^offline: http://.*/set.zip is not here as pinned; run once without --offline$"):
        fetch(url, pinned(server, tmp_path, Pin(1, SHA256), offline=True))
    with pytest.raises(ValueError, match=r"^offline: http://.*/gone.zip is not here; run once without --offline$"):
        fetch(server.url("/gone.zip"), place_in(tmp_path, offline=True, retries=5))
    with pytest.raises(ValueError, match=r"^offline: s3://bucket/key is not here; run once without --offline$"):
        fetch("s3://bucket/key", place_in(tmp_path, offline=True))
    assert waits == []
