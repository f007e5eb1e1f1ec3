"""What DVC is shown of a training: the rows of the log, whole after a cut, and nothing else is touched."""

import json
import socket
from pathlib import Path

import pytest
from dulwich import porcelain
from dvc.repo import Repo
from test_checkpoints import Cut
from test_train import SETTINGS, domain

from pipelines.layout import Layout
from training.checkpoints import remove
from training.live import dvc_live
from training.log import COLUMNS
from training.train import train
from training.validation import validation_episodes

DOMAINS = [domain("a", 0), domain("b", 1)]
SETTINGS_HERE = SETTINGS.model_copy(update={"checkpoint_every": 5})


def trained(layout: Layout, cut: int | None = None) -> None:
    """Train as the stage does, up to the row of step `cut`."""

    def progress(step: int, steps: int, row: object) -> None:
        if step == cut:
            raise Cut

    with dvc_live(layout) as show:
        train(
            DOMAINS,
            SETTINGS_HERE,
            steps=12,
            seed=0,
            log_path=layout.training_log,
            checkpoint_path=layout.checkpoint,
            validation=validation_episodes(DOMAINS, SETTINGS_HERE),
            progress=progress,
            shows=[show],
        )
    remove(layout.checkpoint)


def written(layout: Layout) -> dict[str, str]:
    return {str(path.relative_to(layout.live)): path.read_text() for path in sorted(layout.live.rglob("*")) if path.is_file()}


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A committed git project with DVC, from which nothing may be sent."""

    def refuse(*given: object) -> None:
        raise AssertionError(f"something was to be sent: {given[1:]}")

    for name in ("DVC_STUDIO_TOKEN", "DVC_ROOT", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    porcelain.init(root)
    Repo.init(str(root)).close()
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / ".gitignore").write_text("/models/\n/reports/\n")
    porcelain.add(root)
    porcelain.commit(root, b"all", author=b"a <a@a>", committer=b"a <a@a>")
    return Layout(root)


def test_dvc_is_shown_each_row_and_a_cut_leaves_no_trace(layout: Layout) -> None:
    trained(layout)
    whole, log = written(layout), layout.training_log.read_text().splitlines()
    assert set(whole) == {"metrics.json"} | {
        f"plots/metrics/{name}.tsv"
        for name in ("loss", "accuracy", "validation_accuracy", "learning_rate", "validation/a", "validation/b")
    }
    loss = [line.split("\t") for line in whole["plots/metrics/loss.tsv"].splitlines()]
    assert [row[0] for row in loss] == ["step", *map(str, range(1, 13))]
    assert [float(row[1]) for row in loss[1:]] == pytest.approx([float(line.split(",")[1]) for line in log[1:]], rel=1e-5)
    metrics, last = json.loads(whole["metrics.json"]), dict(zip(COLUMNS, log[-1].split(","), strict=True))
    assert metrics["step"] == 12
    assert metrics["validation_accuracy"] == pytest.approx(float(last["validation_accuracy"]), rel=1e-5)
    assert set(metrics["validation"]) == {"a", "b"}
    with pytest.raises(Cut):
        trained(layout, 8)
    assert len(written(layout)["plots/metrics/loss.tsv"].splitlines()) == 1 + 8
    trained(layout)
    assert written(layout) == whole


def test_git_and_dvc_are_left_as_they_are(layout: Layout) -> None:
    def state() -> tuple[object, ...]:
        found = porcelain.status(layout.root)
        refs = sorted(porcelain.for_each_ref(layout.root))
        return refs, found.staged, found.unstaged, found.untracked, (layout.root / "dvc.yaml").read_text()

    before = state()
    with dvc_live(layout) as show:
        show(1, {"loss": 1.0})
    assert state() == before
    assert sorted(written(layout)) == ["metrics.json", "plots/metrics/loss.tsv"]


def test_a_project_without_dvc_gets_none(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    (layout.root / ".dvc").rename(layout.root.parent / "elsewhere")
    with dvc_live(layout) as show:
        show(1, {"loss": 1.0})
    assert not layout.live.exists()
    assert not (layout.root / ".dvc").exists()


def test_a_repository_without_a_commit_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("DVC_STUDIO_TOKEN", "DVC_ROOT", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    porcelain.init(str(tmp_path))
    Repo.init(str(tmp_path)).close()
    monkeypatch.chdir(tmp_path)  # DVCLive looks for the repository around it
    with pytest.raises(ValueError, match=r"^DVC cannot log the training \(.*\); say `git add"), dvc_live(Layout(tmp_path)):
        pass
