"""Progress of a download: bytes from the network and the records made of them."""

import sys
import time
from collections.abc import Callable
from contextvars import copy_context
from threading import Event, Lock, Thread


class Meter:
    """Counts from any thread; shows from one of its own, every few seconds, on the terminal and by `show(line, percent)`.

    The thread has the context of the one that entered, so `show` may speak to the flow that runs there.
    """

    def __init__(self, what: str, show: Callable[[str, float], None], every: float = 3.0) -> None:
        self._what, self._show, self._every = what, show, every
        self._lock, self._stop = Lock(), Event()
        self._expected = self._got = self._records = self._converted = 0
        self._begun = time.monotonic()

    def __enter__(self) -> "Meter":
        self._thread = Thread(target=copy_context().run, args=(self._tell,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def expect(self, size: int) -> None:
        """So many more bytes will come."""
        with self._lock:
            self._expected += size

    def got(self, size: int) -> None:
        """So many bytes are here."""
        with self._lock:
            self._got += size

    def converted(self, records: int, size: int) -> None:
        """Records and their bytes so far."""
        with self._lock:
            self._records, self._converted = records, size

    def line(self, seconds: float) -> str:
        """What is shown after so many seconds."""
        parts = []
        if self._got or self._expected:
            rate = self._got / max(1e-9, seconds)
            whole = f" of {self._expected / 1e6:.1f}" if self._expected >= self._got else ""
            left = f", {(self._expected - self._got) / rate:.0f} s left" if rate and self._expected > self._got else ""
            parts.append(f"fetched {self._got / 1e6:.1f}{whole} MB, {rate / 1e6:.1f} MB/s{left}")
        if self._records:
            parts.append(f"{self._records} records, {self._converted / 1e6:.1f} MB")
        return f"{self._what}: {'; '.join(parts) or 'waiting for the source'}"

    def _tell(self) -> None:
        tty, last = sys.stderr.isatty(), self._begun
        while not self._stop.wait(1.0 if tty else self._every):
            now = time.monotonic()
            line = self.line(now - self._begun)
            print(f"\r  {line}\x1b[K" if tty else f"  {line}", end="" if tty else "\n", file=sys.stderr, flush=True)
            if now - last >= self._every:
                last = now
                self._show(line, min(99.0, 100.0 * self._got / max(1, self._expected)) if self._got else 0.0)
        if tty:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if last > self._begun:
            self._show(self.line(time.monotonic() - self._begun), 100.0)
