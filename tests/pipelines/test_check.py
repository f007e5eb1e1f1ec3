"""`check`: whatever on disk is not what it should be is named, file by file."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_domains import make_project

from pipelines.__main__ import main
from pipelines.check import check_domain
from pipelines.features import Features, open_features, write_features
from pipelines.files import read_json, write_json
from pipelines.layout import Layout
from pipelines.sums import write_sums

Damage = Callable[[Layout], None]


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path, prefect_server: str) -> Path:
    """One domain, downloaded, embedded and curated."""
    root = tmp_path_factory.mktemp("project")
    make_project(root, {"pebbles": "train", "shells": "held_out"}, encoder_file)
    for stage in ("download", "embed", "curate"):
        assert main([stage, "pebbles"], root) == 0
    return root


@pytest.fixture
def layout(curated: Path, tmp_path: Path) -> Layout:
    """A copy of it to damage."""
    shutil.copytree(curated, tmp_path / "copy", ignore=shutil.ignore_patterns(".tessera"))
    return Layout(tmp_path / "copy")


def written_again(layout: Layout, change: Callable[[Features], Features], **about: str) -> None:
    """Write the embeddings anew with some change, and their facts with them."""
    folder = layout.embeddings("pebbles")
    found = open_features(folder)
    keys, features_ND = change(Features(found.keys, np.array(found.features_ND)))
    write_features(folder, keys, features_ND, read_json(folder / "source.json") | about)


def stated_otherwise(folder: Path, fact: str) -> None:
    """Another digest in source.json, and its checksum after it."""
    write_json(folder / "source.json", read_json(folder / "source.json") | {fact: "0" * 64})
    write_sums(folder)


def of_other_records(layout: Layout) -> None:
    written_again(layout, lambda found: found, content="sha256:" + "0" * 64)


def of_one_record_twice(layout: Layout) -> None:
    written_again(layout, lambda found: Features(pl.concat([found.keys[:-1], found.keys[:1]]), found.features_ND))


def of_other_numbers(layout: Layout) -> None:
    stated_otherwise(layout.embeddings("pebbles"), "features_digest")


def of_fewer_keys(layout: Layout) -> None:
    path = layout.embeddings("pebbles") / "keys.parquet"
    pl.read_parquet(path).head(-1).write_parquet(path)
    write_sums(path.parent)


def never_made(layout: Layout) -> None:
    shutil.rmtree(layout.embeddings("pebbles"))


def features_of_other_shards(layout: Layout) -> None:
    stated_otherwise(layout.features("pebbles"), "domain_digest")


def features_never_picked(layout: Layout) -> None:
    shutil.rmtree(layout.features("pebbles"))


def test_what_is_sound_has_no_problem(layout: Layout) -> None:
    assert check_domain("pebbles", layout) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (of_other_records, "embeddings/pebbles: made from other records than those in"),
        (of_one_record_twice, "embeddings/pebbles/keys.parquet: keys are not unique"),
        (of_other_numbers, "embeddings/pebbles/features.safetensors: differs from its digest"),
        (of_fewer_keys, "embeddings/pebbles: features and keys do not belong together"),
        (never_made, "embeddings/pebbles: not embedded yet"),
        (features_of_other_shards, "features/pebbles: made from other shards than those on disk"),
        (features_never_picked, "features/pebbles: no features of the curated images"),
    ],
)
def test_what_is_wrong_is_named_once(layout: Layout, damage: Damage, words: str) -> None:
    damage(layout)
    problems = check_domain("pebbles", layout)
    assert len(problems) == 1, problems
    assert words in problems[0]
    assert "\n" not in problems[0]


def test_several_faults_are_all_named(layout: Layout) -> None:
    of_other_numbers(layout)
    (layout.domain("pebbles") / "stats.json").write_text("{}")
    assert [problem.partition(": ")[0].rpartition("/")[2] for problem in check_domain("pebbles", layout)] == [
        "features.safetensors",
        "stats.json",
    ]


def test_a_domain_whose_shards_alone_were_brought_here(layout: Layout) -> None:
    shutil.rmtree(layout.raw("pebbles"))
    shutil.rmtree(layout.embeddings("pebbles"))
    assert check_domain("pebbles", layout) == []


FILES = {
    "raw/pebbles": ["SHA256SUMS", "failures.parquet", "planted.parquet", "records-00000.parquet", "source.json"],
    "embeddings/pebbles": ["SHA256SUMS", "features.safetensors", "keys.parquet", "source.json"],
    "features/pebbles": ["SHA256SUMS", "features.safetensors", "source.json"],
}


def test_a_flipped_bit_anywhere_is_found_and_its_file_named(layout: Layout) -> None:
    folders = {layout.root / folder: names for folder, names in FILES.items()}
    folders[layout.domain("pebbles")] = sorted(path.name for path in layout.domain("pebbles").iterdir())
    assert "duplicates.parquet" in folders[layout.domain("pebbles")]
    assert "fingerprints.parquet" in folders[layout.domain("pebbles")]
    for folder, names in folders.items():
        assert sorted(path.name for path in folder.iterdir()) == names
        for name in names:
            good = (folder / name).read_bytes()
            place = len(good) // 2
            (folder / name).write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            problems = check_domain("pebbles", layout)
            assert problems, f"{folder / name}: not found"
            named = str(folder) if name == "SHA256SUMS" else str(folder / name)
            assert any(problem.startswith(named) for problem in problems), problems
            (folder / name).write_bytes(good)
    assert check_domain("pebbles", layout) == []


def test_missing_and_strange_files_are_named(layout: Layout) -> None:
    (layout.raw("pebbles") / "planted.parquet").unlink()
    (layout.embeddings("pebbles") / "notes.txt").write_text("mine")
    (layout.features("pebbles") / "SHA256SUMS").unlink()
    assert [problem.rpartition("pebbles/")[2] for problem in check_domain("pebbles", layout)] == [
        "planted.parquet: missing",
        "notes.txt: not in SHA256SUMS",
        "SHA256SUMS: missing",
    ]


def test_where_a_file_differs_dvc_looks_again(layout: Layout) -> None:
    path = layout.raw("pebbles") / "records-00000.parquet"
    other = layout.raw("pebbles") / "planted.parquet"
    good = path.read_bytes()
    path.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
    for each in (path, other):
        os.utime(each, (1e9, 1e9))
    assert len(check_domain("pebbles", layout)) == 1
    assert path.stat().st_mtime > 1e9
    assert other.stat().st_mtime == 1e9
