"""Bringing a source's file here: a path, a `file:` URL, or an http(s) URL that is streamed, resumed and verified.

No retries: whoever calls decides on them, and `TransferError` says that trying again may help.
"""

import json
import os
import re
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

from pipelines.files import sha256_file, write_json
from pipelines.transfer import Place, TransferError
from pipelines.transfer.locators import check_locator, download_name, is_remote, scheme_of, shown

LIMIT_BYTES = 20 * 10**9  # of one download
REDIRECTS = 10


class Partial(NamedTuple):
    """A download under way: its bytes so far, and the note that tells whether the server still holds the same file."""

    data: Path
    note: Path

    @property
    def size(self) -> int:
        return self.data.stat().st_size if self.data.exists() else 0

    def discard(self) -> None:
        self.data.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def fetch(
    locator: str, place: Place, checksum: str | None = None, *, limit: int = LIMIT_BYTES, read_timeout: float = 60.0
) -> Path:
    """The local file of a locator; a download already under `place.downloads` is used as it is (delete it to fetch again).

    `checksum` is `sha256:<64 hex digits>`, `limit` bytes bound a download, `read_timeout` seconds a silent server.
    Raises TransferError where another attempt may help (network, 408, 429, 5xx), ValueError where the user must act
    (no such file, refused, too large, other content than the checksum says). Messages hold no credentials.
    """
    check_locator(locator)
    if is_remote(locator):
        path = place.downloads / download_name(locator)
        if not path.exists():
            _download(locator, path, limit, read_timeout)
    else:
        path = _local_path(locator, place.folder)
    if checksum is not None:
        verify(path, checksum)
    return path


def verify(path: Path, checksum: str) -> None:
    """Raise ValueError, with both sums and what to do, if the file's SHA-256 is another."""
    found = f"sha256:{sha256_file(path)}"
    if found != checksum:
        raise ValueError(
            f"{path}: expected {checksum}, found {found}; if the source was changed on purpose, "
            f"write the new checksum into the card, else get the file again (delete it if it is a download)"
        )


def _local_path(locator: str, folder: Path) -> Path:
    path = folder / locator
    if scheme_of(locator) == "file":
        parts = urlsplit(locator)
        if parts.netloc not in ("", "localhost"):
            raise ValueError(f"source.locator: a file: URL cannot name another machine, found {shown(locator)!r}")
        path = folder / url2pathname(parts.path)
    if path.is_dir():
        raise ValueError(f"{path}: expected a file, found a folder")
    if not path.exists():
        raise ValueError(f"{path}: no such file; relative locators start at sources_folder of the parameters ({folder})")
    return path


def _download(locator: str, target: Path, limit: int, read_timeout: float) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Partial(target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json"))
    try:
        url = httpx.URL(locator)
    except httpx.InvalidURL:
        raise ValueError(f"source.locator: malformed URL {shown(locator)!r}") from None
    auth = httpx.BasicAuth(url.username, url.password) if url.userinfo else None
    bare = url.copy_with(userinfo=b"", fragment=None)  # httpx logs the URLs of requests
    timeout = httpx.Timeout(read_timeout, connect=min(30.0, read_timeout))
    try:
        with httpx.Client(timeout=timeout) as client:
            if not _attempt(client, bare, auth, partial, limit):
                partial.discard()  # the server has another file by now
                if not _attempt(client, bare, auth, partial, limit):
                    raise TransferError(f"{shown(locator)}: the server answers a whole request with another part")
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise ValueError(f"{shown(locator)}: leads to an address that is no http(s) URL") from None
    except httpx.HTTPError as error:
        raise TransferError(f"{shown(locator)}: {_cause(error)}; {partial.size} bytes are kept for the next attempt") from None
    with partial.data.open("rb") as handle:
        os.fsync(handle.fileno())
    partial.data.replace(target)
    partial.discard()


def _cause(error: httpx.HTTPError) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__} ({text})" if text and "://" not in text else type(error).__name__


def _attempt(client: httpx.Client, url: httpx.URL, auth: httpx.Auth | None, partial: Partial, limit: int) -> bool:
    """Go on with the download; False if the part kept does not fit the server's file any more."""
    where = shown(str(url))
    kept = partial.size
    note = _read_note(partial)
    with closing(_open(client, url, auth, _headers(kept, note))) as response:
        if response.status_code == 416:
            return False
        _refuse(response.status_code, where)
        start, total = _extent(response)
        if start not in (0, kept) or (start and note.get("total") != total):
            return False
        if total is not None and total > limit:
            partial.discard()
            raise ValueError(f"{where}: holds {total} bytes, more than the limit of {limit}")
        write_json(partial.note, {"validator": _validator(response), "total": total})
        _stream(response, partial, start, limit, where)
    if total is not None and partial.size != total:
        raise TransferError(f"{where}: sent {partial.size} of {total} bytes; they are kept for the next attempt")
    return True


def _headers(kept: int, note: dict[str, object]) -> dict[str, str]:
    # identity: the checksum is of the file, and a range of a compressed answer would be of something else
    headers = {"Accept-Encoding": "identity"}
    if kept:
        headers["Range"] = f"bytes={kept}-"
        if note.get("validator"):
            headers["If-Range"] = str(note["validator"])
    return headers


def _read_note(partial: Partial) -> dict[str, object]:
    try:
        note = json.loads(partial.note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        note = None
    return note if isinstance(note, dict) else {}


def _open(client: httpx.Client, url: httpx.URL, auth: httpx.Auth | None, headers: dict[str, str]) -> httpx.Response:
    """Send the request and follow redirects by hand, so that each stays on http(s)."""
    request = client.build_request("GET", url, headers=headers)
    response = client.send(request, stream=True, auth=auth)
    for _ in range(REDIRECTS):
        if response.next_request is None:
            return response
        response.close()
        request = response.next_request
        if request.url.scheme not in ("http", "https"):
            raise ValueError(f"{shown(str(url))}: redirects to {shown(str(request.url))!r}, which is no http(s) URL; refusing")
        response = client.send(request, stream=True)
    response.close()
    raise ValueError(f"{shown(str(url))}: redirects more than {REDIRECTS} times; refusing")


def _refuse(status: int, where: str) -> None:
    if status in (408, 425, 429) or status >= 500:
        raise TransferError(f"{where}: the server answers {status}")
    if status not in (200, 206):
        hint = {401: "; it asks for credentials", 403: "; it refuses access", 404: "; no such file", 410: "; it is gone"}
        raise ValueError(f"{where}: the server answers {status}{hint.get(status, '')}; check source.locator of the card")


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """First byte of the answer and size of the whole file (None where the server does not say)."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None:
            return -1, None
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _validator(response: httpx.Response) -> str | None:
    tag: str = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    changed: str | None = response.headers.get("Last-Modified")
    return changed


def _stream(response: httpx.Response, partial: Partial, start: int, limit: int, where: str) -> None:
    size = start
    with partial.data.open("ab" if start else "wb") as handle:
        for block in response.iter_raw():  # as it arrives: a chunk size would lose what waits when the line drops
            size += len(block)
            if size > limit:
                partial.discard()
                raise ValueError(f"{where}: sends more than the limit of {limit} bytes")
            handle.write(block)
