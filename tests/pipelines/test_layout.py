"""A copy of a project below .dvc/tmp/exps shares what the machine has of the project; its own files are its own."""

import subprocess
from pathlib import Path

import pytest

from pipelines.layout import Layout

ROOT = Path(__file__).parents[2]
COPIES = [".dvc/tmp/exps/tmpabc", ".dvc/tmp/exps/standalone/tmpabc"]


@pytest.mark.parametrize("copy", COPIES)
def test_copies_for_experiments_share_trainings_server_and_downloads(
    copy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / copy).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / copy)  # as every stage has it: the root is where it runs
    here, project = Layout(), Layout(tmp_path)
    assert (here.shared, here.trainings, here.downloads("a")) == (project.state, project.trainings, project.downloads("a"))
    assert here.state == Path(".tessera")  # times of stages are a copy's own


def test_a_project_shares_nothing_with_what_is_above_it(tmp_path: Path) -> None:
    for name in ("project", ".dvc/project", "exps/project", ".dvc/tmp/exps"):
        layout = Layout(tmp_path / name)
        assert layout.shared == layout.state


@pytest.mark.parametrize("copy", [".", *COPIES])
def test_a_copy_runs_in_the_environment_of_the_project(copy: str, tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$0: $*"\n')
    python.chmod(0o755)
    (tmp_path / copy).mkdir(parents=True, exist_ok=True)
    command = ["sh", str(ROOT / "pipelines" / "python.sh"), "-m", "training", "train"]
    said = subprocess.run(command, cwd=tmp_path / copy, capture_output=True, text=True, check=True)
    assert said.stdout == f"{python}: -m training train\n"
