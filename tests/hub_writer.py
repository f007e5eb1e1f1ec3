"""The hub of `hub_server.py` that also takes what is uploaded: repositories are made, large files stored, commits made of both.

    with WritableHub("secret-token") as hub:
        ... a process with HF_ENDPOINT=hub.url, HF_TOKEN=secret-token that commits ...
        assert hub.files("user/birds")["README.md"] == card

Only the token's bearer writes, and only under `owner`. `refuse` names the steps that are answered 403.
"""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_server import LARGE, Hub, _Handler, blob_id


class WritableHub(Hub):
    """A hub with one user."""

    def __init__(self, token: str, owner: str = "user") -> None:
        super().__init__()
        self.writer, self.owner = token, owner
        self.stored: dict[str, bytes] = {}  # large files by digest, committed or not
        self.uploads: list[str] = []  # their digests as they came
        self.messages: list[str] = []  # of the commits
        self.refuse: set[str] = set()  # of create, preupload, batch, upload, commit; json: an answer without

    def handler(self) -> type[_Handler]:
        return _Writer

    def files(self, name: str) -> dict[str, bytes]:
        """What a repository holds now."""
        repo = self.repos[name]
        return repo.commits[repo.branches["main"]]


class _Writer(_Handler):
    hub: WritableHub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        step = self._step(parts)
        if step is None:
            self._form = parse_qs(body.decode())
            self._route()
            return
        self.hub.requests.append((self.command, self.path, self.headers))
        if self._may(step):
            {
                "create": self._create,
                "validate": self._validate,
                "preupload": self._preupload,
                "batch": self._batch,
                "commit": self._take,
            }[step](parts, body)

    def do_PUT(self) -> None:
        """An upload's address is signed, so it needs no token."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.requests.append((self.command, self.path, self.headers))
        if "upload" in self.hub.refuse:
            self._refuse(403, "")
            return
        digest = hashlib.sha256(body).hexdigest()
        assert self.path == f"/lfs/{digest}?X-Amz-Signature=signed"
        self.hub.stored[digest] = body
        self.hub.uploads.append(digest)
        self._refuse(200, "")

    def _step(self, parts: list[str]) -> str | None:
        if parts[:2] == ["api", "repos"]:
            return "create"
        if parts == ["api", "validate-yaml"]:
            return "validate"
        if parts[-4:] == ["info", "lfs", "objects", "batch"]:
            return "batch"
        found = parts[4] if parts[:2] == ["api", "datasets"] and len(parts) > 4 else None
        return found if found in ("preupload", "commit") else None

    def _may(self, step: str) -> bool:
        if step in self.hub.refuse:
            self._refuse(403, "")
        elif self.headers.get("Authorization") != f"Bearer {self.hub.writer}":
            self._refuse(401, "")
        else:
            return True
        return False

    def _create(self, parts: list[str], body: bytes) -> None:
        if "json" in self.hub.refuse:
            self._refuse(200, "")
            return
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != self.hub.owner:
            self._refuse(403, "")
        elif name in self.hub.repos:
            self._json({"error": "exists", "url": f"{self.hub.url}/datasets/{name}"}, 409)
        else:
            self.hub.commit(name, {".gitattributes": b"*.tar filter=lfs\n"})
            self.hub.repos[name].token = self.hub.writer if asked.get("visibility") == "private" else None
            self._json({"url": f"{self.hub.url}/datasets/{name}", "name": name})

    def _validate(self, parts: list[str], body: bytes) -> None:
        assert json.loads(body)["content"].startswith("---\n")
        self._json({"errors": [], "warnings": []})

    def _preupload(self, parts: list[str], body: bytes) -> None:
        there = self.hub.files("/".join(parts[2:4]))
        self._json({"files": [self._mode(file, there.get(file["path"])) for file in json.loads(body)["files"]]})

    def _mode(self, file: dict[str, Any], there: bytes | None) -> dict[str, Any]:
        large = file["size"] >= LARGE
        oid = None if there is None else hashlib.sha256(there).hexdigest() if len(there) >= LARGE else blob_id(there)
        return {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}

    def _batch(self, parts: list[str], body: bytes) -> None:
        objects = []
        for asked in json.loads(body)["objects"]:
            href = f"{self.hub.url}/lfs/{asked['oid']}?X-Amz-Signature=signed"
            actions = {} if asked["oid"] in self.hub.stored else {"actions": {"upload": {"href": href}}}
            objects.append(asked | actions)
        self._json({"transfer": "basic", "objects": objects})

    def _take(self, parts: list[str], body: bytes) -> None:
        name = "/".join(parts[2:4])
        files = dict(self.hub.files(name))
        for line in map(json.loads, body.splitlines()):
            kind, value = line["key"], line["value"]
            if kind == "header":
                assert value["parentCommit"] == self.hub.repos[name].branches["main"]
                self.hub.messages.append(value["summary"])
            elif kind == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
            else:
                assert kind == "deletedFile"
                del files[value["path"]]
        commit = self.hub.commit(name, files)
        self._json({"commitUrl": f"{self.hub.url}/datasets/{name}/commit/{commit}", "commitOid": commit})
