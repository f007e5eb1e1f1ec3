"""How well copies are found: `python -m benchmarks.duplicates [--data FOLDER] [--sets a b] [--sheets]`.

Average precision over all pairs, and precision and recall at the default threshold, beside the pHash and dHash of imagededup at
its default and at its best threshold (see benchmarks/imagededup_stand_in.py; without it only our columns are printed). On sets
of known copies, on the planted dirt of the embedded domains, and on changed copies of real sets. `--sheets` writes the 50
closest proposals among different pictures of a set to reports/closest-<set>.jpg, to be looked at.
"""

import argparse
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image, ImageDraw

from benchmarks.changes import CHANGES
from benchmarks.pairs import Ranking, all_pairs, given_pairs
from pipelines.cards import load_card
from pipelines.copies import Seen, ThumbRows, pairs_within, thumb
from pipelines.curation import Curation
from pipelines.images import Unreadable, decode
from pipelines.layout import Layout
from pipelines.sources import kind_of
from pipelines.transfer import Place, Rules

PICTURES = (".jpg", ".jpeg", ".png", ".gif")
SETS = (
    "trashnet",
    "sign_digits",
    "coins_eur",
    "clothing_small",
    "grocery",
    "elpv_solar",
    "omniglot",
    "bccd_cells",
    "quickdraw3",
    "noto_emoji",
)
EMBEDDED = ("glyphs", "shapes", "textures", "cells", "flags", "digits", "fractals", "strokes", "curves")
CHANGED, MOST = 150, 1000  # pictures of a set that are changed, and that are looked through
LONGEST = 256  # px
DEFAULT_BITS = 10  # imagededup's own threshold
Groups = npt.NDArray[np.int64]


def members(data: Path, name: str) -> dict[str, bytes]:
    """Pictures of an archive or table by name."""
    if (table := data / f"{name}.parquet").exists():
        return {f"{number}.jpg": row["bytes"] for number, row in enumerate(pl.read_parquet(table)["image"])}
    if (packed := data / f"{name}.tar.gz").exists():
        with tarfile.open(packed) as tar:
            files = {item.name: handle.read() for item in tar if (handle := tar.extractfile(item)) is not None}
    else:
        with zipfile.ZipFile(data / f"{name}.zip") as archive:
            files = {path: archive.read(path) for path in sorted(archive.namelist())}
    return {path: coded for path, coded in files.items() if path.lower().endswith(PICTURES)}


def pictures(files: dict[str, bytes]) -> dict[str, Image.Image]:
    """Those that can be read, upright, at most LONGEST px."""
    found = {}
    for name, coded in files.items():
        try:
            image = decode(coded, 64_000_000).image
        except Unreadable:
            continue
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        found[name] = image
    return found


def ours(images: Sequence[Image.Image]) -> pl.DataFrame:
    """Pairs as curation finds them, with their agreement."""
    keys = pl.Series([f"{number:06}" for number in range(len(images))], dtype=pl.String)
    sides = np.array([np.sqrt(image.width * image.height) for image in images], np.float32)
    return pairs_within(Seen(ThumbRows.of(keys, [thumb(image) for image in images]), sides))


def our_ranking(images: Sequence[Image.Image], groups: Groups) -> Ranking:
    found = ours(images)
    return given_pairs(found["a"].to_numpy(), found["b"].to_numpy(), found["agreement"].to_numpy(), groups)


def theirs(method: str, images: Sequence[Image.Image]) -> npt.NDArray[np.uint8] | None:
    """Bits between all pairs of imagededup's hashes [N, N]; None without the package."""
    from benchmarks.imagededup_stand_in import load

    methods = load()
    if methods is None:
        return None
    encoder = getattr(methods, method)(verbose=False)
    codes = np.array([int(encoder.encode_image(image_array=np.asarray(image)), 16) for image in images], np.uint64)
    return np.bitwise_count(codes[:, None] ^ codes[None])


def row(name: str, images: Sequence[Image.Image], groups: Groups, agreement: float) -> dict[str, object]:
    """The figures of one set of pictures."""
    mine = our_ranking(images, groups)
    precision, recall = mine.at(agreement)
    figures: dict[str, object] = {"set": name, "images": len(images), "pairs": mine.positives}
    figures |= {"AP": mine.average_precision(), "P": precision, "R": recall}
    for method in ("PHash", "DHash"):
        distances = theirs(method, images)
        if distances is None:
            continue
        ranking = all_pairs(distances, groups)
        default, (best, best_p, best_r) = ranking.at(-DEFAULT_BITS), ranking.best()
        figures |= {f"{method} AP": ranking.average_precision(), f"{method} P@10": default[0], f"{method} R@10": default[1]}
        figures |= {f"{method} best": int(-best), f"{method} P@best": best_p, f"{method} R@best": best_r}
    return figures


def show(rows: Sequence[dict[str, object]]) -> None:
    """A Markdown table."""
    names = list(rows[0])
    print("| " + " | ".join(names) + " |")
    print("|---|" + "--:|" * (len(names) - 1))
    for one in rows:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in one.values()]
        print("| " + " | ".join(cells) + " |", flush=True)
    print()


def known_copies(data: Path, agreement: float) -> list[dict[str, object]]:
    """The sets whose file names, or contents, tell what is a copy of what."""
    names: dict[str, Callable[[str], str]] = {
        "neardup_potatoes": lambda path: path.split("/")[-1],  # neighbouring frames of a video have names of their own
        "neardup_imagededup": lambda path: path.split("/")[-1].split(".")[0].split("_")[0],
    }
    rows = []
    for name, truth in names.items():
        found = pictures(members(data, name))
        labels = ["ukbench00120" if "alpha" in path else truth(path) for path in found]
        rows.append(row(name, list(found.values()), _numbers(labels), agreement))
    return rows


def planted(agreement: float) -> list[dict[str, object]]:
    """Copies that the embedded domains plant in themselves."""
    rows = []
    for domain in EMBEDDED:
        card = load_card(Layout().card(domain))
        place = Place(Path(), Path(), domain, Rules(), {}, None)
        records = [
            record
            for record in kind_of(card, domain).records(card.source, place)
            if record.planted is None or record.planted.of
        ]
        of = {record.source_id: record.planted.of for record in records if record.planted and not record.planted.domain}
        found = pictures({record.source_id: record.data for record in records})
        rows.append(row(domain, list(found.values()), _numbers([of.get(name) or name for name in found]), agreement))
    return rows


def changed_copies(data: Path, name: str, agreement: float) -> list[dict[str, object]]:
    """Copies made of a real set, one change at a time, among all its pictures."""
    different = list({image.tobytes(): image for image in pictures(members(data, name)).values()}.values())
    order = np.random.default_rng(0).permutation(len(different))[:MOST]
    images = [different[number] for number in order]
    count = min(CHANGED, len(images))
    groups = np.r_[np.arange(len(images)), np.arange(count)]
    rows = []
    for change, apply in CHANGES.items():
        rng = np.random.default_rng(1)
        rows.append(row(f"{name}, {change}", images + [apply(image, rng) for image in images[:count]], groups, agreement))
    return rows


def sheet(data: Path, name: str, target: Path, most: int = 50, side: int = 96) -> None:
    """The closest proposals among different pictures of a set, closest first, each with its agreement."""
    images = list({image.tobytes(): image for image in pictures(members(data, name)).values()}.values())
    closest = ours(images).sort("agreement", descending=True).head(most)
    tiles = []
    for found in closest.iter_rows(named=True):
        tile = Image.new("RGB", (2 * side + 2, side + 14), "white")
        for place, number in enumerate((found["a"], found["b"])):
            tile.paste(images[number].resize((side, side), Image.Resampling.LANCZOS), (place * (side + 2), 0))
        ImageDraw.Draw(tile).text((0, side + 1), f"{found['agreement']:.3f} {found['transform']} {found['scale']:.2f}", "black")
        tiles.append(tile)
    width, height = 2 * side + 10, side + 20
    page = Image.new("RGB", (5 * width, -(-len(tiles) // 5) * height), "white")
    for place, tile in enumerate(tiles):
        page.paste(tile, (place % 5 * width, place // 5 * height))
    target.mkdir(exist_ok=True)
    page.save(target / f"closest-{name}.jpg", quality=88)
    print(f"{name}: {len(tiles)} closest proposals -> {target / f'closest-{name}.jpg'}")


def _numbers(labels: Sequence[str]) -> Groups:
    place = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.array([place[label] for label in labels], np.int64)


def main() -> None:
    """Print the tables."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--data", type=Path, default=Path(__file__).parents[1].parent / "shared" / "data")
    words.add_argument("--sets", nargs="*", default=SETS)
    words.add_argument("--sheets", action="store_true", help="only the sheets of the closest proposals")
    chosen = words.parse_args()
    if not chosen.data.is_dir():
        raise SystemExit(f"{chosen.data}: no such folder; name the folder of the real image sets with --data")
    if chosen.sheets:
        for name in ("omniglot", "quickdraw3", "elpv_solar"):
            sheet(chosen.data, name, Path("reports"))
        return
    agreement = Curation().duplicates.agreement
    show(known_copies(chosen.data, agreement))
    show(planted(agreement))
    every = []
    for name in chosen.sets:
        every += changed_copies(chosen.data, name, agreement)
        show(every[-len(CHANGES) :])
    means = [
        {"mean over sets": change, **_means([one for one in every if str(one["set"]).endswith(f", {change}")])}
        for change in CHANGES
    ]
    show(means)


def _means(rows: Sequence[dict[str, object]]) -> dict[str, float]:
    names = [name for name, value in rows[0].items() if isinstance(value, float)]
    return {name: float(np.mean([one[name] for one in rows])) for name in names}  # type: ignore[misc]


if __name__ == "__main__":
    main()
