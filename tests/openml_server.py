"""A server on loopback of the shape of OpenML: its API answers itself, its files lie in a real object store (moto) behind it.

with OpenML() as server:
    server.put(44241, "Meta_Album_BRD_Micro", {"BRD_Micro.zip": content})
    ... source.options: {server: server.api} ...
    assert server.asked == ["/api/v1/xml/data/44241", ...]
"""

import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import boto3  # type: ignore[import-untyped]
from moto.server import ThreadedMotoServer

NAMESPACE = 'xmlns:oml="http://openml.org/openml"'
PASSED_ON = ("Content-Type", "ETag", "Content-Range", "Accept-Ranges", "Last-Modified", "Content-Length")
BLOCK = 4096


class OpenML:
    """Tests set what it does; it notes the paths (with their queries) that were asked for."""

    def __init__(self) -> None:
        self.reset()
        self._store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        handler = type("OneHandler", (_Handler,), {"does": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def reset(self) -> None:
        """As it was in the beginning, but for the files."""
        self.asked: list[str] = []
        self.statuses: list[int] = []  # of the next answers of the API, instead of what they should be
        self.store_statuses: list[int] = []  # of the next answers of the object store
        self.codes: list[int] = []  # of OpenML's next errors
        self.key = ""  # what a private set asks for
        self.silent = False
        self.hold_after: int | None = None  # body bytes of a file after which the answer stands still
        self.holding = threading.Event()
        self.release = threading.Event()
        self.corrupt = False  # files arrive with their last byte changed
        self.ranges: list[str] = []  # asked of files
        self.sets: dict[int, dict[str, str]] = {}

    def __enter__(self) -> "OpenML":
        self._store.start()
        self._thread.start()
        host, port = self._store.get_host_and_port()
        self.store = f"{host}:{port}"
        login = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        self._s3 = boto3.client("s3", endpoint_url=f"http://{self.store}", **login)
        self._s3.create_bucket(Bucket="datasets", ACL="public-read")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._store.stop()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._http.server_address[1]}"

    @property
    def api(self) -> str:
        return f"http://{self.host}/api/v1/xml"

    def put(self, number: int, name: str, files: dict[str, bytes], **fields: str) -> None:
        """A data set with its table and these files beside it, by path; `fields` are more of its description."""
        folder = f"{number // 10000:04d}/{number}/"
        for key in self._s3.list_objects_v2(Bucket="datasets", Prefix=folder).get("Contents", []):
            self._s3.delete_object(Bucket="datasets", Key=key["Key"])
        for path, content in (files | {f"dataset_{number}.pq": b"PAR1"}).items():
            self._s3.put_object(Bucket="datasets", Key=folder + path, Body=content, ACL="public-read")
        table = f"http://{self.host}/datasets/{folder}dataset_{number}.pq"
        self.sets[number] = {
            "id": str(number),
            "name": name,
            "version": "1",
            "description": f"{name}, made for a test",
            "format": "ARFF",
            "licence": "CC BY-NC 4.0",
            "citation": "Ullah et al. 2022",
            "url": f"http://{self.host}/data/v1/download/1/{name}.arff",
            "parquet_url": table,
            "status": "active",
            "md5_checksum": "0" * 32,
        } | fields

    def description(self, number: int, key: str) -> tuple[int, str]:
        """Status and XML, as OpenML answers: errors are 412 with a code."""
        if self.codes:
            return 412, _error(self.codes.pop(0), "Not now")
        found = self.sets.get(number)
        if found is None:
            return 412, _error(111, "Unknown dataset")
        if key and key != self.key:
            return 412, _error(103, "Authentication failed")
        if found.get("visibility") == "private" and key != self.key:
            return 412, _error(112, "No access granted")
        inside = "".join(f"<oml:{name}>{escape(value)}</oml:{name}>" for name, value in found.items())
        return 200, f"<oml:data_set_description {NAMESPACE}>{inside}</oml:data_set_description>"


def _error(code: int, message: str) -> str:
    return f"<oml:error {NAMESPACE}><oml:code>{code}</oml:code><oml:message>{message}</oml:message></oml:error>"


class _Handler(BaseHTTPRequestHandler):
    does: OpenML

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        does = self.does
        does.asked.append(self.path)
        if does.silent:
            does.release.wait()
            return
        url = urlsplit(self.path)
        api = url.path.startswith("/api/")
        faults = does.statuses if api else does.store_statuses
        if faults:
            self.send_error(faults.pop(0))
        elif api:
            self._describe(url.path, parse_qs(url.query).get("api_key", [""])[0])
        else:
            with suppress(ConnectionError):  # who asked was killed
                self._forward()

    def _describe(self, path: str, key: str) -> None:
        status, text = self.does.description(int(path.rpartition("/")[2]), key)
        body = f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _forward(self) -> None:
        """Ask the object store the same and give its answer on."""
        asked = {name: self.headers[name] for name in ("Range", "If-Range") if name in self.headers}
        if "Range" in asked:
            self.does.ranges.append(asked["Range"])
        store = http.client.HTTPConnection(self.does.store)
        store.request("GET", self.path, headers=asked)
        answer = store.getresponse()
        self.send_response(answer.status)
        for name in PASSED_ON:
            if answer.headers.get(name) is not None:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        sent = 0
        while block := answer.read(BLOCK):
            if self.does.corrupt and "ETag" in answer.headers:
                block = block[:-1] + bytes([block[-1] ^ 1])
            self.wfile.write(block)
            sent += len(block)
            if self.does.hold_after is not None and sent >= self.does.hold_after and not self.does.release.is_set():
                self.wfile.flush()
                self.does.holding.set()
                self.does.release.wait()
        store.close()
