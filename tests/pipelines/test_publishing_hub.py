"""Publishing to the Hub: a real server on loopback takes one commit, and readers load what it then serves."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from curated import curated_project
from hub_writer import WritableHub

from pipelines.layout import Layout
from pipelines.sums import parse_sums

ROOT = Path(__file__).parents[2]
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"
NAME = "user/stones"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path) -> Layout:
    return curated_project(tmp_path_factory.mktemp("project"), encoder_file)


@pytest.fixture
def hub() -> Iterator[WritableHub]:
    with WritableHub(TOKEN) as running:
        yield running


def call(hub: WritableHub, folder: Path, *words: str, token: str = TOKEN, home: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, for the hub's client takes its address from the environment at import."""
    gone = ("HF_", "HUGGING", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(gone)}
    given = {"HF_ENDPOINT": hub.url, "HOME": str(home), "PYTHONPATH": str(ROOT)} | ({"HF_TOKEN": token} if token else {})
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False, env=kept | given)


def publish(
    hub: WritableHub, layout: Layout, tmp_path: Path, *words: str, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    return call(hub, layout.root, "-m", "pipelines", "publish", f"hub:{NAME}", *words, token=token, home=tmp_path)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that ended with 2, without the token."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert TOKEN not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_dry_run_asks_nobody(hub: WritableHub, layout: Layout, tmp_path: Path) -> None:
    done = publish(hub, layout, tmp_path, token="")
    assert done.returncode == 0, done.stderr
    assert f"to hub:{NAME}; --push does it" in done.stdout
    assert hub.requests == []


@pytest.fixture(scope="module")
def pushed(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WritableHub, str]]:
    """A hub that was published to once, and what the command printed."""
    with WritableHub(TOKEN) as hub:
        done = publish(hub, layout, tmp_path_factory.mktemp("home"), "--push")
        assert done.returncode == 0, done.stderr
        yield hub, done.stdout + done.stderr


def test_one_commit_holds_it_all(pushed: tuple[WritableHub, str], layout: Layout) -> None:
    hub, printed = pushed
    assert f"published at {hub.url}/datasets/{NAME}/commit/" in printed
    assert TOKEN not in printed
    files = hub.files(NAME)
    assert hub.messages == ["Publish pebbles, leaves"]
    assert set(parse_sums(files["SHA256SUMS"].decode())) | {"SHA256SUMS", ".gitattributes"} == set(files)
    for name in ("pebbles", "leaves"):
        for path in layout.domain(name).iterdir():
            if path.name not in ("SHA256SUMS", "fingerprints.parquet"):
                assert files[f"{name}/{path.name}"] == path.read_bytes()
    assert len(hub.uploads) == len(set(hub.uploads)) > 5, "large files are not sent inside the commit"
    assert hub.repos[NAME].token is None


def test_datasets_loads_it_from_the_hub(pushed: tuple[WritableHub, str], layout: Layout, tmp_path: Path) -> None:
    hub = pushed[0]
    code = f"""
import datasets, json
found = datasets.load_dataset("{NAME}", "leaves")
print(json.dumps([datasets.get_dataset_config_names("{NAME}"), {{k: v["__key__"][:] for k, v in found.items()}},
                  found["train"].features["cls"].names]))
"""
    done = call(hub, tmp_path, "-c", code, home=tmp_path, token="")
    assert done.returncode == 0, done.stderr
    configs, keys, names = json.loads(done.stdout.splitlines()[-1])
    assert configs == ["pebbles", "leaves"]
    index = pl.read_parquet(layout.domain("leaves") / "index.parquet")
    assert keys == {split: index.filter(pl.col("split") == split)["key"].to_list() for split in ("train", "validation", "test")}
    assert names == json.loads((layout.domain("leaves") / "classes.json").read_text(encoding="utf-8"))


def test_mlcroissant_reads_it_by_its_address(pushed: tuple[WritableHub, str], layout: Layout, tmp_path: Path) -> None:
    hub = pushed[0]
    code = f"""
import mlcroissant
found = mlcroissant.Dataset("{hub.url}/datasets/{NAME}/resolve/main/croissant.json")
assert not found.metadata.ctx.issues.errors and not found.metadata.ctx.issues.warnings
assert found.metadata.url == "{hub.url}/datasets/{NAME}"
print(sorted(record["leaves/images/key"].decode() for record in found.records("leaves/images")
             if record["leaves/images/image"].size == (40, 40)))
"""
    done = call(hub, tmp_path, "-c", code, home=tmp_path, token="")
    assert done.returncode == 0, done.stderr
    index = pl.read_parquet(layout.domain("leaves") / "index.parquet")
    assert done.stdout.splitlines()[-1] == str(sorted(index["key"]))


def test_the_next_publication_takes_the_place_of_the_last(hub: WritableHub, layout: Layout, tmp_path: Path) -> None:
    assert publish(hub, layout, tmp_path, "--push").returncode == 0
    sent = list(hub.uploads)
    assert publish(hub, layout, tmp_path, "--push").returncode == 0
    assert hub.uploads == sent
    assert len(hub.messages) == 1, "nothing changed, yet a commit was made"
    assert publish(hub, layout, tmp_path, "--domains", "pebbles", "--push").returncode == 0
    assert {path.partition("/")[0] for path in hub.files(NAME)} == {
        ".gitattributes",
        "LICENSE.md",
        "README.md",
        "SHA256SUMS",
        "croissant.json",
        "pebbles",
    }
    assert len(hub.uploads) == len(set(hub.uploads)), "what the hub has was sent again"


def test_a_private_one(hub: WritableHub, layout: Layout, tmp_path: Path) -> None:
    assert publish(hub, layout, tmp_path, "--push", "--private").returncode == 0
    assert hub.repos[NAME].token == TOKEN


def test_files_of_others_stay(hub: WritableHub, layout: Layout, tmp_path: Path) -> None:
    before = hub.commit(NAME, {".gitattributes": b"", "README.md": b"mine", "data/birds.parquet": b"mine"})
    line = refused(publish(hub, layout, tmp_path, "--push"))
    assert f"hub:{NAME}: holds data/birds.parquet, which no publication wrote" in line
    assert hub.repos[NAME].branches["main"] == before


@pytest.mark.parametrize(
    ("token", "refuse", "words"),
    [
        ("", "", "no token; set HF_TOKEN"),
        ("hf_another-token-of-nobody", "", "the hub answers 401; check HF_TOKEN"),
        (TOKEN, "create", "the hub answers 403; it refuses access, check HF_TOKEN"),
        (TOKEN, "json", "what answers is not the Hub"),
        (TOKEN, "batch", "the hub answers 403"),
        (TOKEN, "upload", "the hub answers 403"),
        (TOKEN, "commit", "the hub answers 403"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: WritableHub, layout: Layout, tmp_path: Path, token: str, refuse: str, words: str
) -> None:
    hub.refuse = {refuse}
    assert words in refused(publish(hub, layout, tmp_path, "--push", token=token))
    assert hub.messages == []
    if refuse in ("upload", "commit"):
        hub.refuse = set()
        assert publish(hub, layout, tmp_path, "--push").returncode == 0, "the next run is not fine"


@pytest.mark.parametrize("name", ["hub:", "hub:stones", "hub:a/b/c", "hub:../x", "hf://user/x", "https://example.org/x"])
def test_what_is_no_target(hub: WritableHub, layout: Layout, tmp_path: Path, name: str) -> None:
    done = call(hub, layout.root, "-m", "pipelines", "publish", name, home=tmp_path)
    assert "hub:OWNER/NAME" in refused(done)
