"""A hub on loopback: it answers what the clients of the Hugging Face hub ask of data sets and models, and counts what it sends.

    with Hub() as hub:
        commit = hub.commit("user/birds", {"data/train-00000.parquet": content, "README.md": card})
        ... a process with HF_ENDPOINT=hub.url ...
        assert hub.sent["data/train-00000.parquet"] == len(content)

Files from LARGE bytes on stand as the real hub keeps large files: their address redirects to another host, with a signed query.
"""

import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

LARGE = 10_000
BLOCK = 1 << 14


@dataclass
class Repo:
    """A data set: its commits in order, the names that point at them, and who may read it."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    token: str | None = None  # a reader needs it
    gated: bool = False  # and is told that terms are to be accepted
    answers: dict[str, Any] = field(default_factory=dict)  # what the answer about the data set says beside the usual


class Hub:
    """Serves from entering to leaving its `with`; everything may be changed meanwhile."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.moved: dict[str, str] = {}  # old ids, which redirect
        self.requests: list[tuple[str, str, Message]] = []  # method, path with query, headers
        self.sent: Counter[str] = Counter()  # body bytes by path in the repository
        self.statuses: list[int] = []  # given to the next requests for content
        self.drops: list[int] = []  # body bytes after which the next answers with content break off
        self.stalls: dict[str, int] = {}  # path: body bytes after which its answers wait until the end
        self.stalled = threading.Event()
        self._over = threading.Event()
        handler = type("OneHandler", (self.handler(),), {"hub": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def handler(self) -> "type[_Handler]":
        """What answers."""
        return _Handler

    def __enter__(self) -> "Hub":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def commit(self, name: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Put a commit on top of a branch; its 40 digits."""
        repo = self.repos.setdefault(name, Repo())
        state = json.dumps([len(repo.commits), sorted((path, blob_id(data)) for path, data in files.items())])
        digest = hashlib.sha1(state.encode()).hexdigest()
        repo.commits[digest] = dict(files)
        repo.branches[branch] = digest
        return digest

    def wait(self) -> None:
        """Return when the server ends."""
        self._over.wait()


def blob_id(data: bytes) -> str:
    """Git's name of a content."""
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": blob_id(data)}
    if len(data) >= LARGE:
        digest = hashlib.sha256(data).hexdigest()
        entry |= {
            "oid": hashlib.sha1(digest.encode()).hexdigest(),
            "lfs": {"oid": digest, "size": len(data), "pointerSize": 134},
        }
    return entry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._route()

    def do_HEAD(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._route()

    def _route(self) -> None:
        self.hub.requests.append((self.command, self.path, self.headers))
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        try:
            old = "".join(parts[2:3] if parts[0] == "api" else parts[1:2])
            if old in self.hub.moved:
                self._redirect(307, self.path.replace(f"/{old}", f"/{self.hub.moved[old]}", 1), {})
            elif parts[0] == "large":
                self._content("/".join(parts[2:]), next(self._find(parts[1])), {})
            elif parts[:2] in (["api", "datasets"], ["api", "models"]):
                self._api(*self._repo(parts[2:]))
            elif parts[0] == "datasets":
                self._file(*self._repo(parts[1:]))
            elif "resolve" in parts:  # of a model
                self._file(*self._repo(parts))
            else:
                self._refuse(404, "NotFound")
        except OSError:  # the client has left
            self.close_connection = True

    def _find(self, digest: str) -> Any:
        every = (data for repo in self.hub.repos.values() for files in repo.commits.values() for data in files.values())
        return (data for data in every if hashlib.sha256(data).hexdigest() == digest)

    def _repo(self, parts: list[str]) -> tuple[Repo | None, list[str], str]:
        for size in (2, 1):
            name = "/".join(parts[:size])
            if name in self.hub.repos:
                return self.hub.repos[name], parts[size:], name
        return None, parts, ""

    def _refused(self, repo: Repo | None) -> bool:
        if repo is None:
            self._refuse(401, "RepoNotFound")  # so does the real one where no token is given
        elif repo.token is not None and self.headers.get("Authorization") != f"Bearer {repo.token}":
            self._refuse(403 if repo.gated else 401, "GatedRepo" if repo.gated else "RepoNotFound")
        else:
            return False
        return True

    def _commit(self, repo: Repo, revision: str) -> str | None:
        names = repo.branches | repo.tags | {commit: commit for commit in repo.commits}
        if revision not in names:
            self._refuse(404, "RevisionNotFound")
            return None
        return names[revision]

    def _api(self, repo: Repo | None, rest: list[str], name: str) -> None:
        if self._refused(repo):
            return
        assert repo is not None
        if rest == ["refs"]:
            refs = {"branches": repo.branches, "tags": repo.tags, "converts": {}}
            self._json(
                {
                    kind: [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": c} for n, c in found.items()]
                    for kind, found in refs.items()
                }
            )
            return
        verb, revision, below = (rest[0], rest[1], "/".join(rest[2:])) if rest else ("revision", "main", "")
        if (commit := self._commit(repo, revision)) is None:
            return
        files = repo.commits[commit]
        if verb == "revision":
            self._json(self._about(repo, name, commit, files))
        elif verb == "paths-info":
            self._json([_entry(path, files[path]) for path in self._form["paths"] if path in files])
        elif verb == "tree":
            self._tree(files, below)
        else:
            self._refuse(404, "NotFound")

    def _about(self, repo: Repo, name: str, commit: str, files: dict[str, bytes]) -> dict[str, Any]:
        text = files.get("README.md", b"").decode()
        card = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else None
        about = {
            "_id": "0" * 24,
            "id": name,
            "sha": commit,
            "private": repo.token is not None,
            "gated": False,
            "disabled": False,
        }
        siblings = [{"rfilename": path} for path in files]
        return about | {"downloads": 0, "likes": 0, "tags": [], "cardData": card, "siblings": siblings} | repo.answers

    def _tree(self, files: dict[str, bytes], below: str) -> None:
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
        start = f"{below}/" if below else ""
        found: dict[str, dict[str, Any]] = {}
        for path, data in files.items():
            if not path.startswith(start):
                continue
            inner = path.removeprefix(start).split("/")
            for size in range(1, len(inner) if recursive else min(len(inner), 2)):
                folder = start + "/".join(inner[:size])
                found[folder] = {
                    "type": "directory",
                    "path": folder,
                    "size": 0,
                    "oid": hashlib.sha1(folder.encode()).hexdigest(),
                }
            if recursive or len(inner) == 1:
                found[path] = _entry(path, data)
        if not found and below:
            self._refuse(404, "EntryNotFound")
            return
        self._json(sorted(found.values(), key=lambda entry: str(entry["path"])))

    def _file(self, repo: Repo | None, rest: list[str], name: str) -> None:
        if self._refused(repo):
            return
        assert repo is not None
        assert rest[0] == "resolve"
        if (commit := self._commit(repo, rest[1])) is None:
            return
        path = "/".join(rest[2:])
        data = repo.commits[commit].get(path)
        if data is None:
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
            return
        if len(data) < LARGE:
            self._content(path, data, {"X-Repo-Commit": commit, "ETag": f'"{blob_id(data)}"'})
            return
        digest = hashlib.sha256(data).hexdigest()
        headers = {"X-Repo-Commit": commit, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        self._redirect(302, f"http://localhost:{self.hub.port}/large/{digest}/{path}?X-Amz-Signature=signed", headers)

    def _redirect(self, status: int, location: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for header, value in (headers | {"Location": location, "Content-Length": "0"}).items():
            self.send_header(header, value)
        self.end_headers()

    def _content(self, path: str, data: bytes, headers: dict[str, str]) -> None:
        if self.command == "GET" and self.hub.statuses and (status := self.hub.statuses.pop(0)):
            self._refuse(status, "")
            return
        first, last = 0, len(data) - 1
        wanted = self.headers.get("Range")
        if wanted is not None:
            start, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or last), last)
        self.send_response(206 if wanted is not None else 200)
        if wanted is not None:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            self._send(path, data[first : last + 1])

    def _send(self, path: str, data: bytes) -> None:
        ends = [self.hub.drops.pop(0)] if self.hub.drops else []
        stall = self.hub.stalls.get(path)
        whole = min([len(data), *ends, *([stall] if stall is not None else [])])
        for start in range(0, whole, BLOCK):
            block = data[start : min(start + BLOCK, whole)]
            self.wfile.write(block)
            self.hub.sent[path] += len(block)
        if stall is not None and whole == stall:
            self.hub.stalled.set()
            self.hub.wait()
        self.close_connection = whole < len(data)

    def _json(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        for header, value in (headers or {}).items():
            self.send_header(header, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Reader:
    """A process of its own that reads sources from a hub: the hub's client takes its address from the environment at import.

    `folder` becomes its home, so that what it writes beside its downloads is seen.
    """

    def __init__(self, hub: Hub, folder: Path, **environment: str) -> None:
        import os
        import subprocess
        import sys

        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        gone = ("HF_", "HUGGING", "XDG_", "TRANSFORMERS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(gone)}
        root = str(Path(__file__).parents[1])
        self._log = (folder / "reader.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("hub_reader.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=self.home,
            env=kept | {"HF_ENDPOINT": hub.url, "HOME": str(self.home), "PYTHONPATH": root} | environment,
            text=True,
        )

    def ask(self, **question: Any) -> None:
        """Start reading; see `hub_reader.py` for the fields."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What came of it."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.output()
        found: dict[str, Any] = json.loads(line)
        return found

    def read(self, **question: Any) -> dict[str, Any]:
        """Ask and wait for the answer."""
        self.ask(**question)
        return self.answer()

    def output(self) -> str:
        """All that the process wrote to its standard error."""
        self._log.seek(0)
        return self._log.read().decode()

    def end(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
