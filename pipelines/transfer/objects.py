"""Objects of an object store, `s3://BUCKET/KEY`: fetched in ranges, several at a time, kept in order, resumed and verified.

Endpoint, region and credentials are what AWS's own tools would use: AWS_ENDPOINT_URL and its kin, then ~/.aws; without any
credentials requests go unsigned. No retries here, and errors do not name the object: `fetch.py` does both.
"""

import asyncio
import os
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiobotocore.session
from s3fs import S3FileSystem

from pipelines.secrets import fill, guard_logs, hide
from pipelines.transfer import Pin, Place
from pipelines.transfer.expected import Expected
from pipelines.transfer.kept import Part, Said, hold
from pipelines.transfer.refusals import Changed, refusal
from pipelines.transfer.request import Denied
from pipelines.transfer.retry import Unready, check_deadline, seconds_left

BLOCK = 8 << 20  # bytes of one request
CONNECT = 30.0  # s
Result = TypeVar("Result")


class Object(NamedTuple):
    """What the store says of an object: its size in bytes and its version."""

    bytes: int
    said: Said


class Name(NamedTuple):
    """An object's name as requests want it."""

    Bucket: str
    Key: str
    VersionId: str | None

    def parameters(self) -> dict[str, str]:
        return {name: value for name, value in self._asdict().items() if value is not None}


def download(locator: str, target: Path, place: Place) -> tuple[int, str | None]:
    """Bring an object to `target` and return its size in bytes and its ETag; goes on with the part that is kept beside it.

    Raises SourceChanged if it is not what `place.pinned` says, TransferError where another attempt may help, another
    ValueError where the user must act: no such object or bucket, no access, too large. No message holds credentials.
    """
    expected = Expected.of(locator, place, None)
    with hold(target, place) as part:
        there = head(locator, place)
        if there.bytes > place.rules.limit_bytes:
            part.cut()
            raise Denied(f"holds {there.bytes} bytes, more than the limit of {place.rules.limit_bytes}")
        expected.check_size(there.bytes)
        if part.size and (part.said, part.total) != (there.said, there.bytes):
            part.cut()  # it is of another version
        part.sha256()  # of the bytes that are kept; leaves the part at its end
        part.describe(there.said, there.bytes, stitched=False)
        _complete(locator, part, there, place)
        expected.check(Pin(part.size, part.sha256(), there.said.strong))
        with part.path.open("rb") as handle:
            os.fsync(handle.fileno())
        part.path.replace(target)
    return there.bytes, there.said.strong


def head(locator: str, place: Place) -> Object:
    """Size and version of an object. Raises as `download`."""
    store, name = _store(place), _name(locator)
    try:
        answer = _wait(_begin(store, store._call_s3("head_object", **name.parameters())), place)
    except Denied:  # in so many words only an answer with a body says why
        _wait(_begin(store, store._call_s3("get_object", **name.parameters(), Range="bytes=0-0")), place)
        raise
    modified = answer.get("LastModified")
    return Object(int(answer["ContentLength"]), Said(answer.get("ETag"), modified.isoformat() if modified else None))


def _complete(locator: str, part: Part, there: Object, place: Place) -> None:
    """Append all that is missing in blocks, each once those before it are written."""
    store, name = _store(place), _name(locator)
    starts = iter(range(part.size, there.bytes, BLOCK))
    ahead: deque[tuple[bytearray, Future[None]]] = deque()
    place.meter.expect(there.bytes - part.size)
    try:
        while True:
            while len(ahead) < place.rules.connections and (start := next(starts, None)) is not None:
                block = bytearray()
                ahead.append((block, _begin(store, _read(store, name, there, start, block))))
            if not ahead:
                return
            block, reading = ahead.popleft()
            try:
                _wait(reading, place)
            finally:
                came = bytes(block)  # of one that failed, what came
                part.write(came)
                place.meter.got(len(came))
    except Changed:
        part.cut()
        raise Unready("changed while it was fetched; it begins anew") from None
    finally:
        place.meter.expect(part.size - there.bytes)  # nothing, unless it failed: the next attempt expects the rest
        for _, reading in ahead:
            reading.cancel()


async def _read(store: S3FileSystem, name: Name, there: Object, start: int, block: bytearray) -> None:
    end = min(start + BLOCK, there.bytes)
    condition = {"IfMatch": there.said.etag} if there.said.etag else {}
    answer = await store._call_s3("get_object", **name.parameters(), **condition, Range=f"bytes={start}-{end - 1}")
    async with answer["Body"] as body:
        # a store may know no conditions
        if answer.get("ETag") != there.said.etag or answer.get("ContentRange") != f"bytes {start}-{end - 1}/{there.bytes}":
            raise Changed
        while piece := await body.read(1 << 18):
            block += piece[: end - start - len(block)]
    if len(block) < end - start:
        raise ConnectionError(f"{len(block)} of {end - start} bytes came")


def _begin(store: S3FileSystem, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
    return asyncio.run_coroutine_threadsafe(_worded(work), store.loop)


async def _worded(work: Coroutine[Any, Any, Result]) -> Result:
    """The result; errors in words of our own."""
    try:
        return await work
    except Changed:
        raise
    except Exception as error:  # here, for a Future forgets what led to a TimeoutError
        raise refusal(error) from None


def _wait(reading: "Future[Result]", place: Place) -> Result:
    """The result, if it comes before the deadline."""
    try:
        check_deadline(place)
        return reading.result(seconds_left(place))
    except TimeoutError:
        check_deadline(place)
        raise
    finally:
        reading.cancel()


def _name(locator: str) -> Name:
    bucket, _, key = fill(locator)[len("s3://") :].partition("/")
    key, _, version = key.partition("?versionId=")
    return Name(bucket, key, version or None)


def _store(place: Place) -> S3FileSystem:
    """The store that the environment names, with the connections of `rules.connections` together for all who use it."""
    around = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(("AWS_", "FSSPEC_"))))
    try:
        return _open(os.getpid(), around, place.rules.connections, place.rules.read_timeout)
    except Exception as error:
        raise refusal(error) from None


@lru_cache(maxsize=4)
def _open(process: int, around: tuple[tuple[str, str], ...], connections: int, read_timeout: float) -> S3FileSystem:
    guard_logs()  # these libraries log signed requests
    config = {
        "connect_timeout": min(CONNECT, read_timeout),
        "read_timeout": read_timeout,
        "max_pool_connections": connections,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
    }
    store = S3FileSystem(config_kwargs=config, skip_instance_cache=True)
    store.retries = 1
    credentials = asyncio.run_coroutine_threadsafe(_credentials(), store.loop).result()
    for value in (store.key, store.secret, store.token, *credentials):
        hide(value)
    if store.secret is None and not credentials:
        store.anon = True
    return store


async def _credentials() -> tuple[str, ...]:
    found = await aiobotocore.session.AioSession().get_credentials()
    if found is None:
        return ()
    frozen = await found.get_frozen_credentials()
    return tuple(value for value in (frozen.access_key, frozen.secret_key, frozen.token) if value)
