"""Thousands of damaged archives, tables, pictures and cards: refused in one line or read whole, never anything else.

FUZZ_CASES (2000) says how many, FUZZ_FIRST (0) from which seed on, FUZZ_WORKERS (1) in how many processes.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

TESTS = Path(__file__).parent
CASES = int(os.environ.get("FUZZ_CASES", "2000"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
WORKERS = int(os.environ.get("FUZZ_WORKERS", "1"))
LONGEST = 10.0  # s of processor time for one case
STUCK = 120.0  # s on the clock


class Watched:
    """A process that says `begin SEED` and `end SEED KIND` or `fault SEED KIND ...`; ended where one case takes too long."""

    def __init__(self, command: Sequence[str], longest: float) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=os.environ | threads | {"PYTHONPATH": path}
        )
        self._longest = longest
        self._begun: tuple[int, float, float] | None = None  # seed, processor time and clock
        self._ended = threading.Event()
        self._killed = False

    def run(self) -> Iterator[tuple[str, int, str]]:
        """(end or fault, seed, rest) of each case; the process's own end within a case is a fault."""
        watch = threading.Thread(target=self._watch)
        watch.start()
        seed = -1
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                word, number, rest = (*line.rstrip("\n").split(" ", 2), "")[:3]
                seed = int(number)
                if word == "begin":
                    self._begun = (seed, self._processor_time(), time.monotonic())
                else:
                    self._begun = None
                    yield word, seed, rest
        self._ended.set()
        watch.join()
        code = self._process.wait()
        if self._begun is not None or code != 0:
            self._errors.seek(0)
            last = self._errors.read()[-300:]
            why = "took too long" if self._killed else f"the process ended with {code}: {last!r}"
            yield "fault", seed, why

    def _processor_time(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            begun = self._begun
            try:
                if begun and self._too_long(*begun) and begun is self._begun:
                    self._killed = True
                    self._process.kill()
                    return
            except psutil.NoSuchProcess:
                return

    def _too_long(self, _: int, processor_time: float, clock: float) -> bool:
        return self._processor_time() - processor_time > self._longest or time.monotonic() - clock > STUCK


def run_cases(folder: Path, first: int, last: int, program: Sequence[str], longest: float) -> Iterator[tuple[str, int, str]]:
    """Run the cases one by one in a process, and after a case that ended it in another, from the next case on."""
    while first <= last:
        command = [sys.executable, *program, str(folder), str(first), str(last)]
        for word, seed, rest in Watched(command, longest).run():
            assert seed >= first, rest  # it did not even begin
            yield word, seed, rest
            first = seed + 1


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a case writes and removes some files."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def test_nothing_but_refused_or_read_whole(folder: Path) -> None:
    ends = [FIRST + CASES * number // WORKERS for number in range(WORKERS + 1)]

    def part(number: int) -> list[tuple[str, int, str]]:
        place = folder / str(number)
        return list(run_cases(place, ends[number], ends[number + 1] - 1, [str(TESTS / "fuzzed.py")], LONGEST))

    with ThreadPoolExecutor(WORKERS) as pool:
        told = [line for lines in pool.map(part, range(WORKERS)) for line in lines]
    faults = [f"seed {seed}: {rest}" for word, seed, rest in told if word == "fault"]
    assert not faults, "\n".join([*faults[:50], "again: python tests/fuzzed.py FOLDER SEED"])
    assert [seed for _, seed, _ in told] == list(range(FIRST, FIRST + CASES))
    became = Counter(rest.split(":")[0].replace('"', "'") for _, _, rest in told)
    print(became)
    if CASES >= 1000:  # the damage is neither so light nor so heavy that one side is never seen
        for kind in ("archive", "table", "pictures", "shards"):
            assert became[f"{kind} 'read"] > CASES * 0.01, became
            assert became[f"{kind} 'refused"] > CASES * 0.01, became
        assert became["card 'taken"] > CASES * 0.005, became


FAULTY = """
import os, sys
for seed in range(int(sys.argv[2]), int(sys.argv[3]) + 1):
    print("begin", seed, flush=True)
    while seed == 3:
        pass
    if seed == 5:
        os._exit(9)
    print("fault" if seed == 6 else "end", seed, "kind", flush=True)
"""


def test_hangs_and_crashes_are_named(tmp_path: Path) -> None:
    told = list(run_cases(tmp_path, 1, 7, ["-c", FAULTY], longest=0.5))
    assert [seed for _, seed, _ in told] == [1, 2, 3, 4, 5, 6, 7]
    assert {seed: rest for word, seed, rest in told if word == "fault"} == {
        3: "took too long",
        5: "the process ended with 9: ''",
        6: "kind",
    }
