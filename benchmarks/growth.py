"""How the search for near copies grows: `python -m benchmarks.growth [--sizes 10000 100000 1000000]`.

Each size in a process of its own: pictures drawn in cosine coefficients with the mean and spread of real pictures' at each
frequency, laid out as thumbnails (in a file beyond memory's needs), and among them 1 % planted copies: mirrored or turned, with
noise like that of coarse JPEG on every pixel. All that `curate` does with hashes is done: buckets, the seven views, eight
turns, thinning out, and the look at pixels. Proposals, pairs looked at, seconds, recall of the planted pairs, peak memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.fft import idctn

from benchmarks.photographs import DATA, sources
from pipelines.copies import Seen, find, thumb
from pipelines.copies.store import ThumbRows, scratch_thumbs
from pipelines.copies.thumbs import GREY_BYTES, SIDE, THUMB_BYTES, rows_of, thumbs_of
from pipelines.copies.turns import TURNS, turned

SIZES = (10_000, 100_000, 1_000_000)
PLANTED = 0.01  # share of the pictures that are copies
NOISE = 3.0  # levels on each pixel of a planted copy's thumbnail
FREQUENCIES = 24  # a side; what is above is too weak to matter
DRAWN = 2000  # pictures drawn at once
AGREEMENT = 0.96  # from which on curation takes a pair for copies
Floats = npt.NDArray[np.float32]


def spectrum(data: Path, most: int = 1500) -> Floats:
    """Root of the mean square of each coefficient of real grey thumbnails [F, F]."""
    from scipy.fft import dctn

    rows = rows_of(thumb(image) for image in sources(data)[:most])
    grey = thumbs_of(rows).grey_NHW.astype(np.float32)
    waves_NFF = dctn(grey - 128, axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
    return np.asarray(np.sqrt((waves_NFF**2).mean(0)), np.float32)


def drawn(spectrum_FF: Floats, count: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Grey thumbnails [N, SIDE, SIDE] of that spectrum; coefficients are Laplacian, as those of pictures are."""
    waves = np.zeros((count, SIDE, SIDE), np.float32)
    waves[:, :FREQUENCIES, :FREQUENCIES] = rng.laplace(0, np.sqrt(0.5), (count, FREQUENCIES, FREQUENCIES)) * spectrum_FF
    return np.asarray(np.clip(np.rint(idctn(waves, axes=(1, 2), norm="ortho") + 128), 0, 255), np.uint8)


def blocks(spectrum_FF: Floats, size: int) -> Iterator[tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]]:
    """Thumbnails' greys a block at a time, and the planted pairs within each."""
    names = list(TURNS)
    for start in range(0, size, DRAWN):
        rng = np.random.default_rng(start)
        grey = drawn(spectrum_FF, min(DRAWN, size - start), rng)
        count = round(len(grey) * PLANTED)
        for place in range(count):
            copy = turned(grey[place : place + 1], names[place % len(names)])[0] + rng.normal(0, NOISE, (SIDE, SIDE))
            grey[-1 - place] = np.clip(np.rint(copy), 0, 255)
        yield grey, [(start + place, start + len(grey) - 1 - place) for place in range(count)]


def measure(size: int, data: Path) -> dict[str, float]:
    """What one size costs."""
    planted: list[tuple[int, int]] = []
    spectrum_FF = spectrum(data)
    with tempfile.TemporaryDirectory() as folder, scratch_thumbs(Path(folder) / "thumbs") as scratch:
        for grey, pairs in blocks(spectrum_FF, size):
            rows = np.full((len(grey), THUMB_BYTES), 128, np.uint8)
            rows[:, :GREY_BYTES] = grey.reshape(len(grey), -1)
            numbers = np.arange(len(grey)) + (pairs[0][0] if pairs else 0)
            scratch.add(pl.Series(numbers).cast(pl.String), (row.tobytes() for row in rows))
            planted += pairs
        return searched(scratch.read(), planted)


def searched(thumbs: ThumbRows, planted: list[tuple[int, int]]) -> dict[str, float]:
    """The search as `pairs_within` does it, with counts."""
    seen = Seen(thumbs, np.full(len(thumbs), 128, np.float32))
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    proposals = 0

    def counted(parts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        nonlocal proposals
        for part in parts:
            proposals += part.height
            yield part

    chosen = find._likeliest(counted(find._proposals(seen, seen, find.NAMES, within=True)))
    proposed = time.perf_counter() - begun
    pairs = find._confirmed(seen, seen, chosen, within=True)
    took = time.perf_counter() - begun
    truth = pl.DataFrame(planted, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")
    found = pairs.filter(pl.col("agreement") >= AGREEMENT)
    return {
        "proposals": proposals,
        "looked at": chosen.height,
        "s proposing": round(proposed, 1),
        "s in all": round(took, 1),
        "planted": len(planted),
        "recall": round(truth.join(found, on=["a", "b"], how="semi").height / max(1, len(planted)), 4),
        "other pairs": found.join(truth, on=["a", "b"], how="anti").height,
        "MB before": before // 1024,
        "MB at peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Print the table, or measure one size where asked to."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--data", type=Path, default=DATA, help="folder of the real image sets; embedded pictures without it")
    words.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    words.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    chosen = words.parse_args()
    if chosen.alone:
        print(json.dumps(measure(chosen.alone, chosen.data)))
        return
    for place, size in enumerate(chosen.sizes):
        call = [sys.executable, "-m", "benchmarks.growth", "--alone", str(size), "--data", str(chosen.data)]
        row = {"pictures": size} | json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
        if place == 0:
            print("| " + " | ".join(row) + " |\n" + "|--:" * len(row) + "|")
        print("| " + " | ".join(str(value) for value in row.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
