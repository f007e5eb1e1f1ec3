"""A real HTTP server on loopback whose pages misbehave as told, and which counts what it sends.

    with Server() as server:
        page = server.put("/set.zip", content, drops=[1000], statuses=[503])
        ... server.url("/set.zip") ...
        assert page.sent == len(content) and page.requests[1]["range"] == "bytes=1000-"

A path that was not put answers 404. Pages may be changed at any time; requests and sent bytes are kept per page and in all.
"""

import gzip
import re
import socket
import sys
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

BLOCK = 1 << 16


@dataclass
class Page:
    """What stands at one path and how the server gives it. Lists are used up from their front, an answer each."""

    content: bytes = b""
    tag: str | None = '"1"'  # the ETag; `W/"1"` is a weak one
    modified: str | None = None  # Last-Modified, as an HTTP date
    ranges: bool = True  # False: a Range is ignored and 200 answered
    length: bool = True  # False: no Content-Length, the connection's end is the body's
    chunked: bool = False  # instead of a Content-Length
    claims: int | None = None  # a Content-Length other than what is sent
    drops: list[int] = field(default_factory=list)  # body bytes after which the answer breaks off
    statuses: list[int] = field(default_factory=list)  # given before anything else, without the content; 0: no fault
    status: int = 200  # other than 200: given by every answer after those
    retry_after: str | None = None  # header of 429 and 503
    location: str | None = None  # redirects there
    silent: bool = False  # never answers
    rate: float | None = None  # bytes a second at most
    block: int = BLOCK  # bytes written at a time
    gzipped: bool = False  # compresses for who accepts it, with the same ETag
    range_off: int = 0  # a part starts so many bytes after what was asked for, and says so
    user: tuple[str, str] | None = None  # 401 without these, in HTTP basic
    headers: dict[str, str] = field(default_factory=dict)  # more of them, in every answer
    requests: list[dict[str, str]] = field(default_factory=list)  # headers in lower case, and "path" with its query
    sent: int = 0  # body bytes of the content, as handed to the network


class Server:
    """Pages by path (with its query, or without). Serves from entering to leaving its `with`."""

    def __init__(self, buffer: int | None = None) -> None:
        """`buffer`: bytes that the kernel may hold back for a connection's sender; None leaves it to the kernel."""
        self.pages: dict[str, Page] = {}
        self.most_at_once = 0  # answers under way
        self.connections = 0  # opened by clients
        self.at_once = 0  # now
        self._lock = threading.Lock()
        self._released = threading.Event()
        handler = type("OneHandler", (_Handler,), {"server_of": self, "buffer": buffer})
        self._http = _Http(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def host(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self._http.server_address[1]}"

    @property
    def sent(self) -> int:
        """Body bytes of all pages."""
        return sum(page.sent for page in self.pages.values())

    @property
    def asked(self) -> int:
        """Requests of all pages."""
        return sum(len(page.requests) for page in self.pages.values())

    def url(self, path: str = "/") -> str:
        """The address of a path."""
        return f"http://{self.host}{path}"

    def put(self, path: str, content: bytes = b"", **behaviour: object) -> Page:
        """Let `path` give `content`; what else a Page has, by name."""
        self.pages[path] = Page(content, **behaviour)  # type: ignore[arg-type]
        return self.pages[path]

    def find(self, path: str) -> Page:
        """The page of a request."""
        page = self.pages.get(path) or self.pages.get(path.partition("?")[0])
        with self._lock:
            return page or self.pages.setdefault(path, Page(status=404))

    def enter(self, step: int) -> None:
        """Count answers under way."""
        with self._lock:
            self.at_once += step
            self.most_at_once = max(self.most_at_once, self.at_once)

    def release(self) -> None:
        """Let silent pages break off."""
        self._released.set()

    def wait(self) -> None:
        """Return when silent pages break off."""
        self._released.wait()

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self.connections += 1

    def count(self, page: Page, size: int) -> None:
        """Count bytes sent."""
        with self._lock:
            page.sent += size


class _Http(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request: object, address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that leaves is no error
            super().handle_error(request, address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of: Server
    buffer: int | None

    def setup(self) -> None:
        self.server_of.connected()
        if self.buffer is not None:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer)
        super().setup()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.server_of.enter(+1)
        try:
            self._answer()
        except OSError:  # the client has left
            self.close_connection = True
        finally:
            self.server_of.enter(-1)

    def _answer(self) -> None:
        page = self.server_of.find(self.path)
        page.requests.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
        if page.silent:
            self.server_of.wait()
            self.close_connection = True
            return
        status = (page.statuses.pop(0) if page.statuses else 0) or page.status
        if page.user is not None and not self._is(page.user):
            status = 401
        if status == 200 and page.location is not None:
            status = 302
        if status == 200 and self._same(page):
            status = 304
        if status != 200:
            self._empty(page, status)
        else:
            self._content(page)

    def _is(self, user: tuple[str, str]) -> bool:
        return self.headers.get("Authorization") == "Basic " + b64encode(":".join(user).encode()).decode()

    def _same(self, page: Page) -> bool:
        if "If-None-Match" in self.headers:
            return page.tag is not None and self.headers["If-None-Match"].removeprefix("W/") == page.tag.removeprefix("W/")
        return page.modified is not None and self.headers.get("If-Modified-Since") == page.modified

    def _empty(self, page: Page, status: int) -> None:
        self.send_response(status)
        if status == 302 and page.location is not None:
            self.send_header("Location", page.location)
        if status in (429, 503) and page.retry_after is not None:
            self.send_header("Retry-After", page.retry_after)
        if status == 416:
            self.send_header("Content-Range", f"bytes */{len(page.content)}")
        self._more(page)
        if status != 304:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def _more(self, page: Page) -> None:
        for name, value in page.headers.items():
            self.send_header(name, value)
        if page.tag is not None:
            self.send_header("ETag", page.tag)
        if page.modified is not None:
            self.send_header("Last-Modified", page.modified)

    def _content(self, page: Page) -> None:
        content = page.content
        first = 0
        zipped = page.gzipped and "gzip" in self.headers.get("Accept-Encoding", "")
        if zipped:
            content = gzip.compress(content)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and page.ranges and self._range_holds(page):
            first = int(wanted[1]) + page.range_off
            if first >= len(content):
                return self._empty(page, 416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        self._more(page)
        self._body(page, memoryview(content)[first:])
        return None

    def _range_holds(self, page: Page) -> bool:
        given = self.headers.get("If-Range")
        if given is None:
            return True
        return given == page.modified or (given == page.tag and not given.startswith("W/"))

    def _body(self, page: Page, body: memoryview) -> None:
        if page.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif page.length:
            self.send_header("Content-Length", str(len(body) if page.claims is None else page.claims))
        else:
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        drop = page.drops.pop(0) if page.drops else None
        if drop is not None and drop < len(body):
            body = body[:drop]
            self.close_connection = True
        else:
            drop = None
        self._write(page, body)
        if page.claims is not None and page.claims != len(body):
            self.close_connection = True
        if page.chunked and drop is None:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, page: Page, body: memoryview) -> None:
        begun = time.monotonic()
        for start in range(0, len(body), page.block):
            block = body[start : start + page.block]
            if page.chunked:
                self.wfile.write(f"{len(block):x}\r\n".encode())
            self.wfile.write(block)
            self.server_of.count(page, len(block))
            if page.chunked:
                self.wfile.write(b"\r\n")
            if page.rate is not None:
                time.sleep(max(0.0, begun + (start + len(block)) / page.rate - time.monotonic()))
