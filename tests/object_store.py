"""A store of objects on loopback for tests: moto behind a wrapper that notes requests and disturbs answers on demand."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple

from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import get_canned_acl
from werkzeug.serving import WSGIRequestHandler, make_server

ACCESS, SECRET, SESSION = "AKIAQWERTYUIOPASDFGH", "Zm9vYmFy/c2Vjcm+V0a2V5", "IQoJb3JpZ2luX2VjEXAMPLE//session=="


class Asked(NamedTuple):
    """One request: its method, path, Range and Authorization, and the bytes of the body that were sent."""

    method: str
    path: str
    range: str
    authorization: str
    sent: list[int]


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None: ...


Disturb = Callable[[Asked], tuple[str, bytes] | int | None]


class ObjectStore:
    """`disturb` is asked at each request for an error's status and body, or the bytes after which the line drops, or None."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.disturb: Disturb = lambda asked: None
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ObjectStore":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Forget objects, requests and disturbance."""
        get_backend("s3").reset()
        self.asked.clear()
        self.disturb = lambda asked: None

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Make or change an object, and its bucket where there is none."""
        backend = get_backend("s3")["123456789012"]["aws"]
        if bucket not in backend.buckets:
            backend.create_bucket(bucket, "us-east-1")
        self._put(bucket, key, data)

    def _put(self, bucket: str, key: str, data: bytes) -> Any:
        backend = get_backend("s3")["123456789012"]["aws"]
        made = backend.put_object(bucket, key, data)
        backend.put_object_acl(bucket, key, get_canned_acl("public-read"))
        return made

    def put_versions(self, bucket: str, key: str, versions: list[bytes]) -> str:
        """Keep all of these under one key; returns the first one's id."""
        get_backend("s3")["123456789012"]["aws"].put_bucket_versioning(bucket, "Enabled")
        ids = [self._put(bucket, key, data).version_id for data in versions]
        return str(ids[0])

    def gets(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "GET"]

    def _serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        wanted, signed = (environ.get(f"HTTP_{name}", "") for name in ("RANGE", "AUTHORIZATION"))
        asked = Asked(environ["REQUEST_METHOD"], environ["PATH_INFO"], wanted, signed, [])
        self.asked.append(asked)
        fault = self.disturb(asked)
        if isinstance(fault, tuple):
            start(fault[0], [("Content-Type", "application/xml"), ("Content-Length", str(len(fault[1])))])
            return [] if asked.method == "HEAD" else [fault[1]]
        body = b"".join(self._app(environ, start))
        return _counted(body, asked.sent, len(body) if fault is None else fault, environ["werkzeug.socket"])


def _counted(body: bytes, sent: list[int], upto: int, line: socket.socket) -> Iterator[bytes]:
    for at in range(0, upto, 1 << 14):
        piece = body[at : min(at + (1 << 14), upto)]
        sent.append(len(piece))
        yield piece
    if upto < len(body):
        line.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("dropped by the test")


def refused(code: str, text: str) -> bytes:
    """The body of an error."""
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{text}</Message></Error>'.encode()
