"""Bringing files of the hub here: each once, whole, compared with what the hub says of it, and resumed after a kill.

`blobs/<digest>` holds the content, `files/<commit>/<path>` are hard links to it: a new commit brings only what it changed.
The downloader of the hub's client is not used: it starts a file anew after a kill.
"""

import errno
import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from pipelines.sources.huggingface.library import hub_utils
from pipelines.transfer import Place, TransferError
from pipelines.transfer.request import Denied, Web
from pipelines.transfer.retry import Unready, persist

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV)  # of disks that have no hard links, or no more of them


class Blob(NamedTuple):
    """A file at a commit: its path in the repository, its bytes, and its SHA-256 (large files) or git's SHA-1 of it."""

    path: str
    size: int
    digest: str


def bring(repo_id: str, folder: Path, commit: str, blobs: list[Blob], place: Place) -> Path:
    """Bring what is not here yet, at most `place.rules.connections` files at a time; the folder of the commit's files.

    Raises ValueError (one line) for what the hub refuses, is too large, or is not here with `offline`; TransferError where
    another attempt may help: it goes on where this one stopped.
    """
    top = folder / "files" / commit
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        missing = [blob for blob in blobs if not _here(top / blob.path, blob)]
        unique = {blob.digest: blob for blob in missing if not _here(folder / "blobs" / blob.digest, blob)}
        if unique and place.rules.offline:
            raise ValueError(f"hub:{repo_id}: {len(missing)} of {len(blobs)} files are not here, and offline is asked for")
        large = next((blob for blob in unique.values() if blob.size > place.rules.limit_bytes), None)
        if large is not None:
            raise ValueError(
                f"hub:{repo_id}: {large.path} holds {large.size} bytes, more than the limit of {place.rules.limit_bytes}"
            )
        _bring_all(repo_id, folder / "blobs", commit, list(unique.values()), place)
        for blob in missing:
            _link(folder / "blobs" / blob.digest, top / blob.path)
    return top


def _here(path: Path, blob: Blob) -> bool:
    return path.is_file() and path.stat().st_size == blob.size


def _link(content: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        os.link(content, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(content, path)  # costs its space twice, but such disks are in use


def _bring_all(repo_id: str, folder: Path, commit: str, blobs: list[Blob], place: Place) -> None:
    if not blobs:
        return
    hub_utils()  # imported before there are threads
    folder.mkdir(parents=True, exist_ok=True)
    place.meter.expect(sum(blob.size - _size(folder / f"{blob.digest}.part") for blob in blobs))
    with Web(place) as web, ThreadPoolExecutor(place.rules.connections) as pool:
        jobs = [pool.submit(_bring_one, web, repo_id, folder, commit, blob, place) for blob in blobs]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            web.stop()
            pool.shutdown(cancel_futures=True)
            raise


def _bring_one(web: Web, repo_id: str, folder: Path, commit: str, blob: Blob, place: Place) -> None:
    where = f"hub:{repo_id}: {blob.path}"
    part = folder / f"{blob.digest}.part"

    def attempt() -> None:
        if _size(part) < blob.size or not part.exists():
            _receive(web, repo_id, commit, blob, part, place)
        _settle(part, folder / blob.digest, blob)

    try:
        persist(attempt, place, web.stopped, lambda: _size(part), where)
    except TransferError as error:
        raise TransferError(f"{where}: {error}; {_size(part)} bytes are kept for the next run") from None
    except Denied as error:
        hint = "; check HF_TOKEN" if error.status in (401, 403) else ""
        raise ValueError(f"{where}: {error}{hint}") from None


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _receive(web: Web, repo_id: str, commit: str, blob: Blob, part: Path, place: Place) -> None:
    """One request for the bytes that are missing, appended as they come."""
    from huggingface_hub import hf_hub_url

    start = _size(part)
    headers: dict[str, str] = hub_utils().build_hf_headers()
    if start:
        headers |= {"Range": f"bytes={start}-"}
    url = hf_hub_url(repo_id, blob.path, repo_type="dataset", revision=commit)
    with web.get(url, headers) as response:
        continued = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if response.status_code != 200 and not continued:
            part.unlink(missing_ok=True)
            raise Unready(f"the hub answers {response.status_code} to a request for a part; getting it anew")
        if not continued:
            place.meter.expect(start)  # all of it comes again
        with part.open("ab" if continued else "wb", buffering=0) as handle:
            for block in web.blocks(response):
                if handle.tell() + len(block) > blob.size:
                    raise Denied(f"the hub sends more than the {blob.size} bytes that it lists")
                handle.write(block)
    if _size(part) != blob.size:
        raise Unready(f"the hub sent {_size(part)} of {blob.size} bytes")


def _settle(part: Path, target: Path, blob: Blob) -> None:
    """Compare with the digest that the hub lists, then give the file its name."""
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
        digest = (
            hashlib.sha256() if len(blob.digest) == 64 else hashlib.sha1(f"blob {blob.size}\0".encode(), usedforsecurity=False)
        )
        while block := handle.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != blob.digest:
        part.unlink()
        raise Unready(f"other content than the hub lists ({blob.digest}); getting it anew")
    part.replace(target)
