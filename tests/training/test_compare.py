"""Two collections beside each other."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_project import make_project

from pipelines.layout import Layout
from training.__main__ import main
from training.report import write_report
from training.report.compare import Change, Side, accuracy_changes, company_changes, kept_changes, read_side, worth_changes


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = make_project(tmp_path_factory.mktemp("compared"))
    write_report(made)
    return made


def changed(layout: Layout, folder: Path) -> Path:
    """The metrics of a collection without glyphs, whose learner is two points better on digits and not measured on flags."""
    metrics = json.loads((layout.reports / "metrics.json").read_text())
    del metrics["removal"]["glyphs"], metrics["held_out"]["flags"]
    for end in ("mean", "low", "high"):
        metrics["held_out"]["digits"]["5_shot"]["learner"][end] += 0.02
    metrics["curation"]["shapes"]["kept"] += 3
    path = folder / "other.json"
    path.write_text(json.dumps(metrics))
    return path


def test_differences_are_second_less_first(layout: Layout, tmp_path: Path) -> None:
    first, second = read_side("workspace", layout), read_side(str(changed(layout, tmp_path)), layout)
    by_name = {change.what: change for change in accuracy_changes(first, second)["5_shot"]}
    assert list(by_name)[-1] == "mean"
    less = by_name["digits"].less
    assert less is not None
    assert less["mean"] == pytest.approx(0.02)
    assert less["low"] < 0.02 < less["high"]
    assert by_name["flags"].less is None
    assert ("trained on", ["glyphs"], []) in company_changes(first, second)
    assert [change.what for change in worth_changes(first, second)] == ["glyphs", "shapes", "textures"]
    ((name, was, now),) = kept_changes(first, second)
    assert (name, now) == ("shapes", (was or 0) + 3)


def test_the_interval_of_a_difference_is_that_of_independent_runs() -> None:
    change = Change("x", {"mean": 0.5, "low": 0.47, "high": 0.53}, {"mean": 0.6, "low": 0.56, "high": 0.64})
    less = change.less
    assert less is not None
    assert (less["low"], less["high"]) == (pytest.approx(0.05), pytest.approx(0.15))
    assert change.sure


def test_a_collection_beside_itself_differs_in_nothing(layout: Layout) -> None:
    same = read_side("workspace", layout)
    changes = [change for rows in accuracy_changes(same, same).values() for change in rows]
    assert all(change.less and change.less["mean"] == 0 and not change.sure for change in changes)
    assert all(not gone and not come for _, gone, come in company_changes(same, same))


def test_the_command_writes_a_page_and_says_what_changed(
    layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = changed(layout, tmp_path)
    assert main(["report", "--compare", str(layout.root), str(other)], layout.root) == 0
    told = capsys.readouterr().out
    assert "trained on: - glyphs" in told
    assert "+2.0" in told
    page = (layout.reports / "compare.html").read_text()
    assert "What changed" in page
    assert "+2.0" in page


def test_revisions_are_read_from_the_cache_of_dvc(layout: Layout, tmp_path: Path) -> None:
    for words in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(words, cwd=tmp_path, check=True)
    (tmp_path / "reports").mkdir()
    shutil.copy(layout.reports / "metrics.json", tmp_path / "reports" / "metrics.json")
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", "reports/metrics.json"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *who, "commit", "-qm", "one"], cwd=tmp_path, check=True)
    assert read_side("HEAD", Layout(tmp_path)).metrics == read_side("workspace", layout).metrics


@pytest.mark.parametrize("name", ["nowhere", "metrics"])
def test_what_has_no_metrics_is_told_in_a_line(
    layout: Layout, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics").write_text("[1]")
    assert main(["report", "--compare", "workspace", str(tmp_path / name)], layout.root) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "--compare" in told.err


def test_sides_know_their_domains(layout: Layout) -> None:
    side: Side = read_side("workspace", layout)
    assert side.domains("train") == ["glyphs", "shapes", "textures"]
    assert side.domains("spare") == ["fractals"]
    assert side.domains("held_out") == ["digits", "flags"]
