"""One file over http(s), from whatever is kept of it to the whole and verified file."""

import re
from pathlib import Path

import httpx

from pipelines.transfer import Pin, Place
from pipelines.transfer.expected import Expected
from pipelines.transfer.kept import Kept, Part, Said, keep
from pipelines.transfer.request import Denied, Web
from pipelines.transfer.retry import Unready


class Download:
    """The way of one file into its part; `attempt` goes on from what is there."""

    def __init__(self, web: Web, url: str, place: Place, expected: Expected, part: Part, old: Kept | None) -> None:
        """`url` is filled; `old`: the file of an earlier run, to be taken if the server says that it has no other."""
        self._web, self._url, self._place, self._expected = web, url, place, expected
        self._part, self._old = part, old
        self._told = self._came = 0  # bytes that the meter expects and that came
        self._unchanged = False

    def attempt(self, path: Path) -> Kept:
        """Get the rest and put the file at `path`. Raises TransferError where another attempt may help, else ValueError."""
        part = self._part
        part.sha256()  # of the kept bytes, before a server waits for it
        if not self._rest():
            part.cut()  # it is not of the file that the server has by now
            if not self._rest():
                raise Unready("the server answers a whole request with another part")
        if self._unchanged and self._old is not None:
            return self._old
        found = Pin(part.size, part.sha256(), part.said.strong)
        try:
            self._expected.check(found)
        except ValueError:
            if not part.stitched:
                raise  # the part stays: the user may mend the card or update, and need not get it again
            part.cut()
            raise Unready("what came in several parts is not one file; getting it anew") from None
        return keep(part.path, path, found.sha256, part.said)

    def _rest(self) -> bool:
        """Get what is missing; False if the part kept does not fit the server's file any more."""
        part = self._part
        with self._web.get(self._url, self._headers()) as response:
            if response.status_code == 304:
                return self._keep_old()
            if response.status_code == 416:
                part.stitched |= part.said.strong is None  # only the size says that it is the server's
                return _is_whole(part, response)
            said = Said(response.headers.get("ETag"), response.headers.get("Last-Modified"))
            start, total = _extent(response)
            if start not in (0, part.size) or (start and not self._continues(said, total)):
                return False
            self._accept(total)
            self._stream(response, start, total, self._begin(said, start, total))
        self._complete(ended="Transfer-Encoding" in response.headers)
        return True

    def _begin(self, said: Said, start: int, total: int | None) -> int:
        """Make the part ready for an answer from `start`; returns how many of its bytes are in the part already."""
        part = self._part
        same = said.strong is not None and said.strong == part.said.strong
        skip = part.size if start == 0 and same and self._continues(said, total) else 0
        if start == 0 and not skip:
            part.cut()
        if total is None and part.size:
            total = part.total
        part.describe(said, total, stitched=part.size > 0 and (part.stitched or not same))
        return skip

    def _headers(self) -> dict[str, str]:
        part, headers = self._part, {}
        if part.size:
            headers["Range"] = f"bytes={part.size}-"
            if part.said.validator:
                headers["If-Range"] = part.said.validator
        if self._old is not None:
            if self._old.said.etag:
                headers["If-None-Match"] = self._old.said.etag
            elif self._old.said.modified:
                headers["If-Modified-Since"] = self._old.said.modified
        return headers

    def _keep_old(self) -> bool:
        if self._old is None:
            raise Denied("the server answers 304 to a request without a condition", 304)
        self._unchanged = True
        self._part.cut()
        return True

    def _continues(self, said: Said, total: int | None) -> bool:
        """Whether an answer is the rest of the part: not if the size or the version that it names is another."""
        part = self._part
        sized = None in (part.total, total) or part.total == total
        return sized and (part.said.strong is None or said.strong in (None, part.said.strong))

    def _accept(self, total: int | None) -> None:
        """Refuse what must not come, before it does."""
        limit = self._place.rules.limit_bytes
        if total is None:
            return
        if total > limit:
            self._part.cut()
            raise Denied(f"holds {total} bytes, more than the limit of {limit}")
        self._expected.check_size(total)

    def _stream(self, response: httpx.Response, start: int, total: int | None, skip: int) -> None:
        part, limit, pin = self._part, self._place.rules.limit_bytes, self._expected.pin
        if total is not None:
            self._expect(total - start)
        for block in self._web.blocks(response):
            self._came += len(block)
            fresh = block[skip:]
            skip -= len(block) - len(fresh)
            if part.size + len(fresh) > limit:
                part.cut()
                raise Denied(f"sends more than the limit of {limit} bytes")
            if pin is not None and part.size + len(fresh) > pin.bytes:
                raise self._expected.too_long(pin.bytes)
            part.write(fresh)
        if skip:
            raise Unready("the server sent less than before")

    def _expect(self, rest: int) -> None:
        """Tell the meter what is not told yet."""
        more = self._came + rest - self._told
        if more > 0:
            self._place.meter.expect(more)
            self._told += more

    def _complete(self, ended: bool) -> None:
        """Raise Unready if the body fell short; where nothing tells its end, the pinned size does."""
        total = self._part.total
        if total is None and self._expected.pin is not None and not ended:
            total = self._expected.pin.bytes
        if total is not None and self._part.size != total:
            raise Unready(f"the server sent {self._part.size} of {total} bytes")


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """First byte of the answer and size of the whole file (None where the server does not say); -1 for no known part."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", response.headers.get("Content-Range", ""))
        if found is None:
            return -1, None
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _is_whole(part: Part, response: httpx.Response) -> bool:
    """Whether a 416 means that nothing is missing."""
    found = re.fullmatch(r"bytes \*/(\d{1,18})", response.headers.get("Content-Range", ""))
    sizes = {size for size in (part.total, int(found[1]) if found else None) if size is not None}
    return part.size > 0 and sizes == {part.size}
