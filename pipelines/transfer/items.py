"""Many small files, one of each item: several at a time, in the items' order, each kept as soon as it is here.

They lie in `place.downloads/items.sqlite`; a rerun asks only for those that did not come. They are not noted in
`place.came`: a lock pins their content as a whole.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import NamedTuple

from pipelines.secrets import redact
from pipelines.transfer import Place, TransferError
from pipelines.transfer.kept import Said
from pipelines.transfer.locators import is_remote, shown
from pipelines.transfer.request import Denied, Web
from pipelines.transfer.retry import Expired, Unready, persist
from pipelines.transfer.small import SmallFiles, read_below
from pipelines.transfer.store import Store, Stored

AHEAD = 50  # items a connection that are looked at before the first of them is given
IN_A_ROW = 20  # files a connection that fail for now one after the other, before no more are tried


class Item(NamedTuple):
    """A small file and its name at the source."""

    source_id: str
    locator: str  # http(s), s3, or a path below `place.folder`


class Fetched(NamedTuple):
    """What became of an item. `reason` None: `data` is whole; else why there is none, with the server's `status`, if any."""

    source_id: str
    data: bytes
    status: int | None
    reason: str | None


def fetch_items(items: Iterable[Item], place: Place, limit: int) -> Iterator[Fetched]:
    """What became of each item, in their order; `limit` bounds the bytes of one. Memory holds a few of them.

    Raises at its end TransferError, if some failed only for now, with their number and the first; before it where the
    deadline is over or nothing comes any more. A full disk's OSError passes.
    """
    with closing(Store(place.downloads / "items.sqlite")) as store, Web(place) as web:
        work = _Work(store, web, place, limit)
        with ThreadPoolExecutor(place.rules.connections) as pool:
            try:
                yield from work.given(iter(items), pool)
            except BaseException:  # also of who stopped listening
                web.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        work.finish()


def failures(place: Place) -> list[tuple[str, int | None, str]]:
    """source_id, status and reason of each item that did not come in the last run."""
    path = place.downloads / "items.sqlite"
    if not path.exists():
        return []
    with closing(Store(path)) as store:
        return store.failures()


class _Work:
    """One run over the items."""

    def __init__(self, store: Store, web: Web, place: Place, limit: int) -> None:
        self._store, self._web, self._place, self._limit = store, web, place, limit
        self._small = SmallFiles(web, place, limit)
        self._lock = threading.Lock()
        self._in_a_row = self._asked = self._for_now = 0
        self._first = ""

    def given(self, items: Iterator[Item], pool: ThreadPoolExecutor) -> Iterator[Fetched]:
        """Each item's end, in order; those after it are already under way."""
        window: deque[tuple[Item, Future[Stored | None] | None]] = deque()
        ahead = AHEAD * self._place.rules.connections
        while True:
            for item in islice(items, ahead - len(window)):
                window.append((item, pool.submit(self._bring, item) if self._is_wanted(item) else None))
            if not window:
                return
            item, future = window.popleft()
            yield self._end(item, future.result() if future is not None else None)

    def finish(self) -> None:
        """After the last one."""
        if self._place.rules.offline:
            return
        self._store.forget_others()
        if self._for_now:
            raise TransferError(
                f"{self._for_now} of {self._asked} items failed for now (first: {self._first}); the next run tries only those"
            )

    def _is_wanted(self, item: Item) -> bool:
        if self._place.rules.offline or not is_remote(item.locator):
            return False
        return self._place.rules.update or not self._store.has(item.source_id, shown(item.locator))

    def _end(self, item: Item, stored: Stored | None) -> Fetched:
        self._asked += 1
        if stored is None:
            stored = self._kept(item) if is_remote(item.locator) else self._local(item)
        if stored.data is not None:
            return Fetched(item.source_id, stored.data, stored.status, None)
        if not stored.lasting:
            self._for_now += 1
            self._first = self._first or f"{item.source_id}: {stored.reason}"
        return Fetched(item.source_id, b"", stored.status, stored.reason)

    def _kept(self, item: Item) -> Stored:
        stored = self._store.find(item.source_id, shown(item.locator))
        if stored is None or (stored.data is None and not stored.lasting):
            return Stored(None, None, "offline")
        return stored

    def _local(self, item: Item) -> Stored:
        stored = read_below(item.locator, self._place.folder, self._limit)
        if stored.data is None and not self._place.rules.offline:
            self._store.put(item.source_id, shown(item.locator), stored)
        return stored

    def _bring(self, item: Item) -> Stored | None:
        """Get one and keep it; returns why it did not come, else None: memory need not hold it until its turn."""
        name = shown(item.locator)
        old = self._store.find(item.source_id, name) if self._place.rules.update else None
        said = old.said if old is not None and old.data is not None else Said()
        self._give_up()
        stored = self._tried(item, said)
        with self._lock:
            self._in_a_row = 0 if stored is None or stored.lasting else self._in_a_row + 1
        if stored is None:  # the server has no other
            return None
        if old is None or old.data is None or stored.lasting:  # what failed for now takes nothing away
            self._store.put(item.source_id, name, stored)
        return None if stored.data is not None else stored

    def _tried(self, item: Item, said: Said) -> Stored | None:
        try:
            return persist(lambda: self._small.ask(item.locator, said), self._place, self._web.stopped, lambda: 0)
        except Expired as error:
            raise self._unfinished(str(error)) from None
        except TransferError as error:
            return Stored(None, error.status if isinstance(error, Unready) else None, _reason(error, item), lasting=False)
        except ValueError as error:
            return Stored(None, error.status if isinstance(error, Denied) else None, _reason(error, item))

    def _give_up(self) -> None:
        """Raise TransferError where so many failed one after the other that the network must be out."""
        if self._in_a_row >= IN_A_ROW * self._place.rules.connections:
            raise self._unfinished(f"{self._in_a_row} files in a row failed for now")

    def _unfinished(self, reason: str) -> TransferError:
        return TransferError(f"{reason}; what came is kept, and the next run tries only the others")


def _reason(error: Exception, item: Item) -> str:
    return redact(str(error).removeprefix(f"{shown(item.locator)}: "))
