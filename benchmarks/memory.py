"""Peak memory of curation as a domain grows: `python -m benchmarks.memory [--gigabytes 0.5 2] [--side 640]`.

Every raw record is a picture of its own, blended of windows of real photographs, for repeats would all be copies. Curated over
two processes as the runner `processes` has them; resident memory of all processes together, sampled every 50 ms. Pages of
mapped files count. The slope over the sizes says what 20 GB would take.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from benchmarks.made_project import DOMAIN, write_project
from benchmarks.photographs import DATA, blends
from pipelines.features import write_features
from pipelines.layout import Layout
from pipelines.raw import raw_slices

WANTED = 20.0  # GB


def up_to(total: int, side: int, data: Path) -> Iterator[bytes]:
    """Different photographs of `total` bytes together."""
    written = 0
    for made in blends(side, data):
        yield made
        written += len(made)
        if written >= total:
            return


def embedded(layout: Layout, dimensions: int = 256) -> None:
    """Features at random: this measures curation alone."""
    import hashlib

    import polars as pl

    from pipelines.ledger import record_key

    keys = []
    for records in raw_slices(layout.raw(DOMAIN)):
        for source_id, data in records.read().select("source_id", "data").iter_rows():
            keys.append(record_key(hashlib.sha256(data).hexdigest(), source_id))
    features_ND = np.random.default_rng(0).normal(0, 1, (len(keys), dimensions)).astype(np.float32)
    layout.embeddings(DOMAIN).mkdir(parents=True)
    write_features(layout.embeddings(DOMAIN), pl.Series(keys), features_ND, {"encoder_digest": "made", "content": ""})


def curated(root: Path) -> None:
    """Curate the made domain as the flow does, without Prefect."""
    from benchmarks.pool import pool
    from pipelines.cards import load_card
    from pipelines.curate import curate
    from pipelines.files import atomic_folder
    from pipelines.params import load_params

    layout = Layout(root)
    settings = load_params(layout.params).curation
    with pool() as workers, atomic_folder(layout.features(DOMAIN)) as features, atomic_folder(layout.domain(DOMAIN)) as target:
        stats = curate(load_card(layout.card(DOMAIN)), layout, target, features, settings, workers)
    print(json.dumps({"records": stats["records"], "kept": stats["kept"]}))


class Watch(threading.Thread):
    """Samples the resident memory of a process and all below it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root, self.peak, self.own, self.ended = psutil.Process(pid), 0, 0, False

    def run(self) -> None:
        while not self.ended:
            with suppress(psutil.Error):
                own, total = self._root.memory_info().rss, 0
                for process in self._root.children(recursive=True):
                    with suppress(psutil.Error):
                        total += process.memory_info().rss
                self.peak, self.own = max(self.peak, own + total), max(self.own, own)
            time.sleep(0.05)


def measure(gigabytes: float, side: int, data: Path) -> dict[str, float]:
    """One size."""
    with tempfile.TemporaryDirectory() as folder:
        layout = write_project(Path(folder), up_to(int(gigabytes * 1e9), side, data), cap=200)
        embedded(layout)
        begun = time.perf_counter()
        call = [sys.executable, "-m", "benchmarks.memory", "--alone", folder]
        with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}) as child:
            watch = Watch(child.pid)
            watch.start()
            said, _ = child.communicate()
            watch.ended = True
        if child.returncode:
            raise SystemExit(child.returncode)
        watch.join()
        took = time.perf_counter() - begun
        return {
            "GB": gigabytes,
            **json.loads(said),
            "s": round(took),
            "MB of all": watch.peak >> 20,
            "MB of the flow": watch.own >> 20,
        }


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--data", type=Path, default=DATA, help="folder of the real image sets; embedded pictures without it")
    words.add_argument("--gigabytes", type=float, nargs="*", default=[0.5, 2.0])
    words.add_argument("--side", type=int, default=640, help="px of the longer side")
    words.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    chosen = words.parse_args()
    if chosen.alone:
        curated(chosen.alone)
        return
    rows = []
    for gigabytes in chosen.gigabytes:
        rows.append(measure(gigabytes, chosen.side, chosen.data))
        if len(rows) == 1:
            print("| " + " | ".join(rows[0]) + " |\n" + "|--:" * len(rows[0]) + "|")
        print("| " + " | ".join(str(value) for value in rows[-1].values()) + " |", flush=True)
    if len(rows) > 1:
        slope = (rows[-1]["MB of all"] - rows[0]["MB of all"]) / (rows[-1]["GB"] - rows[0]["GB"])
        at = rows[-1]["MB of all"] + slope * (WANTED - rows[-1]["GB"])
        print(f"\n{slope:.0f} MB more for each GB: {at:.0f} MB at {WANTED:.0f} GB by a straight line")


if __name__ == "__main__":
    main()
