"""A curated domain goes to an S3 remote and comes back: real DVC in a project of its own, a real S3 server on loopback."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from curated import curated_project
from object_store import ACCESS, SECRET, ObjectStore

from pipelines.check import check_domain
from pipelines.layout import Layout
from pipelines.overrides import lay_out

ROOT = Path(__file__).parents[2]
CONFIG = """[core]
    remote = store
['remote "store"']
    url = s3://bucket/tessera
    endpointurl = {}
"""


@pytest.fixture
def project(tmp_path: Path, encoder_file: Path) -> Path:
    """The code, its stages, and curated domains whose state DVC takes as it is."""
    root = tmp_path / "project"
    curated_project(root, encoder_file)
    for name in ("pipelines", "training"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    layout = Layout(root)
    (root / "by_hand").mkdir()
    shutil.copy(ROOT / "by_hand" / "all", root / "by_hand" / "all", follow_symlinks=False)
    lay_out(layout)
    return root


def dvc(project: Path, *words: str) -> str:
    """Run DVC in the project; returns what it printed."""
    command = [str(Path(sys.executable).with_name("dvc")), *words]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "PYTEST", "AWS_"))}
    given = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=kept | given)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def contents(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_a_curated_domain_goes_to_a_remote_and_comes_back(project: Path) -> None:
    layout = Layout(project)
    stages = [f"{stage}@pebbles" for stage in ("download", "embed", "curate")]
    folders = (layout.raw("pebbles"), layout.embeddings("pebbles"), layout.domain("pebbles"), layout.features("pebbles"))
    before = contents(*folders)
    with ObjectStore() as store:
        store.put("bucket", "marker", b"")
        dvc(project, "init", "--no-scm", "--quiet")
        (project / ".dvc" / "config.local").write_text(CONFIG.format(store.endpoint))
        dvc(project, "commit", "--force", *stages)
        dvc(project, "push", *stages)
        assert sum(asked.method == "PUT" for asked in store.asked) >= len(before)
        shutil.rmtree(project / ".dvc" / "cache")
        for folder in folders:
            shutil.rmtree(folder)
        assert check_domain("pebbles", layout) == [f"{layout.domain('pebbles')}: not curated yet"]
        dvc(project, "pull", *stages)
    assert contents(*folders) == before
    assert check_domain("pebbles", layout) == []
    assert "Running stage" not in dvc(project, "repro", "--dry", "--single-item", *stages)
