"""What DVC shows of two collections: a short table, and pictures that hold every row; with the project's own dvc.yaml."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from made_project import GAINS, LOSSES, make_project

from training.report import write_report
from training.report.at_a_glance import headline, tables

ROOT = Path(__file__).parents[2]
HALF = {"learner": {"mean": 0.5, "low": 0.4, "high": 0.6}}
ALONE = {"held_out": {"a": {"5_shot": HALF}, "mean": {"5_shot": HALF}}, "removal": {}, "replacement": {}, "swap_cost": {}}


def commit(root: Path, *words: str) -> None:
    for command in (["git", "add", "-A"], ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", *words]):
        subprocess.run(command, cwd=root, check=True)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A committed project whose report stage is the real one but for its command; the workspace has lost the spare."""
    root = tmp_path_factory.mktemp("glance") / "project"
    layout = make_project(root)
    write_report(layout)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".dvc" / "plots").mkdir(parents=True)
    for name in (".dvc/config", ".dvc/plots/intervals.json"):
        shutil.copy(ROOT / name, root / name)
    asked = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    report = {name: value for name, value in asked["stages"]["report"].items() if name in ("outs", "metrics")}
    pictures = [plot for plot in asked["plots"] if next(iter(plot.values())).get("template") == "intervals"]
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"report": {"cmd": "true", **report}}, "plots": pictures}))
    (root / ".gitignore").write_text("/.tessera/\n/raw/\n/collections/\n/models/\n/reports/\n")
    subprocess.run([sys.executable, "-m", "dvc", "commit", "-q", "-f"], cwd=root, check=True)
    commit(root, "one")
    numbers = json.loads((layout.reports / "metrics.json").read_text())
    numbers["held_out"]["digits"]["5_shot"]["learner"]["mean"] += 0.02
    numbers["replacement"] = {}
    (layout.reports / "summary.json").write_text(json.dumps(headline(numbers)))
    return Repo(str(root))


def test_the_table_is_short_and_in_per_cent(repo: Repo) -> None:
    found = repo.metrics.diff(a_rev="HEAD", b_rev="workspace")["diff"]["reports/summary.json"]
    assert found["accuracy.5_shot.digits"]["diff"] == pytest.approx(2.0, abs=0.011)
    assert set(found) == {"accuracy.5_shot.digits", *(f"won_by_swap.{name}.fractals" for name in GAINS)}
    shown = json.loads((Path(repo.root_dir) / "reports" / "summary.json").read_text())
    assert shown["lost_without"] == pytest.approx({name: 100 * loss for name, loss in LOSSES.items()}, abs=0.01)


def test_the_pictures_hold_every_row(repo: Repo) -> None:
    specs = {plot: _spec(repo, plot) for plot in ("held-out accuracy", "lost without a domain")}
    rows: dict[str, list[dict[str, Any]]] = {name: spec["data"]["values"] for name, spec in specs.items()}
    assert {row["domain"] for row in rows["lost without a domain"]} == set(LOSSES)
    assert len(rows["held-out accuracy"]) == 2 * 3 * 2  # revisions, held-out domains and their mean, shots
    assert all(float(row["low"]) <= float(row["mean"]) <= float(row["high"]) for each in rows.values() for row in each)
    assert all("<DVC_METRIC" not in json.dumps(spec) for spec in specs.values())


def _spec(repo: Repo, plot: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "dvc", "plots", "diff", "HEAD", "workspace", "--show-vega", "--targets", plot]
    done = subprocess.run(command, cwd=repo.root_dir, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_was_not_measured_is_left_out() -> None:
    assert headline(ALONE) == {"accuracy": {"5_shot": {"a": 50.0, "mean": 50.0}}}
    assert tables(ALONE)["learner"][1] == [("a, 5-shot", 50.0, 40.0, 60.0), ("mean, 5-shot", 50.0, 40.0, 60.0)]
    assert tables(ALONE)["lost"][1] == tables(ALONE)["won"][1] == []
