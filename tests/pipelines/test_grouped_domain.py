"""A card with a group rule through the whole of curation: the ledger, the index, the statistics, the stage's line, refusals."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from made_domains import make_project, write_card

from pipelines.__main__ import main


@pytest.fixture
def project(tmp_path: Path, encoder_file: Path) -> Path:
    make_project(tmp_path, {"pebbles": "train", "shells": "held_out"})
    (tmp_path / "features").mkdir()
    shutil.copy(encoder_file, tmp_path / "features")
    return tmp_path


@pytest.mark.usefixtures("prefect_server")
def test_groups_by_pattern(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_card(project, "pebbles", group={"pattern": r"/0(\d)[0-9]\.png"})  # the tens, over all classes: two groups
    assert [main([stage, "pebbles"], project) for stage in ("download", "embed", "curate")] == [0, 0, 0]
    assert "84 records: 84 kept; 6 classes; 2 groups" in capsys.readouterr().out
    folder = project / "collections" / "pebbles"
    index = pl.read_parquet(folder / "index.parquet")
    assert index["unit"].n_unique() == 2
    assert index.group_by("unit").agg(pl.col("split").n_unique())["split"].max() == 1
    stats = json.loads((folder / "stats.json").read_text())
    found = {name: stats[name] for name in ("groups", "ungrouped", "units", "largest_unit", "split_by")}
    assert found == {"groups": 2, "ungrouped": 0, "units": 2, "largest_unit": 60, "split_by": "image"}
    assert main(["check"], project) == 1  # nothing is collected
    assert "ok    pebbles" in capsys.readouterr().out

    write_card(project, "pebbles", group={"pattern": r"class0/(00)"})
    assert main(["curate", "pebbles"], project) == 0
    assert "1 groups (74 records in none)" in capsys.readouterr().out

    before = (folder / "SHA256SUMS").read_bytes()
    write_card(project, "pebbles", group={"pattern": "(film)"})
    assert main(["curate", "pebbles"], project) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "domain pebbles: group.pattern: '(film)' is found in none of 84 source_ids" in line
    assert (folder / "SHA256SUMS").read_bytes() == before, "what was there did not stay"


@pytest.mark.usefixtures("prefect_server")
def test_a_column_named_after_the_fetch_is_missed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [main([stage, "pebbles"], project) for stage in ("download", "embed")] == [0, 0]
    source = {"kind": "archive", "locator": "pebbles.zip", "label": {"group_column": "film"}}
    write_card(project, "pebbles", source=source)
    assert main(["curate", "pebbles"], project) == 2
    assert "column 'film' is empty for all 84 records; mend the card, or run `dvc repro`" in capsys.readouterr().err
