"""One small file into memory: from a server, an object store or a folder."""

import errno
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import httpx

from pipelines.transfer import Place, retry
from pipelines.transfer.kept import Said
from pipelines.transfer.locators import is_object, scheme_of
from pipelines.transfer.request import Denied, Web
from pipelines.transfer.retry import Unready, check_wait
from pipelines.transfer.store import Stored


class SmallFiles:
    """Asks for files of at most `limit` bytes, from any thread. Secrets are not filled in: a source's own words name these."""

    def __init__(self, web: Web, place: Place, limit: int) -> None:
        self._web, self._place, self._limit = web, place, limit
        self._rests: dict[str, float] = {}  # when a host may be asked again, in monotonic seconds

    def ask(self, locator: str, said: Said) -> Stored | None:
        """The file; None if the server says that it is the one that `said` is of.

        Raises TransferError where another attempt may help, else ValueError; both say the reason without the address.
        """
        if is_object(locator):
            return self._object(locator)
        headers = {"If-None-Match": said.etag} if said.etag else {}
        if said.modified and not headers:
            headers = {"If-Modified-Since": said.modified}
        self._leave_alone(locator)
        try:
            with self._web.get(locator, headers) as response:
                if response.status_code == 304 and headers:
                    return None
                if response.status_code != 200:
                    raise Denied(f"the server answers {response.status_code} to a plain request", response.status_code)
                data = self._body(response)
        except Unready as error:
            self._rests[_host(locator)] = time.monotonic() + (error.after or 0.0)
            raise
        return Stored(data, 200, None, said=Said(response.headers.get("ETag"), response.headers.get("Last-Modified")))

    def _leave_alone(self, locator: str) -> None:
        """Wait as long as the host has asked, whichever item it was asked for then."""
        rest = self._rests.get(_host(locator), 0.0) - time.monotonic()
        if rest > 0:
            check_wait(rest, self._place, "the server asks to be left alone")
            retry.sleep(min(rest, retry.PATIENCE), self._web.stopped)

    def _body(self, response: httpx.Response) -> bytes:
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > self._limit:
            raise Denied(f"holds {length} bytes, more than the limit of {self._limit}", 200)
        data = bytearray()
        for block in self._web.blocks(response):
            data += block
            if len(data) > self._limit:
                raise Denied(f"holds more than the limit of {self._limit} bytes", 200)
        if not data:
            raise Denied("the server answers with an empty file", 200)
        return bytes(data)

    def _object(self, locator: str) -> Stored:
        from pipelines.transfer.objects import download  # late: its libraries are large

        bounded = replace(self._place, rules=replace(self._place.rules, limit_bytes=self._limit))
        with tempfile.TemporaryDirectory(dir=self._place.downloads, prefix=".item-") as folder:
            target = Path(folder) / "object"
            _, etag = download(locator, target, bounded)
            data = target.read_bytes()
        return Stored(data, None, None, said=Said(etag)) if data else Stored(None, None, "the object is empty")


def _host(locator: str) -> str:
    return locator.partition("://")[2].partition("/")[0]


def read_below(locator: str, folder: Path, limit: int) -> Stored:
    """A file below the folder, or why there is none."""
    if scheme_of(locator) or Path(locator).is_absolute():
        return Stored(None, None, "expected an http(s) or s3 address or a relative path")
    try:
        path = (folder / locator).resolve()
        if not path.is_relative_to(folder.resolve()):
            return Stored(None, None, "the path leads out of its folder")
        if not path.is_file():
            return Stored(None, None, "no such file")
        if path.stat().st_size > limit:
            return Stored(None, None, f"holds more than the limit of {limit} bytes")
        return Stored(path.read_bytes())
    except (ValueError, OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        return Stored(None, None, "no name that a file can have")
