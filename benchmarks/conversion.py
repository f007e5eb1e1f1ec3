"""What the conversion of an archive to raw records costs, against plain loops that copy its members.

    python -m benchmarks.conversion [--folder DIR] [--repeats N] [--formats zip tar tar.gz] [--large]

Ours: read the archive, check every member, and write `raw/` with digests and fsync, as the download stage does. Plain: open
each member by zipfile or tarfile, read it, and write it into one tar (also: with fsync), or as a file of a folder. All sides
run in processes of their own, in turn; the rate is the median over the repeats. Prints a Markdown table. Archives of 100,000
and 400,000 small pictures are made in DIR once and kept for the next run; `--large` adds archives of 10 and 40 GB with
members of 100 KB, which are removed again. What is copied of them is written to DIR too, and removed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FORMATS = ("zip", "tar", "tar.gz")
SIDES = ("ours", "to a tar", "to a synced tar", "to files")
SMALL, LARGE = 100_000, 100_000  # members at 1x: of 2 to 10 KB, of 100 KB
SPARE = 5 * 10**9  # bytes of the disk that are left alone


def main() -> None:
    """Make what is not there yet, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tessera-conversion")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--times", nargs="+", type=int, default=(1, 4))
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(
        "| archive | images | GB | images/s | MB/s | x tar copy | x synced tar copy | x files | MB at peak | tar copy | files |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for times in options.times:
        for kind in options.formats:
            archive = options.folder / f"small-{times}x.{kind}"
            if not archive.exists():
                child("make", archive, str(SMALL * times), "small")
            print(row(archive, SMALL * times, options.repeats), flush=True)
    for times in options.times if options.large else ():
        for kind in (kind for kind in options.formats if kind != "tar.gz"):
            large(options.folder / f"large-{times}x.{kind}", LARGE * times, options.repeats)


def large(archive: Path, members: int, repeats: int) -> None:
    """The row of an archive of large members, which is removed; a line where the disk has no room for it and its copy."""
    need = 2 * members * 100_000 + SPARE
    free = shutil.disk_usage(archive.parent).free
    if free < need:
        print(f"| {archive.name} | {members} | skipped: needs {need / 1e9:.0f} GB of disk, {free / 1e9:.0f} are free |")
        return
    try:
        child("make", archive, str(members), "large")
        print(row(archive, members, repeats), flush=True)
    finally:
        archive.unlink(missing_ok=True)


def row(archive: Path, members: int, repeats: int) -> str:
    """One line of the table."""
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for repeat in range(repeats):
        for side in SIDES[repeat % 4 :] + SIDES[: repeat % 4]:
            found[side].append(child(side, archive))
    rates = {side: statistics.median(members / run["seconds"] for run in runs) for side, runs in found.items()}
    peaks = {side: max(run["peak"] for run in runs) / 1e6 for side, runs in found.items()}
    size = found["ours"][0]["bytes"]
    assert all(run["bytes"] == size for runs in found.values() for run in runs), "the sides copied different bytes"
    cells = [
        archive.name,
        str(members),
        f"{size / 1e9:.2f}",
        f"{rates['ours']:.0f}",
        f"{rates['ours'] * size / members / 1e6:.0f}",
    ]
    cells += [f"{rates['ours'] / rates[side]:.2f}" for side in SIDES[1:]] + [
        f"{peaks[side]:.0f}" for side in ("ours", "to a tar", "to files")
    ]
    return f"| {' | '.join(cells)} |"


def child(job: str, archive: Path, *more: str) -> dict[str, Any]:
    """Run one side in a process of its own; what it writes is removed."""
    os.sync()  # so that no run waits for what the last one wrote
    with tempfile.TemporaryDirectory(dir=archive.parent) as target:
        command = [sys.executable, "-m", "benchmarks.conversion_sides", job, str(archive), target, *more]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(output)
    return found


if __name__ == "__main__":
    main()
