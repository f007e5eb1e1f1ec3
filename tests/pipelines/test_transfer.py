"""Fetching from a real server on loopback that drops, refuses, redirects and changes its mind."""

import errno
import hashlib
import logging
import random
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.transfer import Place
from pipelines.transfer import fetch as transfer
from pipelines.transfer.fetch import TransferError, fetch
from pipelines.transfer.locators import check_locator, download_name, shown

CONTENT = random.Random(1).randbytes(300_000)
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@dataclass
class Behaviour:
    """What the server does; tests set it, the server notes the requests."""

    content: bytes = CONTENT
    tag: str | None = '"1"'
    ranges: bool = True
    length: bool = True
    drop_after: list[int] = field(default_factory=list)  # bytes sent before each of the first answers breaks off
    status: int = 200
    location: str | None = None
    silent: bool = False
    wrong_range: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour
    released: threading.Event

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        does = self.behaviour
        does.requests.append({**self.headers, "path": self.path})
        if does.silent:
            self.released.wait()
            return
        if does.location is not None and self.path != "/final.zip":
            self.send_response(302)
            self.send_header("Location", does.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if does.status != 200:
            self.send_error(does.status)
            return
        self._send(does)

    def _send(self, does: Behaviour) -> None:
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and does.ranges and self.headers.get("If-Range", does.tag) == does.tag:
            start = int(wanted[1])
            if start >= len(does.content):
                self.send_error(416)
                return
        first = start + 1 if start and does.wrong_range else start
        body = does.content[first:]
        if start:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(does.content) - 1}/{len(does.content)}")
        else:
            self.send_response(200)
        if does.tag:
            self.send_header("ETag", does.tag)
        if does.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: does.drop_after.pop(0)] if does.drop_after else body)


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    does = Behaviour()
    released = threading.Event()
    handler = type("OneHandler", (Handler,), {"behaviour": does, "released": released})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/set.zip", does
        released.set()
        http.shutdown()
        thread.join()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "sources", tmp_path / "downloads")


def left(place: Place) -> list[str]:
    return sorted(path.name for path in place.downloads.iterdir())


def test_whole_download(server: tuple[str, Behaviour], place: Place) -> None:
    url, does = server
    path = fetch(url, place, CHECKSUM)
    assert path.read_bytes() == CONTENT
    assert left(place) == [path.name]
    assert fetch(url, place, CHECKSUM) == path
    assert len(does.requests) == 1  # the second time it was here


@pytest.mark.parametrize("tag", ['"1"', None])
def test_drop_then_resume(server: tuple[str, Behaviour], place: Place, tag: str | None) -> None:
    url, does = server
    does.tag = tag
    does.drop_after = [100_000, 50_000]
    for kept in (100_000, 150_000):
        with pytest.raises(TransferError, match=f"{kept} bytes are kept for the next attempt") as caught:
            fetch(url, place, CHECKSUM)
        assert "\n" not in str(caught.value)
        assert caught.value.errno is None
    assert fetch(url, place, CHECKSUM).read_bytes() == CONTENT
    assert [request.get("Range") for request in does.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert len(left(place)) == 1


def test_range_ignored_starts_over(server: tuple[str, Behaviour], place: Place) -> None:
    url, does = server
    does.ranges = False
    does.drop_after = [100_000]
    with pytest.raises(TransferError):
        fetch(url, place)
    assert fetch(url, place, CHECKSUM).read_bytes() == CONTENT


def test_file_changed_between_attempts(server: tuple[str, Behaviour], place: Place) -> None:
    url, does = server
    does.drop_after = [100_000]
    with pytest.raises(TransferError):
        fetch(url, place)
    does.content, does.tag = CONTENT[::-1], '"2"'
    assert fetch(url, place).read_bytes() == CONTENT[::-1]
    assert does.requests[1]["If-Range"] == '"1"'


def test_file_changed_without_a_tag(server: tuple[str, Behaviour], place: Place) -> None:
    url, does = server
    does.tag = None
    does.drop_after = [100_000]
    with pytest.raises(TransferError):
        fetch(url, place)
    does.content = CONTENT[::-1][:250_000]
    assert fetch(url, place).read_bytes() == CONTENT[::-1][:250_000]


def test_file_grew_shorter_than_the_part(server: tuple[str, Behaviour], place: Place) -> None:
    url, does = server
    does.tag = None
    does.drop_after = [100_000]
    with pytest.raises(TransferError):
        fetch(url, place)
    does.content = b"short"
    assert fetch(url, place).read_bytes() == b"short"  # after a 416


def test_another_part_than_asked_for(server: tuple[str, Behaviour], place: Place) -> None:
    url, does = server
    does.wrong_range = True
    does.drop_after = [100_000]
    with pytest.raises(TransferError):
        fetch(url, place)
    assert fetch(url, place, CHECKSUM).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_answers_worth_another_attempt(server: tuple[str, Behaviour], place: Place, status: int) -> None:
    url, does = server
    does.status = status
    with pytest.raises(TransferError, match=f"the server answers {status}"):
        fetch(url, place)


@pytest.mark.parametrize(
    ("status", "message"), [(404, "no such file"), (403, "refuses access"), (401, "credentials"), (418, "418")]
)
def test_answers_for_the_user(server: tuple[str, Behaviour], place: Place, status: int, message: str) -> None:
    url, does = server
    does.status = status
    with pytest.raises(ValueError, match=message):
        fetch(url, place)
    assert left(place) == []


def test_checksum_mismatch(server: tuple[str, Behaviour], place: Place) -> None:
    url, _ = server
    wanted = f"sha256:{'0' * 64}"
    with pytest.raises(ValueError, match=f"expected {wanted}, found {CHECKSUM}; .*write the new checksum into the card"):
        fetch(url, place, wanted)


def test_too_large(server: tuple[str, Behaviour], place: Place) -> None:
    url, does = server
    with pytest.raises(ValueError, match="holds 300000 bytes, more than the limit of 1000"):
        fetch(url, place, limit=1000)
    does.length = False
    with pytest.raises(ValueError, match="sends more than the limit of 1000"):
        fetch(url, place, limit=1000)
    assert left(place) == []


def test_redirects(server: tuple[str, Behaviour], place: Place, tmp_path: Path) -> None:
    url, does = server
    does.location = "/final.zip"
    assert fetch(url, place, CHECKSUM).read_bytes() == CONTENT
    secret = tmp_path / "secret.zip"
    secret.write_bytes(CONTENT)
    for target in (secret.as_uri(), "ftp://127.0.0.1/x.zip"):
        does.location = target
        with pytest.raises(ValueError, match="which is no http"):
            fetch(f"{url}?again", place)
    does.location = "/set.zip"
    with pytest.raises(ValueError, match="redirects more than 10 times"):
        fetch(f"{url}?again", place)


def test_no_server_and_silent_server(server: tuple[str, Behaviour], place: Place) -> None:
    url, does = server
    does.silent = True
    with pytest.raises(TransferError, match="ReadTimeout"):
        fetch(url, place, read_timeout=0.2)
    with pytest.raises(TransferError, match="ConnectError"):
        fetch("http://127.0.0.1:1/x.zip", place)


def test_credentials_are_sent_but_never_told(
    server: tuple[str, Behaviour], place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    url, does = server
    private = url.replace("http://", "http://user:hush@") + "?token=whisper"
    told = []
    caplog.set_level(logging.DEBUG)
    for status in (404, 503):
        does.status = status
        with pytest.raises((ValueError, TransferError)) as caught:
            fetch(private, place)
        told.append(str(caught.value))
    does.status, does.location = 200, "file:///x"
    with pytest.raises(ValueError, match="refusing") as refused:
        fetch(private, place)
    does.location, does.drop_after = None, [1000]
    with pytest.raises(TransferError) as dropped:
        fetch(private, place)
    path = fetch(private, place)
    told += [str(refused.value), str(dropped.value), str(path), path.parent.as_posix(), *map(str, left(place))]
    assert not re.search("hush|whisper", " ".join(told))
    assert "hush" not in caplog.text
    assert all(request["Authorization"].startswith("Basic ") for request in does.requests)


def test_disk_full_passes(server: tuple[str, Behaviour], place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = server

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "_stream", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(url, place)
    assert caught.value.errno == errno.ENOSPC
    assert not isinstance(caught.value, TransferError)


def test_local_files(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "downloads")
    path = tmp_path / "a set.zip"
    path.write_bytes(CONTENT)
    assert fetch("a set.zip", place, CHECKSUM) == path
    assert fetch(path.as_uri(), place, CHECKSUM) == path
    assert fetch(str(path), place, CHECKSUM) == path
    assert not place.downloads.exists()
    for locator, message in [
        ("gone.zip", "no such file; relative locators start at sources_folder"),
        (".", "expected a file, found a folder"),
        ("file://elsewhere/x.zip", "cannot name another machine"),
        ("ftp://host/x.zip", "expected a path or a file:, http: or https: URL"),
        ("https:///x.zip", "malformed URL"),
        ("https://user:hush@host:port/x.zip", r"malformed URL 'https://\.\.\.'"),
    ]:
        with pytest.raises(ValueError, match=message):
            fetch(locator, place)
    with pytest.raises(ValueError, match="found sha256"):
        fetch("a set.zip", place, f"sha256:{'0' * 64}")


def test_names() -> None:
    assert shown("https://u:p@host:8/a/b.zip?sig=1#f") == "https://host:8/a/b.zip"
    assert shown("folder/b.zip") == "folder/b.zip"
    assert download_name("https://u:p@host/a/b c.zip") == download_name("https://host/a/b c.zip")
    assert download_name("https://host/a/b.zip") != download_name("https://host/c/b.zip")
    assert re.fullmatch(r"[0-9a-f]{12}-[A-Za-z0-9._-]+", download_name("https://host/../%2e%2e/é"))
    assert download_name("https://host/").endswith("-download")
    check_locator("a.zip")
