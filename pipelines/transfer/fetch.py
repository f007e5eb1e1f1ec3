"""Bringing a source's files here: a path, a `file:` URL, an http(s) URL or an object, whole and as pinned, or not at all.

What came is kept under `place.downloads` and used again: a killed or failed run goes on where it ended.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipelines.files import sha256_file
from pipelines.secrets import fill
from pipelines.transfer import Pin, Place, SourceChanged, TransferError
from pipelines.transfer.download import Download
from pipelines.transfer.expected import Expected
from pipelines.transfer.kept import Kept, Part, Said, drop, find_kept, hold, keep
from pipelines.transfer.locators import check_locator, download_name, is_object, is_remote, path_of, shown
from pipelines.transfer.request import Denied, Web
from pipelines.transfer.retry import persist


def fetch(locator: str, place: Place, checksum: str | None = None) -> Path:
    """The local file of a locator, as the lock and `checksum` (`sha256:<64 hex digits>`) say; noted in `place.came`.

    Tries again as `place.rules` say. Raises TransferError where a later run may help (it goes on from what came), ValueError
    where the user must act: no such file, refused, too large, other content (SourceChanged if pinned), not here and offline.
    """
    with Web(place) as web:
        return _fetch(web, locator, place, checksum)


def fetch_behind(locator: str, place: Place, checksum: str | None = None) -> tuple[Path, Callable[[], Pin]]:
    """As `fetch`, but a local file is hashed while the caller reads it: its path at once, and a function to end with.

    That function waits for the sum, raises what `fetch` would have raised of it, and notes the file in `place.came`.
    """
    if is_remote(locator):
        path = fetch(locator, place, checksum)
        return path, lambda: place.came[shown(locator)]
    path, expected = _here(locator, place, checksum)
    pool = ThreadPoolExecutor(1)
    sha256 = pool.submit(sha256_file, path)
    pool.shutdown(wait=False)
    return path, lambda: _note(path, sha256.result(), expected, place)


def fetch_all(locators: Sequence[str], place: Place) -> list[Path]:
    """The local files in the order of their locators, several at a time; one that fails stops no other.

    Raises at the end one error with the number of those that failed and the first of them: SourceChanged or another
    ValueError where there is one, else TransferError. What came is kept.
    """

    def one(locator: str) -> Path | TransferError | ValueError:
        try:
            return _fetch(web, locator, place, None)
        except (TransferError, ValueError) as error:
            return error
        except BaseException:  # a full disk: let the others end soon, too
            web.stop()
            raise

    with Web(place) as web, ThreadPoolExecutor(place.rules.connections) as pool:
        try:
            ends = list(pool.map(one, locators))
        except BaseException:
            web.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    failed = [end for end in ends if not isinstance(end, Path)]
    if failed:
        raise _together(failed, len(locators))
    return [end for end in ends if isinstance(end, Path)]


def local_path(locator: str, folder: Path) -> Path:
    """The file of a path (from `folder`) or `file:` URL. Raises ValueError if there is none."""
    path = path_of(locator, folder)
    if path.is_dir():
        raise ValueError(f"{path}: expected a file, found a folder")
    if not path.exists():
        raise ValueError(f"{path}: no such file; relative locators start at sources_folder of the parameters ({folder})")
    return path


def _fetch(web: Web, locator: str, place: Place, checksum: str | None) -> Path:
    if not is_remote(locator):
        path, expected = _here(locator, place, checksum)
        _note(path, sha256_file(path), expected, place)
        return path
    check_locator(locator)
    expected = Expected.of(locator, place, checksum)
    kept = _remote(web, locator, place, expected)
    expected.check(kept.pin)
    place.came[expected.name] = kept.pin
    return kept.path


def _here(locator: str, place: Place, checksum: str | None) -> tuple[Path, Expected]:
    check_locator(locator)
    expected = Expected.of(locator, place, checksum)
    path = local_path(locator, place.folder)
    expected.check_size(path.stat().st_size)  # a glance, before all of it is read
    return path, expected


def _note(path: Path, sha256: str, expected: Expected, place: Place) -> Pin:
    pin = Pin(path.stat().st_size, sha256)
    expected.check(pin)
    place.came[expected.name] = pin
    return pin


def _remote(web: Web, locator: str, place: Place, expected: Expected) -> Kept:
    path = place.downloads / download_name(locator)
    if (here := _usable(path, place, expected)) is not None:
        return here
    if place.rules.offline:
        raise ValueError(f"offline: {expected.name} is not here{_as_pinned(path)}; run once without --offline")
    kept = 0
    try:
        with hold(path, place) as part:
            try:
                return _brought(web, locator, path, place, expected, part)
            finally:
                kept = part.size
    except TransferError as error:
        reason = str(error).removeprefix(f"{expected.name}: ")
        more = f"; {kept} bytes are kept for the next run" if kept else ""
        raise TransferError(f"{expected.name}: {reason}{more}") from None
    except Denied as error:
        raise ValueError(f"{expected.name}: {error}; check source.locator of the card") from None


def _brought(web: Web, locator: str, path: Path, place: Place, expected: Expected, part: Part) -> Kept:
    if (here := _usable(path, place, expected)) is not None:
        return here  # another process has brought it meanwhile
    if is_object(locator):
        return _object(web, locator, path, place, expected)
    old = find_kept(path) if place.rules.update else None
    download = Download(web, fill(locator), place, expected, part, old)
    return persist(lambda: download.attempt(path), place, web.stopped, lambda: part.best, expected.name)


def _usable(path: Path, place: Place, expected: Expected) -> Kept | None:
    """The file of an earlier run, unless the source is to be asked again or something else was pinned."""
    if place.rules.update and not place.rules.offline:
        return None
    kept = find_kept(path)
    return kept if kept is not None and expected.met_by(kept.pin) else None


def _object(web: Web, locator: str, path: Path, place: Place, expected: Expected) -> Kept:
    """An object of a store, brought beside the old file, which it replaces when it is verified."""
    from pipelines.transfer import objects  # late: its libraries are large

    fresh = path.with_name(f"{path.name}.new")
    part = fresh.with_name(f"{fresh.name}.part")

    def attempt() -> Kept:
        old = find_kept(path) if place.rules.update else None
        if old is not None and old.said.strong is not None and old.said.strong == objects.head(locator, place).said.strong:
            return old
        _, etag = objects.download(locator, fresh, place)
        found = find_kept(fresh)
        assert found is not None
        try:
            expected.check(found.pin)
            return keep(fresh, path, found.sha256, Said(etag))
        finally:
            drop(fresh)

    return persist(attempt, place, web.stopped, lambda: part.stat().st_size if part.exists() else 0, expected.name)


def _as_pinned(path: Path) -> str:
    return " as pinned" if path.exists() else ""


def _together(failed: Sequence[TransferError | ValueError], files: int) -> TransferError | ValueError:
    """One error for several: of the kind that no other run mends, if there is one."""
    kind = next(kind for kind in (SourceChanged, ValueError, TransferError) if any(isinstance(error, kind) for error in failed))
    first = next(error for error in failed if isinstance(error, kind))
    if files == 1:
        return first
    return kind(f"{len(failed)} of {files} files failed, the others are kept; the first: {first}")
