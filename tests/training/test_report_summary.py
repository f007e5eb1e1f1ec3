"""The table that ends a run on the terminal."""

import pytest
from made_project import make_project

from pipelines.layout import Layout
from training.report import terminal_summary, write_report
from training.report.stage_times import last_run, read_stages, swap_seconds


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = make_project(tmp_path_factory.mktemp("project"))
    write_report(made)
    return made


def test_the_summary_is_a_narrow_table(layout: Layout) -> None:
    lines = terminal_summary(layout).splitlines()
    assert max(len(line) for line in lines if not line.startswith("report:")) <= 100
    text = "\n".join(lines)
    assert text.index("5-shot") < text.index("1-shot") < text.index("stage")
    assert [line.split()[0] for line in lines[2:5]] == ["digits", "flags", "mean"]
    assert lines[-1] == f"report: {layout.reports / 'index.html'}"


def test_seconds_are_grouped_and_of_listed_domains_alone(layout: Layout) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in terminal_summary(layout).splitlines() if " of " in line}
    assert rows["curate"] == [f"{6 * 6.5 + sum(range(6)):.1f}", "1", "of", "6"]
    assert rows["train"] == ["95.0", "1", "of", "1"]
    assert list(rows) == ["encoder", "download", "embed", "curate", "encode", "collect", "train", "measure", "report"]


def test_the_summary_needs_a_report(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ValueError, match=r"metrics\.json: missing"):
        terminal_summary(Layout(tmp_path_factory.mktemp("empty")))


def test_what_ran_last_and_what_a_swap_costs(layout: Layout) -> None:
    stages = read_stages(layout.state / "stages", ["glyphs", "fractals"])
    ran = {"download@fractals", "curate@fractals", "embed@fractals", "encode@fractals", "collect", "train", "measure"}
    assert last_run(stages) == ran
    assert swap_seconds(stages)["fractals"] == pytest.approx(sum(time.seconds for time in stages if time.stage in ran))


def test_a_broken_record_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("stages")
    (folder / "train.json").write_text('{"stage": "train"}')
    with pytest.raises(ValueError, match=r"train\.json: expected stage, seconds"):
        read_stages(folder, [])
