"""Publishing to a folder: what it holds, who may read it, and everything that is refused before a byte is written."""

import shutil
import subprocess
from pathlib import Path

import duckdb
import polars as pl
import pytest
import webdataset as wds
import yaml
from croissant_reader import mlcroissant
from curated import curated_project, make_domain
from made_domains import write_card, write_params

from pipelines.__main__ import main
from pipelines.layout import Layout
from pipelines.sums import write_sums

ROLES = {"pebbles": "train", "leaves": "held_out"}
DOCUMENTS = {"README.md", "LICENSE.md", "croissant.json", "SHA256SUMS"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path) -> Path:
    root = tmp_path_factory.mktemp("made")
    curated_project(root, encoder_file)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(made, tmp_path / "project")


def publish(root: Path, *words: str) -> int:
    return main(["publish", *words], root)


def published(root: Path, *words: str) -> Path:
    assert publish(root, str(root / "out"), "--push", *words) == 0
    return root / "out"


def refused(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a command that ends with 2 and writes nothing."""
    before = {path: path.is_file() and path.read_bytes() for path in root.rglob("*")}
    capsys.readouterr()
    assert publish(root, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert {path: path.is_file() and path.read_bytes() for path in root.rglob("*")} == before
    return line


def test_a_dry_run_says_it_all_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(root, str(root / "out")) == 0
    told = capsys.readouterr().out
    assert not (root / "out").exists()
    assert "leaves         CC-BY-NC-4.0  84      6" in told
    assert "note: leaves: CC-BY-NC-4.0: no commercial use" in told
    assert f"to {root / 'out'}; --push does it" in told
    files = {line.split()[-1] for line in told.splitlines() if line.startswith("  ")}
    assert files == {path.relative_to(root / "out").as_posix() for path in published(root).rglob("*") if path.is_file()}


def test_a_publication_holds_the_domains_and_the_documents(root: Path) -> None:
    out = published(root)
    assert {path.name for path in out.iterdir()} == DOCUMENTS | set(ROLES)
    for name in ROLES:
        source = Layout(root).domain(name)
        expected = {path.name for path in source.iterdir()} - {"SHA256SUMS", "fingerprints.parquet"}
        assert {path.name for path in (out / name).iterdir()} == expected
        assert all((out / name / file).read_bytes() == (source / file).read_bytes() for file in expected)
    text = (out / "LICENSE.md").read_text(encoding="utf-8")
    assert "`pebbles/`: CC0-1.0\n  Made pebbles. Somebody, Pebbles, 2020.\n  <https://example.org/pebbles>" in text
    assert "`leaves/`: CC-BY-NC-4.0 (no commercial use)\n  Leaves: «été»." in text


def test_sha256sum_agrees(root: Path) -> None:
    out = published(root)
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == sum(path.is_file() for path in out.rglob("*")) - 1


def test_each_reader_reads_it(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    out = published(root)
    assert datasets.get_dataset_config_names(str(out)) == ["pebbles", "leaves"]
    described = mlcroissant.Dataset(out / "croissant.json")
    assert not described.metadata.ctx.issues.errors
    assert not described.metadata.ctx.issues.warnings
    for name in ROLES:
        index = pl.read_parquet(out / name / "index.parquet")
        loaded = datasets.load_dataset(str(out), name, cache_dir=str(tmp_path / "cache"))
        assert {split: part["__key__"][:] for split, part in loaded.items()} == {
            split: index.filter(pl.col("split") == split)["key"].to_list() for split in ("train", "validation", "test")
        }
        shards = sorted(str(path) for path in (out / name).glob("*.tar"))
        keys = [sample["__key__"] for sample in wds.WebDataset(shards, shardshuffle=False)]
        assert sorted(keys) == sorted(index["key"])
        records = [record[f"{name}/index/key"].decode() for record in described.records(f"{name}/index")]
        assert records == index["key"].to_list()
    rows = duckdb.sql(f"select count(*) from read_parquet('{out}/*/ledger.parquet') where verdict = 'kept'").fetchall()
    assert rows == [(168,)]


def test_some_domains_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = published(root, "--domains", "leaves")
    assert "publishing 1 domain, " in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == DOCUMENTS | {"leaves"}
    front = yaml.safe_load((out / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert (front["license"], front["pretty_name"]) == ("cc-by-nc-4.0", "Leaves: «été»")
    assert [config["config_name"] for config in front["configs"]] == ["leaves"]


def test_the_next_publication_takes_the_place_of_the_last(root: Path) -> None:
    first = {path: path.read_bytes() for path in published(root).rglob("*") if path.is_file()}
    assert {path: path.read_bytes() for path in published(root).rglob("*") if path.is_file()} == first
    out = published(root, "--domains", "pebbles")
    assert not (out / "leaves").exists()
    assert not list(root.glob(".out*"))


def test_what_others_wrote_stays(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = root / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    assert "thesis.tex, which no publication wrote" in refused(root, capsys, str(out), "--push")
    (out / "thesis.tex").unlink()
    published(root)
    (out / "pebbles" / "notes.txt").write_text("mine")
    assert "pebbles/notes.txt, which no publication wrote" in refused(root, capsys, str(out), "--push")
    (root / "file").write_text("x")
    assert "expected a folder, found a file" in refused(root, capsys, str(root / "file"), "--push")
    assert "which the stages own" in refused(root, capsys, str(root / "collections" / "new"), "--push")
    assert "which no publication wrote" in refused(root, capsys, str(root), "--push")


def test_a_full_disk_leaves_the_former_one(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out")

    published(root, "--domains", "pebbles")
    monkeypatch.setattr(shutil, "copyfile", full)
    before = {path: path.stat().st_mtime_ns for path in (root / "out").rglob("*")}
    assert publish(root, str(root / "out"), "--push") == 2
    assert "the disk is full" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (root / "out").rglob("*")} == before
    assert not list(root.glob(".out*"))


def relicense(root: Path, encoder_file: Path, licence: str) -> None:
    """Give `leaves` another licence, and curate it so."""
    write_card(root, "leaves", licence=licence)
    make_domain(Layout(root), "leaves", [f"class{number}" for number in range(6)], jpegs=False, offset=10)


@pytest.mark.parametrize(
    ("licence", "accepted"),
    [
        ("unknown", "unknown"),
        ("LicenseRef-ImageNet", "LicenseRef-ImageNet"),
        ("MIT AND LicenseRef-BaKoMa", "LicenseRef-BaKoMa"),
        ("MIT AND LicenseRef-BaKoMa", "MIT AND LicenseRef-BaKoMa"),
    ],
)
def test_a_licence_that_nobody_read(
    root: Path, encoder_file: Path, capsys: pytest.CaptureFixture[str], licence: str, accepted: str
) -> None:
    relicense(root, encoder_file, licence)
    line = refused(root, capsys, str(root / "out"))
    assert f"not to be passed on: leaves (licence {licence})" in line
    assert "--accept-licence" in line
    assert publish(root, str(root / "out"), "--domains", "pebbles") == 0
    out = published(root, "--accept-licence", accepted)
    front = yaml.safe_load((out / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    if licence == "unknown":
        assert front["license"] == ["cc0-1.0", "unknown"]
    else:
        assert (front["license"], front["license_name"], front["license_link"]) == ("other", "one-a-domain", "LICENSE.md")
    assert f"`leaves/`: {licence}" in (out / "LICENSE.md").read_text(encoding="utf-8")
    described = mlcroissant.Dataset(out / "croissant.json").metadata.ctx.issues
    assert (described.errors, described.warnings) == (set(), set())


def test_allow_licences_cannot_be_overruled(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = yaml.safe_load((root / "params.yaml").read_text()) | {"allow_licences": ["CC0-1.0"]}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    words = ("--accept-licence", "CC-BY-NC-4.0")
    assert "leaves (CC-BY-NC-4.0 is not in allow_licences)" in refused(root, capsys, str(root / "out"), *words)


def test_mistakes_in_words(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(root / "out")
    assert "'sand' is not listed; listed are pebbles, leaves" in refused(root, capsys, out, "--domains", "sand")
    assert "--accept-licence MIT: none of these domains has it" in refused(root, capsys, out, "--accept-licence", "mit")
    assert "--accept-licence: expected an SPDX expression" in refused(root, capsys, out, "--accept-licence", "whatever it is")
    assert "--private: " in refused(root, capsys, out, "--private")


def test_what_is_not_as_checked_is_not_published(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, out = Layout(root), str(root / "out")

    def line() -> str:
        found = refused(root, capsys, out, "--push")
        assert "domain leaves: " in found
        assert "nothing is published until `dvc repro` has mended it" in found
        return found

    shard = layout.domain("leaves") / "test-000000.tar"
    good = shard.read_bytes()
    shard.write_bytes(good[:700] + bytes([good[700] ^ 1]) + good[701:])
    assert "test-000000.tar: differs from its checksum" in line()
    shard.write_bytes(good)
    write_card(root, "leaves", title="Leaves: «été»", licence="CC-BY-NC-SA-4.0", domain="plants")
    assert "leaves.yaml was changed since it was curated" in line()
    write_card(root, "leaves", title="Leaves: «été»", licence="CC-BY-NC-4.0", domain="plants")
    key = pl.read_parquet(layout.domain("leaves") / "index.parquet")["key"][0]
    layout.overrides("leaves").write_text(f"drop: {{{key}: {{reason: blurred}}}}\n")
    assert "leaves.overrides.yaml" in line()
    layout.overrides("leaves").unlink()
    about = layout.raw("leaves") / "source.json"
    about.write_text(about.read_text().replace("leaves.zip", "other.zip"))
    write_sums(layout.raw("leaves"))
    assert "holds other records than it was curated from" in line()
    about.write_text(about.read_text().replace("other.zip", "leaves.zip"))
    write_sums(layout.raw("leaves"))
    shutil.rmtree(layout.domain("leaves"))
    assert "not curated yet" in line()


def test_other_settings_of_curation_are_noticed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(root, ROLES, curation={"min_per_class": 6})
    assert "was changed since it was curated" in refused(root, capsys, str(root / "out"))


def test_a_path_of_this_machine_is_noted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_card(root, "leaves", source={"kind": "archive", "locator": "/srv/pictures/leaves.zip"})
    make_domain(Layout(root), "leaves", [f"class{number}" for number in range(6)], jpegs=False, offset=10)
    assert publish(root, str(root / "out")) == 0
    assert "note: leaves: its provenance.json names a path of this machine, /srv/pictures/leaves.zip" in capsys.readouterr().out
