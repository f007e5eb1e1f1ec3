"""Objects of a store on loopback: whole, resumed, changed, refused, and never with a secret in a message or log."""

import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from object_store import ACCESS, SECRET, SESSION, Asked, ObjectStore, refused
from transfers import Counted

from pipelines.transfer import Pin, Place, Rules, SourceChanged, TransferError, objects
from pipelines.transfer.fetch import fetch
from pipelines.transfer.objects import download, head

BLOCK = 1 << 16
DATA = random.Random(1).randbytes(10 * BLOCK + 123)
OTHER = random.Random(2).randbytes(len(DATA))
LOCATOR = "s3://stones/a b/p#1.zip"
ETAG = '"65d2e2c8ff3b1b1e4b8f5a8d4a7fd1c6"'


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def store(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": SESSION,
        "AWS_CONFIG_FILE": "none",
        "AWS_SHARED_CREDENTIALS_FILE": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects, "BLOCK", BLOCK)
    server.reset()
    server.put("stones", "a b/p#1.zip", DATA)
    return server


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "downloads", "pebbles", Rules(connections=3, retries=0))


@pytest.fixture
def target(place: Place) -> Path:
    return place.downloads / "pebbles.zip"


def files(place: Place) -> list[str]:
    return sorted(path.name for path in place.downloads.iterdir())


def drop_at(store: ObjectStore, number: int, after: int) -> None:
    """Drop the line of the block `number` after so many bytes."""
    begin = f"bytes={number * BLOCK}-"
    store.disturb = lambda asked: after if asked.method == "GET" and asked.range.startswith(begin) else None


def test_whole(store: ObjectStore, place: Place, target: Path) -> None:
    place.meter = meter = Counted()
    size, etag = download(LOCATOR, target, place)
    assert target.read_bytes() == DATA
    assert (size, etag) == (len(DATA), head(LOCATOR, place).said.etag)
    assert files(place) == ["pebbles.zip"]
    assert sum(sum(asked.sent) for asked in store.gets()) == len(DATA)
    assert meter.expected == meter.came == len(DATA)
    assert len(store.gets()) == 11


def test_empty_object(store: ObjectStore, place: Place, target: Path) -> None:
    store.put("stones", "empty", b"")
    assert download("s3://stones/empty", target, place)[0] == 0
    assert target.read_bytes() == b""


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize(("number", "after"), [(4, 0), (4, 40_000), (10, 100), (0, 0)])
def test_goes_on_where_the_line_dropped(
    store: ObjectStore, place: Place, target: Path, number: int, after: int, connections: int
) -> None:
    place.rules = replace(place.rules, connections=connections)
    place.meter = meter = Counted()
    drop_at(store, number, after)
    with pytest.raises(TransferError):
        download(LOCATOR, target, place)
    part = target.with_name("pebbles.zip.part")
    kept = part.read_bytes() if part.exists() else b""
    assert DATA.startswith(kept)
    assert number * BLOCK <= len(kept) <= number * BLOCK + after
    assert not target.exists()
    store.asked.clear()
    store.disturb = lambda asked: None
    download(LOCATOR, target, place)
    assert target.read_bytes() == DATA
    if connections == 1:  # with more, requests of the first attempt may reach the store late
        assert sum(sum(asked.sent) for asked in store.gets()) == len(DATA) - len(kept)
    assert meter.expected == meter.came == len(DATA)


def test_another_version_begins_anew(store: ObjectStore, place: Place, target: Path) -> None:
    drop_at(store, 4, 0)
    with pytest.raises(TransferError):
        download(LOCATOR, target, place)
    store.disturb = lambda asked: None
    store.put("stones", "a b/p#1.zip", OTHER)
    download(LOCATOR, target, place)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("other", [OTHER, OTHER[: 8 * BLOCK], OTHER + b"more"])
def test_change_on_the_way(store: ObjectStore, place: Place, target: Path, other: bytes) -> None:
    def change(asked: Asked) -> None:
        if asked.range.startswith(f"bytes={5 * BLOCK}-"):
            store.put("stones", "a b/p#1.zip", other)

    store.disturb = change
    with pytest.raises(TransferError):
        download(LOCATOR, target, place)
    store.disturb = lambda asked: None
    download(LOCATOR, target, place)
    assert target.read_bytes() == other


@pytest.mark.parametrize("now", [OTHER, OTHER[:-1]])
def test_pinned(store: ObjectStore, place: Place, target: Path, now: bytes) -> None:
    place.pinned = {LOCATOR: Pin(len(DATA), sha256(DATA).hexdigest(), ETAG)}
    download(LOCATOR, target, place)  # an ETag alone may differ: uploads in other parts get others
    store.put("stones", "a b/p#1.zip", now)
    with pytest.raises(SourceChanged, match=r"the source (changed|shrank).*update pebbles"):
        download(LOCATOR, target, place)
    assert target.read_bytes() == DATA
    place.rules = replace(place.rules, update=True)
    download(LOCATOR, target, place)
    assert target.read_bytes() == now


def test_what_is_not_there(store: ObjectStore, place: Place, target: Path) -> None:
    for locator, words in [("s3://stones/none.zip", "no such object"), ("s3://nowhere/p.zip", "no such bucket")]:
        with pytest.raises(ValueError, match=words):
            download(locator, target, place)
    assert files(place) == []


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        ("403 Forbidden", "AccessDenied", ValueError, "check the credentials"),
        ("403 Forbidden", "InvalidAccessKeyId", ValueError, "does not know this access key"),
        ("403 Forbidden", "SignatureDoesNotMatch", ValueError, "does not go with"),
        ("400 Bad Request", "ExpiredToken", ValueError, "out of date"),
        ("401 Unauthorized", "Weird", ValueError, "asks for credentials"),
        ("400 Bad Request", "Weird", ValueError, "the text"),
        ("503 Slow Down", "SlowDown", TransferError, "503 SlowDown"),
        ("500 Oh", "InternalError", TransferError, "500 InternalError"),
        ("429 Too Many", "Weird", TransferError, "429"),
        ("400 Bad Request", "RequestTimeout", TransferError, "400 RequestTimeout"),
    ],
)
def test_refused(
    store: ObjectStore, place: Place, target: Path, status: str, code: str, kind: type[Exception], words: str
) -> None:
    store.disturb = lambda asked: (status, refused(code, "the text")) if asked.method == "GET" or status < "5" else None
    with pytest.raises(kind, match=words) as caught:
        download(LOCATOR, target, place)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, TransferError) == (kind is TransferError)
    assert len(store.asked) <= 5  # the block of each connection, once: nobody tries again behind the caller's back


def test_refused_midway_keeps_what_came(store: ObjectStore, place: Place, target: Path) -> None:
    begin = f"bytes={6 * BLOCK}-"
    store.disturb = lambda asked: ("503 Slow", refused("SlowDown", "")) if asked.range.startswith(begin) else None
    with pytest.raises(TransferError, match="SlowDown"):
        download(LOCATOR, target, place)
    assert target.with_name("pebbles.zip.part").read_bytes() == DATA[: 6 * BLOCK]


def test_nobody_there(store: ObjectStore, place: Place, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(TransferError, match="Could not connect"):
        download(LOCATOR, target, place)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(ValueError, match="settings of AWS"):
        download(LOCATOR, target, place)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ValueError, match=r"settings of AWS.*nobody"):
        download(LOCATOR, target, place)


def test_two_stores_stay_apart(store: ObjectStore, place: Place, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download(LOCATOR, target, place)
    with ObjectStore() as second:
        monkeypatch.setenv("AWS_ENDPOINT_URL", second.endpoint)
        second.disturb = lambda asked: ("503 Slow", refused("SlowDown", ""))
        with pytest.raises(TransferError):
            download(LOCATOR, target, place)
        assert second.asked


def test_bounds(store: ObjectStore, place: Place, target: Path) -> None:
    place.rules = Rules(limit_bytes=len(DATA) - 1)
    with pytest.raises(ValueError, match="more than the limit"):
        download(LOCATOR, target, place)
    place.rules = Rules(deadline=0.0)
    with pytest.raises(TransferError, match="deadline"):
        download(LOCATOR, target, place)
    assert store.gets() == []


def test_silent_server(store: ObjectStore, place: Place, target: Path) -> None:
    ended = False

    def hang(asked: Asked) -> None:
        while asked.range.startswith(f"bytes={3 * BLOCK}-") and not ended:
            time.sleep(0.02)

    store.disturb = hang
    place.rules = Rules(connections=2, read_timeout=1.5)
    with pytest.raises(TransferError, match="Timeout"):
        download(LOCATOR, target, place)
    assert not target.exists()
    assert DATA[: 3 * BLOCK].startswith(target.with_name("pebbles.zip.part").read_bytes())
    place.rules = Rules(connections=2, read_timeout=60, deadline=time.monotonic() - place.begun + 0.5)
    with pytest.raises(TransferError, match="deadline"):
        download(LOCATOR, target, place)
    ended = True


def test_signed_or_not(store: ObjectStore, place: Place, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download(LOCATOR, target, place)
    assert all(ACCESS in asked.authorization for asked in store.asked)
    store.asked.clear()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    download(LOCATOR, target, place)
    assert store.asked
    assert not any(asked.authorization for asked in store.asked)


def test_credentials_of_a_file(store: ObjectStore, place: Place, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    path = place.folder / "credentials"
    path.write_text("[default]\naws_access_key_id = of-a-file\naws_secret_access_key = hush-hush-hush\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    store.disturb = lambda asked: ("403 Forbidden", refused("Weird", "your secret is hush-hush-hush"))
    with pytest.raises(ValueError, match="check the credentials") as caught:
        download(LOCATOR, target, place)
    assert all("of-a-file" in asked.authorization for asked in store.asked)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "503 Slow Down", "200 OK"])
def test_no_secret_is_told(
    store: ObjectStore, place: Place, target: Path, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    def echo(asked: Asked) -> tuple[str, bytes] | None:
        said = f"{asked.authorization} {SECRET} {SESSION}"
        return None if status == "200 OK" else (status, refused("Weird", said))

    store.disturb = echo
    told = ""
    with caplog.at_level(logging.DEBUG):
        for name in ("botocore", "aiobotocore", "s3fs", "asyncio", "fsspec", "urllib3", "aiohttp"):
            caplog.set_level(logging.DEBUG, name)
        try:
            download(LOCATOR, target, place)
        except (TransferError, ValueError) as error:
            told = str(error)
    told += caplog.text + "".join(str(vars(record)) for record in caplog.records)
    told += "".join(path.read_text(errors="replace") for path in place.downloads.iterdir() if path != target)
    assert "CALL: head_object" in told  # the libraries did log
    assert "StringToSign" in told
    signatures = {asked.authorization.rpartition("Signature=")[2] for asked in store.asked}
    assert all(len(signature) == 64 for signature in signatures)
    for secret in (ACCESS, SECRET, SESSION, *signatures):
        assert secret not in told


KILLED = """
import sys
from pathlib import Path
from pipelines.transfer import Place, Rules, objects
objects.BLOCK = 1 << 16
folder = Path(sys.argv[1])
objects.download(sys.argv[2], folder / "pebbles.zip", Place(folder, folder, "pebbles", Rules(connections=1)))
"""


def test_killed_midway(store: ObjectStore, place: Place, target: Path) -> None:
    ended = False

    def hang(asked: Asked) -> None:
        while asked.range.startswith(f"bytes={7 * BLOCK}-") and not ended:
            time.sleep(0.02)

    store.disturb = hang
    part = target.with_name("pebbles.zip.part")
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(place.downloads), LOCATOR], cwd=Path(__file__).parents[2])
    try:
        while not part.exists() or part.stat().st_size < 7 * BLOCK:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        ended = True
    assert part.read_bytes() == DATA[: 7 * BLOCK]
    store.asked.clear()
    download(LOCATOR, target, place)
    assert target.read_bytes() == DATA
    assert sum(sum(asked.sent) for asked in store.gets()) == len(DATA) - 7 * BLOCK


def test_names(store: ObjectStore, place: Place, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEBBLES_FOLDER", "sand")
    store.put("stones", "sand/p#1.zip", OTHER)
    download("s3://stones/${PEBBLES_FOLDER}/p#1.zip", target, place)
    assert target.read_bytes() == OTHER
    monkeypatch.delenv("PEBBLES_FOLDER")
    with pytest.raises(ValueError, match="PEBBLES_FOLDER is not set"):
        download("s3://stones/${PEBBLES_FOLDER}/p#1.zip", target, place)


def test_versions(store: ObjectStore, place: Place, target: Path) -> None:
    first = store.put_versions("stones", "p.zip", [DATA, OTHER])
    download("s3://stones/p.zip", target, place)
    assert target.read_bytes() == OTHER
    download(f"s3://stones/p.zip?versionId={first}", target, place)
    assert target.read_bytes() == DATA


def test_through_fetch(store: ObjectStore, place: Place) -> None:
    path = fetch(LOCATOR, place, f"sha256:{sha256(DATA).hexdigest()}")
    assert path.read_bytes() == DATA
    assert place.came[LOCATOR].sha256 == sha256(DATA).hexdigest()
    store.asked.clear()
    assert fetch(LOCATOR, place) == path
    assert store.asked == []
    with pytest.raises(ValueError, match=r"^s3://stones/none: no such object"):
        fetch("s3://stones/none", place)
