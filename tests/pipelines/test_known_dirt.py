"""The dirt that the real sets are known to hold (their *.source.json) ends in the ledger, and what is no copy stays."""

import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pytest

from pipelines.cards import load_card
from pipelines.copies import ThumbRows
from pipelines.curation import Curation
from pipelines.deduplicate import deduplicate
from pipelines.examine import examine

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
PICTURES = (".jpg", ".jpeg", ".png", ".gif")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real image sets are not beside the repository")


def members(name: str) -> list[tuple[str, bytes]]:
    """(path, bytes) of every file in an archive."""
    if name == "omniglot":
        with tarfile.open(DATA / "omniglot.tar.gz") as tar:
            return [(item.name, tar.extractfile(item).read()) for item in tar if item.isfile()]
    with zipfile.ZipFile(DATA / f"{name}.zip") as archive:
        return [(path, archive.read(path)) for path in sorted(archive.namelist()) if not path.endswith("/")]


def raw(name: str, one_label: bool = False) -> pl.DataFrame:
    """Raw records; the label is the folder, or in a Meta-Album set the category."""
    files = dict(members(name))
    category = {}
    for path, data in files.items():
        if path.endswith("labels.csv"):
            category = dict(pl.read_csv(data).select("FILE_NAME", "CATEGORY").iter_rows())
    pictures = {
        path: data for path, data in files.items() if path.split("/")[-1].endswith((".jpg", ".JPG", ".png", ".jpeg", ".gif"))
    }
    labels = [category.get(path.split("/")[-1], path.split("/")[-2]) for path in pictures]
    return pl.DataFrame({"source_id": list(pictures), "label": "x" if one_label else labels, "data": list(pictures.values())})


def curated(name: str, one_label: bool = False, agreement: float | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    records = raw(name, one_label)
    assert not records.is_empty()
    seen = examine(records, Curation())
    readable = seen.filter(pl.col("thumb").is_not_null())
    card = ROOT / "collections" / f"{name}.yaml"
    settings = Curation().with_changes(load_card(card).curation) if card.exists() else Curation()
    duplicates = settings.duplicates.model_copy(update={"agreement": agreement} if agreement else {})
    thumbs = ThumbRows.of(readable["key"], readable["thumb"])
    ledger, evidence = deduplicate(seen.drop("thumb"), thumbs, duplicates)
    return ledger, evidence.filter("copies")


def test_trashnet_has_three_label_conflicts() -> None:
    ledger, evidence = curated("trashnet")
    conflicts = ledger.filter(pl.col("verdict") == "label_conflict")
    pairs = sorted(sorted(group["label"]) for _, group in conflicts.group_by("cluster"))
    assert pairs == [["glass", "metal"], ["glass", "plastic"], ["glass", "plastic"]]
    assert evidence["step"].to_list() == ["bytes"] * 3
    assert ledger["verdict"].null_count() == ledger.height - 6


def test_sign_digits_has_turned_files_and_a_camera_original() -> None:
    ledger, evidence = curated("sign_digits")
    assert ledger.filter(pl.col("exif_orientation") == 6).height == 2
    assert ledger.filter(pl.col("width") == 3024).select("height", "verdict").rows() == [(3024, None)] * 2
    assert evidence.is_empty()


def test_noto_emoji_is_transparent_and_has_equal_files() -> None:
    ledger, evidence = curated("noto_emoji")
    assert set(ledger["mode"]) == {"RGBA", "P", "LA"}
    assert ledger["transparent"].sum() > 1000
    equal = ledger.height - ledger["sha256"].n_unique()
    assert equal >= 3
    assert evidence.filter(pl.col("step") == "bytes").height == equal
    unturned = evidence.filter((pl.col("step") == "near") & (pl.col("transform") == "none"))
    assert unturned.is_empty(), "skin tones and flags are different pictures"


def test_seventeen_caltech_photographs_and_their_resized_copies() -> None:
    # at the default two copies that lost most of their size stay, and no two photographs are merged
    assert curated("neardup_caltech")[0]["verdict"].null_count() == 19
    ledger, _ = curated("neardup_caltech", agreement=0.95)
    assert ledger.height == 82
    assert ledger["verdict"].null_count() == 17


def test_frames_of_a_video_are_no_copies() -> None:
    ledger, evidence = curated("neardup_potatoes", one_label=True)
    names = pl.col("source_id").str.split("/").list.last()
    assert ledger["verdict"].null_count() == ledger.select(names.n_unique()).item() == 52
    assert set(evidence["step"]) == {"bytes"}


def test_ukbench_copies_and_damaged_files() -> None:
    ledger, _ = curated("neardup_imagededup", one_label=True)
    names = pl.col("source_id").str.split("/").list.last()
    verdict = dict(ledger.select(names, "verdict").iter_rows())
    for name in ("ukbench00120.jpg", "ukbench00120_hflip.jpg", "ukbench00120_resize.jpg"):
        assert verdict[name] == "duplicate"
    assert verdict["alpha_channel_image.png"] is None, "the only lossless copy"
    assert verdict["ukbench09268_corrupt.jpg"] == "unreadable"
    assert verdict["giphy.gif"] is None
    assert ledger.filter(pl.col("source_id").str.contains("base_images") & pl.col("verdict").is_null()).height >= 8


@pytest.mark.parametrize("name", ["omniglot", "elpv_solar", "quickdraw3", "coins_eur", "clothing_small", "bccd_cells"])
def test_pictures_that_only_look_alike_are_kept(name: str) -> None:
    ledger, evidence = curated(name)
    assert evidence.is_empty()
    assert ledger.filter(pl.col("verdict").is_in(["duplicate", "label_conflict"])).is_empty()
