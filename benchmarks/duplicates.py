"""How well copies are found, and how fast: `python -m benchmarks.duplicates [folder of the real sets]`.

Three tables: sets of known copies; transformed copies of real pictures (recall, and pairs wrongly confirmed among the
originals); images a second. Real sets are read from ../shared/data unless a folder is given.
"""

import io
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from pipelines.curation import Curation
from pipelines.deduplicate import deduplicate
from pipelines.examine import examine, thumb
from pipelines.images import decode
from pipelines.near import HASH_DISTANCE, looks, pairs_within, thumbs_of

PICTURES = (".jpg", ".jpeg", ".png", ".gif")
SETS = (
    "trashnet",
    "sign_digits",
    "coins_eur",
    "clothing_small",
    "elpv_solar",
    "omniglot",
    "bccd_cells",
    "quickdraw3",
    "noto_emoji",
)
SAMPLE = 200  # pictures of a set that are transformed
MAX_PIXELS = 64_000_000


def members(data: Path, name: str) -> dict[str, bytes]:
    """Pictures of an archive by path."""
    if (packed := data / f"{name}.tar.gz").exists():
        with tarfile.open(packed) as tar:
            files = {item.name: handle.read() for item in tar if (handle := tar.extractfile(item)) is not None}
    else:
        with zipfile.ZipFile(data / f"{name}.zip") as archive:
            files = {path: archive.read(path) for path in sorted(archive.namelist())}
    return {path: coded for path, coded in files.items() if path.lower().endswith(PICTURES)}


def scaled(factor: float) -> Callable[[Image.Image], Image.Image]:
    def change(image: Image.Image) -> Image.Image:
        width, height = (max(1, round(side * factor)) for side in image.size)
        return image.resize((width, height), Image.Resampling.BICUBIC)

    return change


def recoded(quality: int) -> Callable[[Image.Image], Image.Image]:
    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "60 %": scaled(0.6),
    "83 %": scaled(0.83),
    "150 %": scaled(1.5),
    "mirror": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "q40": recoded(40),
    "q30": recoded(30),
    "60 % q40": lambda image: recoded(40)(scaled(0.6)(image)),
    "mirror 83 % q40": lambda image: recoded(40)(scaled(0.83)(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))),
}


def known_copies(data: Path) -> None:
    """Pairs within one cluster against pairs that are known to be copies."""
    truths: dict[str, Callable[[str], str]] = {
        "neardup_potatoes": lambda path: path.split("/")[-1],
        "neardup_imagededup": lambda path: path.split("/")[-1].split(".")[0].removesuffix("_hflip").removesuffix("_resize"),
    }
    print(f"{'known copies':20} images  kept  recall  precision  (pairs of a cluster)")
    for name, truth in truths.items():
        ledger = _deduplicated(members(data, name)).filter(pl.col("verdict").is_null() | (pl.col("verdict") != "unreadable"))
        groups = [truth(path) for path in ledger["source_id"]]
        groups = ["ukbench00120" if "alpha_channel" in group else group for group in groups]
        clusters = ledger["cluster"].fill_null(ledger["key"]).to_list()
        same_truth = np.triu(np.equal.outer(np.array(groups), np.array(groups)), 1)
        same_found = np.triu(np.equal.outer(np.array(clusters), np.array(clusters)), 1)
        both = (same_truth & same_found).sum()
        kept = ledger["verdict"].null_count()
        print(f"{name:20} {ledger.height:6} {kept:5} {both / same_truth.sum():7.3f} {both / max(1, same_found.sum()):10.3f}")
    ledger = _deduplicated(members(data, "neardup_caltech"))
    print(
        f"{'neardup_caltech':20} {ledger.height:6} {ledger['verdict'].null_count():5}   (17 photographs, 65 resized copies)\n"
    )


def _deduplicated(files: dict[str, bytes]) -> pl.DataFrame:
    seen = examine(pl.DataFrame({"source_id": list(files), "label": "any", "data": list(files.values())}), Curation())
    return deduplicate(seen.drop("thumb"), seen.select("key", "thumb"), near=True)[0]


def transformed_copies(data: Path) -> None:
    """Share of the changed copies that are confirmed beside their originals; and pairs confirmed among different originals."""
    print(
        f"hash distance {HASH_DISTANCE} proposes, pixels confirm; recall of copies, false (unturned) pairs among the originals"
    )
    print(f"{'set':16} side " + " ".join(f"{name:>8}" for name in CHANGES) + "  false")
    for name in SETS:
        images = [decode(coded, MAX_PIXELS).image for coded in members(data, name).values()]
        chosen = np.random.default_rng(0).permutation(len(images))[:SAMPLE]
        originals = [images[index] for index in chosen]
        shares = [_recall(originals, change) for change in CHANGES.values()]
        different = list({image.tobytes(): image for image in images}.values())
        pairs = pairs_within(looks(_thumbs(different)))
        false = pairs.filter(pl.col("transform") == "none").height
        side = int(np.median([min(image.size) for image in images]))
        widths = [max(8, len(change)) for change in CHANGES]
        print(
            f"{name:16} {side:4} "
            + " ".join(f"{share:{width}.3f}" for share, width in zip(shares, widths, strict=True))
            + f" {false:6}"
        )
    print()


def _recall(originals: list[Image.Image], change: Callable[[Image.Image], Image.Image]) -> float:
    count = len(originals)
    pairs = pairs_within(looks(_thumbs(originals + [change(image) for image in originals])))
    return pairs.filter(pl.col("b") - pl.col("a") == count).height / count


def _thumbs(images: list[Image.Image]) -> np.ndarray:
    return thumbs_of(pl.Series([thumb(image) for image in images], dtype=pl.Binary))


def speed(data: Path) -> None:
    """Images a second of examine and of deduplicate, on one core."""
    print(f"{'set':16} images  examine: images/s  ms/image   deduplicate: s")
    for name in SETS:
        files = members(data, name)
        batch = pl.DataFrame({"source_id": list(files), "label": "any", "data": list(files.values())})
        examine(batch[:4], Curation())
        start = time.perf_counter()
        seen = examine(batch, Curation())
        middle = time.perf_counter()
        deduplicate(seen.drop("thumb"), seen.select("key", "thumb"), near=True)
        end = time.perf_counter()
        taken = (middle - start) / batch.height
        print(f"{name:16} {batch.height:6} {1 / taken:18.0f} {taken * 1e3:9.2f} {end - middle:16.2f}")
    thumbs = np.random.default_rng(0).integers(0, 256, (10_000, 4, 4, 3), np.uint8)
    smooth = [Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC) for small in thumbs]
    start = time.perf_counter()
    pairs_within(looks(np.stack([np.asarray(image) for image in smooth])))
    print(f"near copies among 10,000 thumbnails, 8 turns: {time.perf_counter() - start:.1f} s")


def main() -> None:
    """Print the three tables."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1].parent / "shared" / "data"
    if not data.is_dir():
        raise SystemExit(f"{data}: no such folder; name the folder of the real image sets")
    known_copies(data)
    transformed_copies(data)
    speed(data)


if __name__ == "__main__":
    main()
