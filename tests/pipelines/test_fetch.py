"""Fetching one file from a real server on loopback that drops, refuses, redirects and changes its mind."""

import errno
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Server
from transfers import CHECKSUM, CONTENT, SHA256, Counted, left, place_in

from pipelines.transfer import Pin, Place, TransferError, kept
from pipelines.transfer.fetch import fetch
from pipelines.transfer.kept import Part
from pipelines.transfer.request import refuse_redirect


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_in(tmp_path)


def test_whole_download_is_kept(server: Server, place: Place) -> None:
    page = server.put("/set.zip", CONTENT)
    place.meter = meter = Counted()
    path = fetch(server.url("/set.zip"), place, CHECKSUM)
    assert path.read_bytes() == CONTENT
    assert left(place) == [path.name, f"{path.name}.json"]
    assert place.came == {server.url("/set.zip"): Pin(300_000, SHA256, '"1"')}
    assert (meter.expected, meter.came) == (300_000, 300_000)
    place.came = {}
    assert fetch(server.url("/set.zip"), place, CHECKSUM) == path
    assert place.came == {server.url("/set.zip"): Pin(300_000, SHA256, '"1"')}
    assert len(page.requests) == 1  # the second time it was here
    assert meter.came == 300_000


def test_the_sum_is_taken_while_the_bytes_come(server: Server, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put("/set.zip", CONTENT)

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(kept, "sha256_file", refuse)
    fetch(server.url("/set.zip"), place, CHECKSUM)
    fetch(server.url("/set.zip"), place, CHECKSUM)


def test_the_note_spares_the_sum_until_the_file_is_another(server: Server, place: Place) -> None:
    server.put("/set.zip", CONTENT)
    path = fetch(server.url("/set.zip"), place)
    note = path.with_name(f"{path.name}.json")
    facts = json.loads(note.read_text())
    assert facts["bytes"] == 300_000
    assert facts["sha256"] == SHA256
    note.write_text(json.dumps({**facts, "sha256": "0" * 64}))
    with pytest.raises(ValueError, match="found sha256:0000"):  # the note is believed
        fetch(server.url("/set.zip"), place, CHECKSUM)
    os.utime(path, ns=(1, 1))
    assert fetch(server.url("/set.zip"), place, CHECKSUM) == path  # and not believed of a file that was touched
    note.write_text("{")
    assert fetch(server.url("/set.zip"), place, CHECKSUM) == path


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', None])
@pytest.mark.parametrize("modified", ["Sat, 01 Nov 2025 10:00:00 GMT", None])
def test_drop_then_resume(server: Server, place: Place, tag: str | None, modified: str | None) -> None:
    page = server.put("/set.zip", CONTENT, tag=tag, modified=modified, drops=[100_000, 50_000])
    for so_far in (100_000, 150_000):
        with pytest.raises(TransferError, match=f"{so_far} bytes are kept for the next run") as caught:
            fetch(server.url("/set.zip"), place, CHECKSUM)
        assert "\n" not in str(caught.value)
        assert caught.value.errno is None
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT
    assert [request.get("range") for request in page.requests] == [None, "bytes=100000-", "bytes=150000-"]
    condition = '"1"' if tag == '"1"' else modified
    assert [request.get("if-range") for request in page.requests] == [None, condition, condition]
    assert page.sent == len(CONTENT)
    assert not left(place, ".part", ".part.json")


@settings(max_examples=40)
@given(drops=st.lists(st.integers(0, 40_000), max_size=6), block=st.sampled_from([1000, 1 << 16]), chunked=st.booleans())
def test_any_drops_give_the_same_file_and_no_byte_comes_twice(
    tmp_path_factory: pytest.TempPathFactory, drops: list[int], block: int, chunked: bool
) -> None:
    content = CONTENT[:50_000]
    place = place_in(tmp_path_factory.mktemp("drops"))
    with Server() as server:
        page = server.put("/a", content, drops=list(drops), block=block, chunked=chunked)
        lost = here = attempts = 0
        path = None
        while path is None:
            sent, attempts = page.sent, attempts + 1
            try:
                path = fetch(server.url("/a"), place)
            except TransferError:
                before, here = here, sum(part.stat().st_size for part in place.downloads.glob("*.part"))
                lost += page.sent - sent - (here - before)  # sent, but not on the disk when the line dropped
        assert path.read_bytes() == content
        assert attempts <= len(drops) + 1
        assert page.sent == len(content) + lost
        # a chunk that broke off is no body yet; else all that arrives is written
        assert 0 <= lost <= (block * len(drops) if chunked else 0)


def test_range_ignored_starts_over_where_it_must(server: Server, place: Place) -> None:
    page = server.put("/set.zip", CONTENT, tag=None, ranges=False, drops=[100_000])
    with pytest.raises(TransferError):
        fetch(server.url("/set.zip"), place)
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT
    assert page.sent == len(CONTENT) + 100_000


def test_range_ignored_of_the_same_file_loses_nothing(server: Server, place: Place) -> None:
    server.put("/set.zip", CONTENT, ranges=False, drops=[100_000, 20_000])
    for _ in range(2):
        with pytest.raises(TransferError, match="100000 bytes are kept"):
            fetch(server.url("/set.zip"), place)
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT


def test_file_changed_between_attempts(server: Server, place: Place) -> None:
    page = server.put("/set.zip", CONTENT, drops=[100_000])
    with pytest.raises(TransferError):
        fetch(server.url("/set.zip"), place)
    page.content, page.tag = CONTENT[::-1], '"2"'
    assert fetch(server.url("/set.zip"), place).read_bytes() == CONTENT[::-1]
    assert page.requests[1]["if-range"] == '"1"'


@pytest.mark.parametrize("content", [CONTENT[::-1][:250_000], b"short"])  # told by the size, and by a 416
def test_file_changed_without_a_tag(server: Server, place: Place, content: bytes) -> None:
    page = server.put("/set.zip", CONTENT, tag=None, drops=[100_000])
    with pytest.raises(TransferError):
        fetch(server.url("/set.zip"), place)
    page.content = content
    assert fetch(server.url("/set.zip"), place).read_bytes() == content


def test_parts_of_two_files_are_never_one(server: Server, tmp_path: Path) -> None:
    place = place_in(tmp_path, retries=1)
    page = server.put("/set.zip", CONTENT[::-1], tag=None, drops=[100_000])
    with pytest.raises(TransferError):
        fetch(server.url("/set.zip"), place_in(tmp_path))
    page.content = CONTENT  # as many bytes, and nothing tells it apart
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT


def test_another_part_than_asked_for(server: Server, place: Place) -> None:
    server.put("/set.zip", CONTENT, range_off=1, drops=[100_000])
    with pytest.raises(TransferError):
        fetch(server.url("/set.zip"), place)
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT


def test_a_whole_part_needs_no_byte_more(server: Server, place: Place) -> None:
    page = server.put("/set.zip", CONTENT)
    with pytest.raises(ValueError, match="found sha256"):
        fetch(server.url("/set.zip"), place, f"sha256:{'0' * 64}")
    assert left(place, ".part")
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT  # the card was mended
    assert page.sent == len(CONTENT)
    assert len(page.requests) == 2


def test_bytes_without_their_note_are_not_built_on(server: Server, place: Place) -> None:
    page = server.put("/set.zip", CONTENT, drops=[100_000])
    with pytest.raises(TransferError):
        fetch(server.url("/set.zip"), place)
    next(place.downloads.glob("*.part.json")).unlink()
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT
    assert "range" not in page.requests[1]


@pytest.mark.parametrize("behaviour", [{"length": False}, {"chunked": True}, {"content": b""}])
def test_sizes_that_are_not_told_or_nothing(server: Server, place: Place, behaviour: dict[str, object]) -> None:
    page = server.put("/set.zip", CONTENT)
    for name, value in behaviour.items():
        setattr(page, name, value)
    assert fetch(server.url("/set.zip"), place).read_bytes() == page.content


def test_a_body_shorter_than_it_claims(server: Server, place: Place) -> None:
    server.put("/set.zip", CONTENT, claims=400_000)
    with pytest.raises(TransferError, match="300000 bytes are kept"):
        fetch(server.url("/set.zip"), place)


def test_compressed_on_its_way(server: Server, place: Place) -> None:
    page = server.put("/set.zip", CONTENT, gzipped=True)
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT
    assert page.requests[0]["accept-encoding"] == "identity"
    server.put("/forced.zip", CONTENT, headers={"Content-Encoding": "gzip"})
    with pytest.raises(ValueError, match=r"sends it compressed \(gzip\), though asked not to"):
        fetch(server.url("/forced.zip"), place)
    server.put("/set.tar.gz", CONTENT, headers={"Content-Encoding": "x-gzip"})  # so old servers call what it is
    assert fetch(server.url("/set.tar.gz"), place).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "message"), [(404, "no such file"), (403, "refuses access"), (401, "credentials"), (418, "418"), (410, "gone")]
)
def test_answers_for_the_user(server: Server, place: Place, status: int, message: str) -> None:
    page = server.put("/set.zip", CONTENT, status=status)
    place = place_in(place.downloads.parent, retries=5)
    with pytest.raises(ValueError, match=f"{message}.*; check source.locator of the card"):
        fetch(server.url("/set.zip"), place)
    assert left(place) == []
    assert len(page.requests) == 1


def test_checksum_mismatch(server: Server, place: Place) -> None:
    server.put("/set.zip", CONTENT)
    wanted = f"sha256:{'0' * 64}"
    with pytest.raises(ValueError, match=f"expected {wanted}, found {CHECKSUM}; .*write the new checksum into the card"):
        fetch(server.url("/set.zip"), place, wanted)
    assert place.came == {}


def test_too_large(server: Server, tmp_path: Path) -> None:
    place = place_in(tmp_path, limit_bytes=1000)
    page = server.put("/set.zip", CONTENT)
    with pytest.raises(ValueError, match="holds 300000 bytes, more than the limit of 1000"):
        fetch(server.url("/set.zip"), place)
    page.length = False
    with pytest.raises(ValueError, match="sends more than the limit of 1000"):
        fetch(server.url("/set.zip"), place)
    assert left(place) == []


def test_redirects(server: Server, place: Place, tmp_path: Path) -> None:
    page = server.put("/set.zip", location="/final.zip")
    server.put("/final.zip", CONTENT)
    assert fetch(server.url("/set.zip"), place, CHECKSUM).read_bytes() == CONTENT
    secret = tmp_path / "secret.zip"
    secret.write_bytes(CONTENT)
    for target in (secret.as_uri(), "ftp://127.0.0.1/x.zip"):
        page.location = target
        with pytest.raises(ValueError, match="which is no http"):
            fetch(server.url("/set.zip?again"), place)
    page.location = "/set.zip"
    with pytest.raises(ValueError, match="redirects more than 10 times"):
        fetch(server.url("/set.zip?again"), place)


def test_a_redirect_from_https_to_http_is_refused() -> None:
    secure, plain = httpx.Request("GET", "https://a/x"), httpx.Request("GET", "http://a/x?token=hush")
    with pytest.raises(ValueError, match="redirects from https to 'http://a/x") as caught:
        refuse_redirect(secure, plain)
    assert "hush" not in str(caught.value)
    refuse_redirect(plain, secure)


def test_credentials_of_netrc_are_for_the_host_alone(
    server: Server, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hushhush\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    page = server.put("/set.zip", CONTENT, user=("me", "hushhush"))
    assert fetch(server.url("/set.zip"), place).read_bytes() == CONTENT
    with Server() as other:
        far = other.put("/far.zip", CONTENT)
        page.location = other.url("/far.zip")
        fetch(server.url("/set.zip?far"), place)
        assert "authorization" in page.requests[-1]
        assert "authorization" not in far.requests[0]
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me pass hushhush\n")
    with pytest.raises(ValueError, match=r"not readable as a netrc file, line 1") as caught:
        fetch(server.url("/set.zip?more"), place)
    assert "hushhush" not in str(caught.value)


def test_secrets_are_sent_but_never_told(
    server: Server, place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_WORD", "whisper/1")
    private = server.url("/set.zip?token=${SET_WORD}")
    page = server.put("/set.zip", CONTENT)
    told = []
    caplog.set_level(logging.DEBUG)
    for status in (404, 503):
        page.status = status
        with pytest.raises((ValueError, TransferError)) as caught:
            fetch(private, place)
        told.append(str(caught.value))
    page.status, page.location = 200, "file:///x?token=whisper/1"
    with pytest.raises(ValueError, match="refusing") as refused:
        fetch(private, place)
    page.location, page.drops = None, [1000]
    with pytest.raises(TransferError) as dropped:
        fetch(private, place)
    path = fetch(private, place)
    notes = [file.read_text() for file in place.downloads.glob("*.json")]
    told += [str(refused.value), str(dropped.value), str(path), *left(place), *notes, *place.came]
    assert not re.search("whisper", " ".join(told) + caplog.text)
    assert all(request["path"] == "/set.zip?token=whisper/1" for request in page.requests)
    with pytest.raises(ValueError, match="holds a user or password"):
        fetch(server.url("/set.zip").replace("http://", "http://user:hushhush@"), place)
    monkeypatch.delenv("SET_WORD")
    with pytest.raises(ValueError, match="the environment variable SET_WORD is not set"):
        fetch(private + "&more", place)


def test_disk_full_passes(server: Server, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put("/set.zip", CONTENT)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Part, "write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(server.url("/set.zip"), place)
    assert caught.value.errno == errno.ENOSPC
    assert not isinstance(caught.value, TransferError)


def test_local_files(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "downloads")
    path = tmp_path / "a set.zip"
    path.write_bytes(CONTENT)
    assert fetch("a set.zip", place, CHECKSUM) == path
    assert fetch(path.as_uri(), place, CHECKSUM) == path
    assert fetch(str(path), place, CHECKSUM) == path
    assert place.came["a set.zip"] == Pin(300_000, SHA256, None)
    assert not place.downloads.exists()
    for locator, message in [
        ("gone.zip", "no such file; relative locators start at sources_folder"),
        (".", "expected a file, found a folder"),
        ("file://elsewhere/x.zip", "cannot name another machine"),
    ]:
        with pytest.raises(ValueError, match=message):
            fetch(locator, place)
    with pytest.raises(ValueError, match="found sha256"):
        fetch("a set.zip", place, f"sha256:{'0' * 64}")
