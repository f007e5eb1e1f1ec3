"""`check`: whatever on disk is not what it should be is named, file by file."""

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


def of_other_records(layout: Layout) -> None:
    written_again(layout, lambda found: found, content="sha256:" + "0" * 64)


def of_one_record_twice(layout: Layout) -> None:
    written_again(layout, lambda found: Features(pl.concat([found.keys[:-1], found.keys[:1]]), found.features_ND))


def of_other_numbers(layout: Layout) -> None:
    about = read_json(layout.embeddings("pebbles") / "source.json")
    write_json(layout.embeddings("pebbles") / "source.json", about | {"features_digest": "0" * 64})


def of_fewer_keys(layout: Layout) -> None:
    path = layout.embeddings("pebbles") / "keys.parquet"
    pl.read_parquet(path).head(-1).write_parquet(path)


def never_made(layout: Layout) -> None:
    shutil.rmtree(layout.embeddings("pebbles"))


def features_of_other_shards(layout: Layout) -> None:
    path = layout.features("pebbles") / "source.json"
    write_json(path, read_json(path) | {"domain_digest": "0" * 64})


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
