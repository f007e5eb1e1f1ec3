"""`python -m pipelines check`: what is verified, line by line, how fast, and what to say where something is wrong."""

import sys
import time

from pipelines.check import check
from pipelines.layout import Layout
from pipelines.leaks import leaks
from pipelines.params import Params


def report_check(params: Params, layout: Layout, *, quick: bool) -> int:
    """Print a line a subject and one a problem; returns the exit status, 0 or 1.

    Leaks are looked for where all files are sound, unless `quick`: what is damaged cannot be looked into.
    """
    speed = Speed()
    bad = sum(_said(subject, problems) for subject, problems in check(params, layout, speed.read))
    print(speed.line())
    if bad:
        print(f"{bad} problems; say `dvc repro` to make again what is damaged")
        return 1
    leaked = 0 if quick else sum(_said(subject, problems) for subject, problems in leaks(params, layout))
    # no file is damaged, so DVC sees nothing to do
    print(f"{leaked} leaks; say `dvc repro --force` to curate and collect again" if leaked else "all is as the ledgers say")
    return 1 if leaked else 0


def _said(subject: str, problems: list[str]) -> int:
    for problem in problems:
        print(f"BAD   {subject}: {problem}")
    if not problems:
        print(f"ok    {subject}")
    return len(problems)


class Speed:
    """Bytes compared so far, shown on a terminal as they grow."""

    def __init__(self) -> None:
        self._bytes, self._begun = 0, time.monotonic()

    def read(self, size: int) -> None:
        """So many bytes more."""
        self._bytes += size
        if sys.stderr.isatty():
            print(f"\r  {self.line()}\x1b[K\r", end="", file=sys.stderr, flush=True)

    def line(self) -> str:
        """How much, and how fast."""
        megabytes, seconds = self._bytes / 1e6, time.monotonic() - self._begun
        return f"compared {megabytes:.1f} MB with their checksums, {megabytes / max(1e-9, seconds):.0f} MB/s"
