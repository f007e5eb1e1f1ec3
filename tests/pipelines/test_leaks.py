"""Leaks put into published shards, everything else made to fit: only decoding the shards can find them, and it does."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from made_domains import make_project
from PIL import Image

from pipelines.__main__ import main
from pipelines.files import read_json, write_json, write_text
from pipelines.layout import Layout
from pipelines.shards import Sample, ShardWriter, read_images
from pipelines.sums import SUMS, domain_digest, sums_of, sums_text, write_sums

ROLES = {"pebbles": "train", "shells": "held_out"}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path, prefect_server: str) -> Path:
    root = tmp_path_factory.mktemp("collected")
    make_project(root, ROLES)
    (root / "features").mkdir()
    shutil.copy(encoder_file, root / "features")
    for name in ROLES:
        assert [main([stage, name], root) for stage in ("download", "embed", "curate", "encode")] == [0, 0, 0, 0]
    assert main(["collect"], root) == 0
    return root


@pytest.fixture
def project(collected: Path, tmp_path: Path) -> Path:
    shutil.copytree(collected, tmp_path / "project")
    return tmp_path / "project"


def said(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(["check", *words], root)
    return status, capsys.readouterr().out


def pictures(folder: Path) -> dict[str, bytes]:
    index = pl.read_parquet(folder / "index.parquet")
    return dict(zip(index["key"], read_images(folder, index), strict=True))


def in_split(folder: Path, split: str, label: str = "class0") -> str:
    """The first key of a class in a split."""
    rows = pl.read_parquet(folder / "index.parquet").filter((pl.col("split") == split) & (pl.col("label") == label))
    return str(rows["key"].sort()[0])


def publish_again(layout: Layout, name: str, changed: dict[str, bytes], units: dict[str, str] | None = None) -> None:
    """Write a domain's shards with other pictures under these keys; index, sums, features and manifest are made to fit."""
    folder = layout.domain(name)
    data = pictures(folder) | changed
    rows = pl.read_parquet(folder / "index.parquet").to_dicts()
    ledger = pl.read_parquet(folder / "ledger.parquet")
    names = dict(ledger.select("key", "source_id").iter_rows())
    for shard in folder.glob("*.tar"):
        shard.unlink()
    with ShardWriter(folder, 2000) as writer:
        for row in rows:
            key, unit = row["key"], (units or {}).get(row["key"], row["unit"])
            suffix = "png" if data[key].startswith(b"\x89PNG") else "jpg"
            sample = Sample(key, row["label"], row["class"], row["split"], unit, names[key], suffix, data[key])
            writer.write([sample])
    writer.index().write_parquet(folder / "index.parquet")
    write_text(folder / SUMS, sums_text(sums_of(folder)))
    digest = domain_digest(folder)
    for made in (layout.features(name), layout.encoded(name)):
        write_json(made / "source.json", read_json(made / "source.json") | {"domain_digest": digest})
        write_sums(made)
    manifest = read_json(layout.manifest)
    manifest["domains"][name] |= {"digest": digest, "encoded_digest": domain_digest(layout.encoded(name))}
    write_json(layout.manifest, manifest)


def coded(data: bytes, **how: Any) -> bytes:
    """The same picture, coded again."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(out, **how)
    return out.getvalue()


COPIES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "bytes": (lambda data: data, "same bytes"),
    "pixels": (lambda data: coded(data, format="PNG", compress_level=1), "same pixels"),
    "near": (lambda data: coded(data, format="JPEG", quality=92, subsampling=0), "agreement "),
}


def test_an_undisturbed_collection_has_no_leak(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = said(project, capsys)
    assert status == 0
    assert "ok    copies in pebbles\nok    copies in shells\nok    copies between domains\n" in out
    status, out = said(project, capsys, "--quick")
    assert status == 0
    assert "copies" not in out
    assert not list((project / ".tessera").glob("leaks-*")), "thumbnails stayed on disk"


@pytest.mark.parametrize("kind", COPIES)
def test_a_train_image_in_the_test_split(project: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    layout = Layout(project)
    folder = layout.domain("pebbles")
    train, test = in_split(folder, "train"), in_split(folder, "test")
    change, word = COPIES[kind]
    publish_again(layout, "pebbles", {test: change(pictures(folder)[train])})
    assert said(project, capsys, "--quick")[0] == 0, "something else tells"
    status, out = said(project, capsys)
    assert status == 1
    pair = f"{train} (train) and {test} (test)" if train < test else f"{test} (test) and {train} (train)"
    (line,) = [line for line in out.splitlines() if line.startswith("BAD")]
    assert line.startswith(f"BAD   copies in pebbles: {pair} are copies ({word}")
    assert line.endswith(": a split parts them")


def test_copies_that_could_meet_in_an_episode(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(project)
    folder = layout.domain("pebbles")
    rows = pl.read_parquet(folder / "index.parquet").filter((pl.col("split") == "train") & (pl.col("label") == "class0"))
    one, other = rows["key"].sort().head(2)
    copy = {other: pictures(folder)[one]}
    publish_again(layout, "pebbles", copy)
    _, out = said(project, capsys)
    assert (
        f"BAD   copies in pebbles: {one} (train) and {other} (train) are copies (same bytes): they may meet as support" in out
    )
    publish_again(layout, "pebbles", copy, units={other: one})
    assert said(project, capsys)[0] == 0, "one unit never meets itself"


@pytest.mark.parametrize("kind", COPIES)
def test_a_held_out_image_in_a_train_domain(project: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    layout = Layout(project)
    ours, theirs = in_split(layout.domain("pebbles"), "train"), in_split(layout.domain("shells"), "train")
    change, _ = COPIES[kind]
    publish_again(layout, "pebbles", {ours: change(pictures(layout.domain("shells"))[theirs])})
    assert said(project, capsys, "--quick")[0] == 0
    status, out = said(project, capsys)
    assert status == 1
    assert (
        f"BAD   copies between domains: pebbles: {ours} occurs in the held-out domain shells as {theirs}, "
        "and is not kept out of training"
    ) in out
    manifest = read_json(layout.manifest)
    write_json(layout.manifest, manifest | {"exclusions": [{"domain": "pebbles", "key": ours}]})
    assert said(project, capsys)[0] == 0, "it is kept out of training"


def test_many_leaks_are_counted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(project)
    folder = layout.domain("pebbles")
    rows = pl.read_parquet(folder / "index.parquet").filter(pl.col("split") == "train")
    keys = rows["key"].sort().to_list()
    data = pictures(folder)
    publish_again(layout, "pebbles", {keys[place + 1]: data[keys[place]] for place in range(0, 18, 2)})
    _, out = said(project, capsys)
    bad = [line for line in out.splitlines() if line.startswith("BAD")]
    assert len(bad) == 6
    assert bad[-1] == "BAD   copies in pebbles: and 4 more"


def test_a_damaged_shard_is_a_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Layout(project).domain("pebbles")
    shard = folder / "train-000000.tar"
    shard.write_bytes(shard.read_bytes()[:3000])
    status, out = said(project, capsys)
    assert status == 1
    assert "train-000000.tar: differs from its checksum" in out
    assert "copies in pebbles" not in out, "what is damaged is not looked into"
