"""One GET over http(s): redirects by hand, credentials for the host itself alone, answers told apart by what helps.

Errors say the reason without the address; whoever asks puts its own name of the thing before it.
"""

import logging
import netrc
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import TracebackType

import httpx

from pipelines.secrets import clean, redact
from pipelines.transfer import Place
from pipelines.transfer.locators import shown
from pipelines.transfer.retry import Expired, Unready, check_deadline, seconds_left

REDIRECTS = 10
CONNECT = 30.0  # s
PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".br", ".svgz")  # servers call these an encoding of what they hold
HINTS = {401: "; it asks for credentials (~/.netrc)", 403: "; it refuses access", 404: "; no such file", 410: "; it is gone"}


class Denied(ValueError):
    """No use to ask again. `status` of the server's answer, if it gave one."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Web:
    """The connections of one domain, for any thread; opened when first used."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._auth: httpx.Auth | None = None
        self.stopped = threading.Event()

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if self._client is not None:
            self._client.close()

    def stop(self) -> None:
        """Let all that is under way end at its next block, with what it has kept."""
        self.stopped.set()

    def check(self) -> None:
        """Raise TransferError if the work is to end now."""
        check_deadline(self._place)
        if self.stopped.is_set():
            raise Expired("stopped")

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """The answer with its body still to come: 200, 206, 304 or 416.

        Raises Unready where asking again may help, also from the body's reading inside the `with`; else Denied.
        """
        self.check()
        try:
            with closing(self._open(url, headers)) as response:
                _sort(response, url)
                yield response
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise Denied("leads to an address that is no http(s) URL") from None
        except httpx.HTTPError as error:
            if _untrusted(error):
                raise Denied("the server's certificate is not to be trusted") from None
            raise Unready(_cause(error)) from None

    def blocks(self, response: httpx.Response) -> Iterator[bytes]:
        """The body as it arrives, not decoded: a chunk size would lose what waits when the line drops."""
        for block in response.iter_raw():
            self.check()
            self._place.meter.got(len(block))
            yield block

    def _open(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        client = self._ready()
        # identity: sums are of the file, and a range of a compressed answer would be of something else
        whole = httpx.URL(url)
        given = any(name.lower() == "authorization" for name in headers)  # a token of the caller's goes before ~/.netrc
        auth = httpx.BasicAuth(whole.username, whole.password) if whole.userinfo else None if given else self._auth
        bare = whole.copy_with(userinfo=b"", fragment=None)
        request = client.build_request("GET", bare, headers={"Accept-Encoding": "identity", **headers}, timeout=self._timeout())
        response = client.send(request, stream=True, auth=auth)
        for _ in range(REDIRECTS):
            if response.next_request is None:
                return response
            response.close()
            refuse_redirect(request, response.next_request)
            request = response.next_request
            response = client.send(request, stream=True, auth=None)  # httpx has struck credentials for another host
        response.close()
        raise Denied(f"redirects more than {REDIRECTS} times; refusing")

    def _ready(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                _quiet()
                self._auth = _netrc()
                connections = self._place.rules.connections
                limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
                self._client = httpx.Client(verify=_trusted(), limits=limits, follow_redirects=False)
            return self._client

    def _timeout(self) -> httpx.Timeout:
        left = seconds_left(self._place)
        silent = self._place.rules.read_timeout if left is None else max(0.01, min(self._place.rules.read_timeout, left))
        return httpx.Timeout(silent, connect=min(CONNECT, silent))


def _refuse_compressed(response: httpx.Response, url: str) -> None:
    """Raise Denied if the body is compressed on its way, though it was asked for as it is."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity" and not httpx.URL(url).path.lower().endswith(PACKED):
        raise Denied(f"the server sends it compressed ({encoding[:20]}), though asked not to; refusing", response.status_code)


def refuse_redirect(before: httpx.Request, after: httpx.Request) -> None:
    """Raise Denied if a redirect leaves http(s), or goes on without its encryption."""
    target = repr(redact(shown(str(after.url)))[:200])
    if after.url.scheme not in ("http", "https"):
        raise Denied(f"redirects to {target}, which is no http(s) URL; refusing")
    if before.url.scheme == "https" and after.url.scheme == "http":
        raise Denied(f"redirects from https to {target}, which anybody on the way could read and change; refusing")


def _sort(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status in (408, 425, 429) or status >= 500:
        raise Unready(f"the server answers {status}", status, _after(response.headers.get("Retry-After", "")))
    if status not in (200, 206, 304, 416):
        raise Denied(f"the server answers {status}{HINTS.get(status, '')}", status)
    if status in (200, 206):
        _refuse_compressed(response, url)


def _after(text: str) -> float | None:
    """Seconds of a Retry-After, which is a number of them or a date."""
    if text.strip().isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time())


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """The certificates to trust; reading them takes longer than a small file."""
    return httpx.create_ssl_context()


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cause(error: httpx.HTTPError) -> str:
    text = clean(error)
    return f"{type(error).__name__} ({text})" if str(error) and "://" not in text else type(error).__name__


def _quiet() -> None:
    """Keep addresses with their queries out of every log: these two tell them below WARNING."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.WARNING, logger.level))


def _netrc() -> httpx.Auth | None:
    try:
        return httpx.NetRCAuth()
    except FileNotFoundError:
        return None
    except netrc.NetrcParseError as error:  # its text may hold a password
        raise ValueError(f"{error.filename}: not readable as a netrc file, line {error.lineno}; mend or remove it") from None
