"""What a kill costs: a download and its conversion, killed at random moments and begun again until they are done.

    python -m benchmarks.killed [--megabytes N] [--kills N] [--seed N] [--folder DIR]

A process fetches a zip of pictures from a server on loopback at 100 MB/s and writes `raw/` as the download stage does. It is
killed (SIGKILL) at 20 moments that are drawn at random, 12 of them while it downloads, the others while it converts, each time
as many bytes as drawn are on the disk. Prints for each kill what was kept, what was in flight (sent by the server, not on the
disk), what the server sent after it, and how much of that it had sent before; at the end whether `raw/` is, byte for byte,
what an undisturbed run writes.
"""

import argparse
import hashlib
import io
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipelines.cards import Label, Source
from pipelines.files import atomic_folder
from pipelines.raw import write_raw
from pipelines.sources.archive import records
from pipelines.transfer import Place
from tests.servers import Page, Server

ROOT = Path(__file__).parents[1]
SIDE = 128  # px of a picture: 49 KB
CLASSES = 10
BUFFER = 1 << 18  # bytes that the server's side of a connection may hold back


@dataclass
class Kill:
    """One kill; all are bytes."""

    moment: str
    kept: int  # of the archive, on the disk
    in_flight: int  # sent by the server, and not on the disk
    sent: int  # by the server, so far
    requests: int  # so far
    sent_after: int = 0
    again: int = 0  # of these, sent before


@dataclass
class Outcome:
    """What all kills together came to."""

    archive: int  # bytes
    sent: int  # bytes
    kills: list[Kill]
    identical: bool
    seconds: float


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return download(Path(options.child[0]), options.child[1])
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        downloading = round(options.kills * 0.6)
        outcome = killed(Path(folder), options.megabytes, downloading, options.kills - downloading, options.seed)
    print("| killed | kept MB | in flight KB | sent after MB | of these again KB |\n|---|--:|--:|--:|--:|")
    for kill in outcome.kills:
        figures = f"{kill.kept / 1e6:.1f} | {kill.in_flight / 1e3:.1f} | {kill.sent_after / 1e6:.1f} | {kill.again / 1e3:.1f}"
        print(f"| {kill.moment} | {figures} |")
    more = (outcome.sent - outcome.archive) / 1e3
    print(f"\n{outcome.archive / 1e6:.1f} MB archive; the server sent {more:.1f} KB more than that, in {outcome.seconds:.0f} s")
    print(f"raw/ is {'byte-identical to' if outcome.identical else 'NOT WHAT IT IS after'} an undisturbed run")
    return None


def download(folder: Path, url: str) -> None:
    """What is killed: the download stage's work, without its Prefect flow."""
    source = Source(kind="archive", locator=url, label=Label(layout="folders"))
    place = Place(folder, folder / "downloads", "killed")
    with atomic_folder(folder / "raw") as target:
        write_raw(records(source, place), target, {"kind": "archive", "locator": url})


def killed(folder: Path, megabytes: int, downloading: int, converting: int, seed: int, rate: float = 1e8) -> Outcome:
    """Kill so many times while it downloads (at `rate` bytes a second) and while it converts, then let it end."""
    content = archive(megabytes)
    chance = random.Random(seed)
    with Server(buffer=BUFFER) as server:
        page = server.put("/set.zip", content)
        run(folder / "undisturbed", server).wait()
        written = _bytes((folder / "undisturbed" / "raw").iterdir())
        page = server.put("/set.zip", content, rate=rate)
        begun = time.monotonic()
        kills = []
        target = folder / "killed"
        for share in sorted(chance.random() for _ in range(downloading)):
            kills.append(_kill(target, server, page, "downloading", lambda: _kept(target), int(share * len(content))))
        for _ in range(converting):
            goal = int(chance.uniform(0.02, 0.9) * written)
            kills.append(_kill(target, server, page, "converting", lambda: _growing(target), goal))
        assert run(target, server).wait() == 0, "the last run failed"
        seconds = time.monotonic() - begun
    starts = [int(request.get("range", "bytes=0-")[6:-1]) for request in page.requests]
    for kill in kills:
        later = starts[kill.requests :]
        kill.sent_after = page.sent - kill.sent
        kill.again = kill.kept + kill.in_flight - later[0] if later else 0
    identical = sums(target / "raw") == sums(folder / "undisturbed" / "raw")
    return Outcome(len(content), page.sent, kills, identical, seconds)


def archive(megabytes: int) -> bytes:
    """A zip of about so many MB of pictures in folders by class, the same each time."""
    chance = random.Random(7)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        while target.tell() < megabytes * 10**6:
            number = len(file.infolist())
            picture = io.BytesIO()
            Image.frombytes("RGB", (SIDE, SIDE), chance.randbytes(3 * SIDE * SIDE)).save(picture, "PNG", compress_level=0)
            name = f"class-{number % CLASSES}/{number:06d}.png"
            file.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), picture.getvalue())
    return target.getvalue()


def run(folder: Path, server: Server) -> subprocess.Popen[bytes]:
    """Begin a run in a process of its own."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.killed", "--child", str(folder), server.url("/set.zip")]
    return subprocess.Popen(command, cwd=ROOT)


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def _kill(folder: Path, server: Server, page: Page, doing: str, reached: Callable[[], int], goal: int) -> Kill:
    """One run, killed as soon as `reached` tells `goal` bytes."""
    before, sent, asked = _kept(folder), page.sent, len(page.requests)
    child = run(folder, server)
    while reached() < goal or (len(page.requests) == asked and _part(folder)):
        assert child.poll() is None, f"it ended with {child.returncode} before {goal} bytes were there"
        time.sleep(0.0005)
    child.kill()
    child.wait()
    while server.at_once:
        time.sleep(0.001)  # until the server has seen it
    kept = _kept(folder)
    came = page.sent - sent
    moment = f"{doing}, at {goal / 1e6:.1f} MB"
    return Kill(moment, kept, came - (kept - before), page.sent, len(page.requests))


def _kept(folder: Path) -> int:
    """Bytes of the archive on the disk."""
    return _bytes(path for path in (folder / "downloads").glob("*.zip*") if path.suffix in (".zip", ".part"))


def _part(folder: Path) -> int:
    return _bytes((folder / "downloads").glob("*.zip.part"))


def _growing(folder: Path) -> int:
    return sum(_bytes(path.glob("*")) for path in folder.glob(".raw.*.part") if not _is_old(path))


def _is_old(path: Path) -> bool:
    """Whether the process that wrote it is gone."""
    return not Path(f"/proc/{path.name.split('.')[2]}").exists()


def _bytes(paths: Iterable[Path]) -> int:
    """Of these files together; a look during which the child renames one ends there, and the next sees more."""
    total = 0
    with suppress(FileNotFoundError):
        for path in paths:
            total += path.stat().st_size
    return total


if __name__ == "__main__":
    main()
