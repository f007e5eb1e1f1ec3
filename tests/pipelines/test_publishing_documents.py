"""The documents of curated domains, each read by what others use: datasets, webdataset, mlcroissant, polars, DuckDB."""

import io
import json
import logging
import subprocess
from pathlib import Path

import duckdb
import polars as pl
import pytest
import webdataset as wds
import yaml
from croissant_reader import mlcroissant
from curated import CLASSES, curated_project
from PIL import Image

from pipelines.check import check
from pipelines.files import sha256_file
from pipelines.layout import Layout
from pipelines.params import load_params
from pipelines.shards import INDEX_SCHEMA, read_images

DOMAINS = ("pebbles", "leaves")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path) -> Layout:
    return curated_project(tmp_path_factory.mktemp("project"), encoder_file)


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader asks anybody, and their caches are the test's."""
    import datasets.config
    import huggingface_hub.constants
    from etils import epath
    from mlcroissant._src.operation_graph.operations import extract

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(extract, "EXTRACT_PATH", epath.Path(tmp_path / "extracted"))


def index_of(layout: Layout, name: str) -> pl.DataFrame:
    return pl.read_parquet(layout.domain(name) / "index.parquet")


def front_of(readme: Path) -> dict:
    return yaml.safe_load(readme.read_text(encoding="utf-8").split("---\n")[1])


@pytest.mark.parametrize("name", DOMAINS)
def test_datasets_loads_a_domain_by_its_card(layout: Layout, tmp_path: Path, name: str) -> None:
    import datasets

    loaded = datasets.load_dataset(str(layout.domain(name)), cache_dir=str(tmp_path / "cache"))
    index = index_of(layout, name)
    assert list(loaded) == ["train", "validation", "test"]
    assert {split: part.num_rows for split, part in loaded.items()} == dict(index.group_by("split").len().iter_rows())
    classes = json.loads((layout.domain(name) / "classes.json").read_text())
    rows = {row["key"]: row for row in index.iter_rows(named=True)}
    images = dict(zip(index["key"], read_images(layout.domain(name), index), strict=True))
    for split, part in loaded.items():
        assert part.features["cls"].names == classes
        for sample in part:
            row = rows[sample["__key__"]]
            assert (sample["cls"], sample["json"]["label"], split) == (row["class"], row["label"], row["split"])
            found = sample.get("jpg") or sample["png"]
            assert found.tobytes() == Image.open(io.BytesIO(images[row["key"]])).tobytes()


def test_datasets_reads_shards_of_both_formats(layout: Layout, tmp_path: Path) -> None:
    """Inference from the first samples would refuse these."""
    import datasets

    part = datasets.load_dataset(str(layout.domain("leaves")), split="train", streaming=True)
    found = {name for sample in part for name in ("jpg", "png") if sample[name] is not None}
    assert found == {"jpg", "png"}
    assert sum(json.loads((layout.domain("leaves") / "stats.json").read_text())["formats"].values()) == 84


def test_datasets_misses_a_shard(layout: Layout, tmp_path: Path) -> None:
    """The counts in the card are verified."""
    import shutil

    import datasets
    from datasets.exceptions import DatasetsError

    folder = shutil.copytree(layout.domain("pebbles"), tmp_path / "pebbles")
    shutil.copy(folder / "test-000000.tar", folder / "train-000000.tar")
    with pytest.raises((ValueError, DatasetsError), match="train"):
        datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


def test_datasets_reads_the_shards_without_the_card(layout: Layout, tmp_path: Path) -> None:
    import datasets

    files = {"train": str(layout.domain("pebbles") / "train-*.tar")}
    loaded = datasets.load_dataset("webdataset", data_files=files, cache_dir=str(tmp_path / "cache"))["train"]
    index = index_of(layout, "pebbles").filter(pl.col("split") == "train")
    assert loaded["__key__"][:] == index["key"].to_list()
    assert loaded["cls"][:] == index["class"].to_list()


@pytest.mark.parametrize("name", DOMAINS)
def test_webdataset_reads_the_shards(layout: Layout, name: str) -> None:
    index = index_of(layout, name)
    shards = [str(layout.domain(name) / shard) for shard in index["shard"].unique(maintain_order=True)]
    found = list(wds.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert [(sample["__key__"], sample["cls"]) for sample in found] == list(index.select("key", "class").iter_rows())
    assert all((sample.get("jpg") or sample["png"]).mode == "RGB" for sample in found)


def test_polars_and_duckdb_read_the_tables(layout: Layout) -> None:
    folder = layout.domain("leaves")
    lazy = pl.scan_parquet(folder / "index.parquet").filter(pl.col("label") == "été").collect()
    assert lazy.height == 14
    index, ledger = (f"read_parquet('{folder / name}')" for name in ("index.parquet", "ledger.parquet"))
    query = f"""
        select l.label, count(*), sum(i.size)
        from {ledger} l join {index} i on i.key = l.key and i.split = l.split
        where l.verdict = 'kept' group by l.label order by l.label
    """
    rows = duckdb.sql(query).fetchall()
    expected = index_of(layout, "leaves").group_by("label").agg(pl.len(), pl.col("size").sum()).sort("label")
    assert rows == expected.rows()
    assert {label for label, _, _ in rows} == set(CLASSES)


def test_the_card_says_what_the_hub_wants(layout: Layout) -> None:
    front = front_of(layout.domain("leaves") / "README.md")
    assert (front["license"], front["pretty_name"]) == ("cc-by-nc-4.0", "Leaves: «été»")
    assert front["size_categories"] == ["n<1K"]
    assert front["configs"] == [
        {
            "config_name": "leaves",
            "data_files": [{"split": split, "path": f"{split}-*.tar"} for split in ("train", "validation", "test")],
        }
    ]
    text = (layout.domain("leaves") / "README.md").read_text(encoding="utf-8")
    assert "CC-BY-NC-4.0 (no commercial use)" in text


def croissants(layout: Layout) -> list[tuple[Path, tuple[str, ...]]]:
    return [*((layout.domain(name) / "croissant.json", (name,)) for name in DOMAINS), (layout.croissant, DOMAINS)]


def test_mlcroissant_validates_without_a_word(layout: Layout, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for path, _ in croissants(layout):
            found = mlcroissant.Dataset(path)
            assert found.metadata.ctx.issues.errors == found.metadata.ctx.issues.warnings == set()
            assert found.metadata.conforms_to == ["http://mlcommons.org/croissant/1.1"]
    assert caplog.records == []


def test_mlcroissant_would_say_what_is_missing(layout: Layout) -> None:
    """The validation above can fail."""
    described = json.loads(layout.croissant.read_text(encoding="utf-8"))
    del described["license"], described["datePublished"]
    warnings = mlcroissant.Dataset(described).metadata.ctx.issues.warnings
    assert len(warnings) == 2


def test_mlcroissant_reads_every_record(layout: Layout) -> None:
    for path, names in croissants(layout):
        dataset = mlcroissant.Dataset(path)
        for name in names:
            index = index_of(layout, name).sort("key")
            rows = sorted(dataset.records(f"{name}/index"), key=lambda row: row[f"{name}/index/key"])
            for column, kind in INDEX_SCHEMA.items():
                values = [row[f"{name}/index/{column}"] for row in rows]
                assert [value.decode() if kind is pl.String else value for value in values] == index[column].to_list()
            classes = json.loads((layout.domain(name) / "classes.json").read_text(encoding="utf-8"))
            found = [row[f"{name}/classes/name"] for row in dataset.records(f"{name}/classes")]
            assert found == classes
            splits = [row[f"{name}/splits/name"] for row in dataset.records(f"{name}/splits")]
            assert splits == ["train", "validation", "test"]


def test_mlcroissant_opens_the_pictures(layout: Layout) -> None:
    """One after the other from one cache, whose places must not be shared."""
    for path, names in croissants(layout):
        for name in names:
            index = index_of(layout, name)
            images = dict(zip(index["key"], read_images(layout.domain(name), index), strict=True))
            rows = {row["key"]: row for row in index.iter_rows(named=True)}
            seen = set()
            for record in mlcroissant.Dataset(path).records(f"{name}/images"):
                found = {field.rpartition("/")[2]: value for field, value in record.items()}
                row = rows[found["key"].decode()]
                seen.add(row["key"])
                assert (found["class"], found["label"].decode(), found["split"].decode()) == (
                    row["class"],
                    row["label"],
                    row["split"],
                )
                assert found["image"].tobytes() == Image.open(io.BytesIO(images[row["key"]])).tobytes()
            assert seen == set(rows)


def test_croissant_names_files_licence_and_date(layout: Layout) -> None:
    described = json.loads((layout.domain("pebbles") / "croissant.json").read_text(encoding="utf-8"))
    assert described["license"] == ["https://spdx.org/licenses/CC0-1.0.html"]
    assert (described["datePublished"], described["url"]) == ("2020", "https://example.org/pebbles")
    assert described["citeAs"] == "Somebody, Pebbles, 2020."
    files = [part for part in described["distribution"] if part["@type"] == "cr:FileObject"]
    names = [part["contentUrl"] for part in files]
    assert {f"../pebbles/{name}" for name in ("index.parquet", "ledger.parquet", "train-000000.tar")} <= set(names)
    assert "../pebbles/fingerprints.parquet" not in names
    for part in files:
        assert part["sha256"] == sha256_file(layout.domain("pebbles") / part["contentUrl"])
        assert part["contentSize"] == f"{(layout.domain('pebbles') / part['contentUrl']).stat().st_size} B"


def test_the_documents_are_the_same_again(layout: Layout, tmp_path: Path, encoder_file: Path) -> None:
    again = curated_project(tmp_path / "again", encoder_file)
    names = [path.relative_to(layout.cards) for path in layout.cards.rglob("*") if path.is_file()]
    assert len(names) > 20
    for name in names:
        assert (layout.cards / name).read_bytes() == (again.cards / name).read_bytes(), name


@pytest.mark.parametrize("name", DOMAINS)
def test_sha256sum_agrees(layout: Layout, name: str) -> None:
    folder = layout.domain(name)
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(list(folder.iterdir())) - 1


def test_check_holds_the_collections_croissant_against_the_manifest(layout: Layout) -> None:
    good = layout.croissant.read_bytes()
    assert dict(check(load_params(layout.params), layout))["collection"] == []
    for damage in (good[:99] + bytes([good[99] ^ 1]) + good[100:], None):
        layout.croissant.unlink()
        if damage is not None:
            layout.croissant.write_bytes(damage)
        assert "croissant.json: missing, or differs" in dict(check(load_params(layout.params), layout))["collection"][0]
    layout.croissant.write_bytes(good)
