"""What examining costs beside decoding, and all of finding copies beside imagededup: `python -m benchmarks.examine`.

`examine` (decode, hashes, scores of quality, thumbnails) against a bare Pillow loop that decodes the same raw records, two
processes each; then `examine` and `deduplicate` against imagededup's `encode_images` and `find_duplicates` at its defaults
(see benchmarks/imagededup_stand_in.py; without the package that table is left out). The sides take turns; medians of the
rounds' ratios. Pictures of 128 px, and photographs of 640 px.
"""

import argparse
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl
from PIL import Image

from benchmarks.imagededup_stand_in import load
from benchmarks.made_project import DOMAIN, write_project
from benchmarks.photographs import DATA, jpegs
from benchmarks.pool import WORKERS, Pool, pool
from pipelines.copies.store import scratch_thumbs
from pipelines.curate import examine_slice
from pipelines.curation import Curation
from pipelines.deduplicate import deduplicate
from pipelines.ledger import SCHEMA
from pipelines.raw import RawSlice, raw_slices

SIDES = {128: 8000, 640: 800}  # px of the longer side: pictures


def bare_slice(records: RawSlice) -> int:
    """Decode pictures and do nothing with them."""
    frame = records.read()
    for data in frame["data"]:
        Image.open(io.BytesIO(data)).convert("RGB").load()
    return frame.height


def bare(processes: Pool, raw: Path) -> None:
    """The bare loop over all raw records."""
    assert sum(processes("bare", bare_slice, raw_slices(raw)))


def examined(processes: Pool, raw: Path) -> None:
    """`examine` over all raw records."""
    assert sum(frame.height for frame in processes("examine", partial(examine_slice, Curation()), raw_slices(raw)))


def ours(processes: Pool, raw: Path) -> int:
    """Examine and deduplicate; returns how many copies were found."""
    settings = Curation()
    with tempfile.TemporaryDirectory() as folder, scratch_thumbs(Path(folder) / "thumbs") as scratch:
        frames = []
        for frame in processes("examine", partial(examine_slice, settings), raw_slices(raw)):
            scratch.add(frame["key"], frame["thumb"])
            frames.append(frame.drop("thumb"))
        ledger, _ = deduplicate(pl.concat(frames).select(list(SCHEMA)), scratch.read(), settings.duplicates)
    return ledger.filter(pl.col("verdict").is_not_null()).height


def theirs(method: str, folder: Path) -> int:
    """imagededup on files; returns how many pictures have a duplicate."""
    methods = load()
    assert methods is not None
    logging.disable(logging.INFO)
    warnings.filterwarnings("ignore", message="Parameter num_enc_workers")
    encoder = getattr(methods, method)(verbose=False)
    codes = encoder.encode_images(image_dir=str(folder), num_enc_workers=WORKERS)
    found = encoder.find_duplicates(encoding_map=codes, num_dist_workers=WORKERS)
    return sum(bool(others) for others in found.values())


def seconds(function: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def compare(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side, by turns."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(seconds(side))
    return found


def ratio(slow: list[float], fast: list[float]) -> float:
    """How many times as fast, the median over the rounds."""
    return statistics.median(one / other for one, other in zip(slow, fast, strict=True))


def measure(side: int, count: int, data: Path, rounds: int, processes: Pool) -> tuple[str, str | None]:
    """A row of each table; no second one without imagededup."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = list(jpegs(count, side, data))
        size = sum(len(picture) for picture in pictures) / count / 1000
        layout = write_project(Path(folder) / "project", pictures)
        raw = layout.raw(DOMAIN)
        alone = compare({"bare": partial(bare, processes, raw), "examine": partial(examined, processes, raw)}, rounds)
        rates = [f"{count / statistics.median(alone[name]):.0f}" for name in ("bare", "examine")]
        first = f"| {side} px, {size:.0f} KB | {count} | {' | '.join(rates)} | {ratio(alone['bare'], alone['examine']):.2f} |"
        if load() is None:
            return first, None
        files = Path(folder) / "files"
        files.mkdir()
        for number, picture in enumerate(pictures):
            (files / f"{number:06}.jpg").write_bytes(picture)
        whole = compare(
            {
                "ours": partial(ours, processes, raw),
                "PHash": partial(theirs, "PHash", files),
                "DHash": partial(theirs, "DHash", files),
            },
            rounds,
        )
        rates = [f"{count / statistics.median(whole[name]):.0f}" for name in whole]
        times = [f"{ratio(whole[name], whole['ours']):.2f}" for name in ("PHash", "DHash")]
        return first, f"| {side} px, {size:.0f} KB | {count} | {' | '.join(rates)} | {' | '.join(times)} |"


def main() -> None:
    """Print the tables."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--data", type=Path, default=DATA, help="folder of the real image sets; embedded pictures without it")
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--sides", type=int, nargs="*", default=list(SIDES), choices=list(SIDES))
    chosen = words.parse_args()
    with pool() as processes:
        rows = [measure(side, SIDES[side], chosen.data, chosen.rounds, processes) for side in chosen.sides]
    print("| pictures | number | bare decode, images/s | examine, images/s | examine / bare |\n|---|--:|--:|--:|--:|")
    print("\n".join(first for first, _ in rows))
    if all(second for _, second in rows):
        print("\n| pictures | number | ours, images/s | PHash | DHash | times PHash | times DHash |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        print("\n".join(str(second) for _, second in rows))


if __name__ == "__main__":
    main()
