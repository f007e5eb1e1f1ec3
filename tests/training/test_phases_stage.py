"""Stage phases: what it counts, writes, shows in the report, and refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_project import make_project

from pipelines.layout import Layout
from pipelines.params import Params
from pipelines.phases_settings import Phases
from training.__main__ import main
from training.flows import outputs
from training.phases.run import numbers, of_phase, summary
from training.phases.stage import phases, write_phases
from training.phases.tables import TABLES
from training.phases.trial import Found
from training.report import write_report
from training.report.phases import phases_section

ROOT = Path(__file__).parents[2]
SMALL = Phases(
    tasks=2, classes=5, labels=4, context=3, dimensions=9, heads=2, steps=10, batch=8, seeds=2, contexts=16, neighbours=3
)
PARAMS = Params(domains={"pebbles": "train", "leaves": "held_out"}, phases=SMALL)
LOOKS, TOKENS, STATES = 11, 7, 5


@pytest.fixture(scope="module")
def found() -> list[Found]:
    return phases(PARAMS, workers=1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return make_project(tmp_path_factory.mktemp("report"))


def test_the_stage_leaves_numbers_and_tables(found: list[Found], tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    made = write_phases(found, PARAMS, layout)
    assert [path for path in outputs("phases", layout) if not path.exists()] == []
    assert json.loads(layout.phases.read_text()) == made
    assert made["settings"] == SMALL.model_dump(mode="json")
    assert set(made["phases"]) == {"untrained", "non_context", "semi_context", "full_context"}
    assert made["phases"]["untrained"]["entered"] == {"seed_0": 0, "seed_1": 0}
    rows = {path.stem: path.read_text().splitlines() for path in layout.phases.with_suffix("").iterdir()}
    counts = {name: len(lines) - 1 for name, lines in rows.items()}
    maps = sum(len(run["attention"]) for run in found[:1]) * 2 * 2 * TOKENS**2
    assert counts == {
        "looks": 2 * LOOKS,
        "circuits": 2 * LOOKS * 2 * 2,
        "decodability": 2 * LOOKS * STATES,
        "attention": maps,
        "on_the_way": LOOKS,
    }
    assert {name: lines[0] for name, lines in rows.items()} == {name: ",".join(header) for name, (header, _) in TABLES.items()}


def made_run(seed: int, accuracies: list[float], phases: list[str]) -> Found:
    """A training that was looked at with these accuracies; a single head whose bigram is the accuracy."""
    looks = [
        {
            "step": 10 * at,
            "accuracy": accuracy,
            "phase": phase,
            "circuits": [{"bigram": [accuracy], "label_attention": [0.0], "chunk_example": [1.0]}],
            "decodability": {"layer_1": 1 - accuracy},
        }
        for at, (accuracy, phase) in enumerate(zip(accuracies, phases, strict=True))
    ]
    known = {"chance": 0.1, "non_context": 0.3, "semi_context": 0.7, "full_context": 1.0}
    return {"seed": seed, "known": known, "looks": looks}


def test_a_phase_is_told_by_medians_of_the_trainings_that_came_through_it() -> None:
    semi, full = "semi_context", "full_context"
    runs = [made_run(0, [0.5, 0.6, 0.8, 0.9], [semi, semi, semi, full]), made_run(1, [0.1, 0.7], ["untrained", semi])]
    row = of_phase("semi_context", runs)
    assert row["entered"] == {"seed_0": 0, "seed_1": 10}
    assert row["accuracy"]["mean"] == pytest.approx((0.6 + 0.7) / 2)
    assert row["circuits"] == {"layer_1_head_1": {"bigram": pytest.approx(0.65), "label_attention": 0.0, "chunk_example": 1.0}}
    assert row["decodability"] == {"layer_1": pytest.approx(0.35)}
    late = of_phase("full_context", runs)
    assert late["entered"] == {"seed_0": 30, "seed_1": None}
    assert late["seeds"] == 1
    assert of_phase("non_context", runs) == {"entered": {"seed_0": 0, "seed_1": 10}, "seeds": 0}


def test_numbers_are_means_over_seeds(found: list[Found]) -> None:
    made = numbers(found)
    last = [run["looks"][-1]["accuracy"] for run in found]
    assert made["end"]["accuracy"]["mean"] == pytest.approx(sum(last) / 2)
    assert set(made["decodability"]) == {"input", "layer_1", "layer_2", "readout_1", "readout_2"}
    assert made["decodability"]["input"]["rank_correlation"]["mean"] is None  # what comes in does not change


def test_an_interval_of_shares_ends_at_one() -> None:
    assert summary([0.9, 1.0]) == {"mean": pytest.approx(0.95), "low": pytest.approx(0.3147, abs=1e-4), "high": 1.0}
    assert summary([0.9, None]) == {"mean": None, "low": None, "high": None}


def test_the_report_has_the_section_only_where_the_stage_has_run(found: list[Found], project: Layout) -> None:
    project.phases.unlink(missing_ok=True)
    assert 'id="phases"' not in write_report(project).page.read_text()
    made = write_phases(found, PARAMS, project)
    html = write_report(project).page.read_text()
    section = html.split('<section id="phases">')[1].split("</section>")[0]
    row = section.split('<th scope="row">no learning</th>')[1].split("</tr>")[0]
    assert f"{100 * made['phases']['untrained']['accuracy']['mean']:.1f}" in row
    assert section.count('class="lines"') == 2 + 2 * 2
    assert section.count('class="matrix"') == 4 * len(found[0]["attention"])
    assert html.index('href="#phases"') < html.index('href="#cost"')


def test_one_training_has_no_intervals(found: list[Found], project: Layout) -> None:
    write_phases(found[:1], PARAMS, project)
    section = write_report(project).page.read_text().split('<section id="phases">')[1].split("</section>")[0]
    assert "None" not in section


@pytest.mark.parametrize("broken", ["phases/looks.csv", "phases/attention.csv", "phases.json"])
def test_odd_files_of_the_stage_are_told_in_a_line(found: list[Found], project: Layout, broken: str) -> None:
    write_phases(found, PARAMS, project)
    (project.reports / broken).write_text("{}")
    with pytest.raises(ValueError, match=r"^[^\n]+phases.json: expected what stage phases writes[^\n]+run it again$"):
        phases_section(project)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": 33}, "phases: tasks: expected at most the 32 labels, for no more can differ, found 33"),
        ({"tasks": 1}, "phases.tasks: input should be greater than or equal to 2"),
        ({"context": 97}, "phases: context: expected at most the 96 classes, each shown once, found 97"),
        ({"heads": 5}, "phases: heads: expected to divide dimensions + 2 x context + 1, which is 72, found 5"),
        ({"neighbours": 40, "contexts": 16}, "phases: neighbours: expected at most 2 x contexts, 32, found 40"),
        ({"batch": 65536, "dimensions": 4095}, "phases: batch x context x dimensions: expected at most 50000000 numbers"),
        ({"layers": 0}, "phases.layers: input should be greater than or equal to 1"),
        ({"items": 3}, "phases.items: unknown field"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(
    change: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = {"domains": {"pebbles": "train", "shells": "held_out"}, "phases": change}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert main(["phases"], tmp_path) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml"]


def test_the_stage_is_outside_of_the_default_target() -> None:
    apart, chain = (yaml.safe_load((ROOT / name).read_text()) for name in ("training/dvc.yaml", "dvc.yaml"))
    stage = apart["stages"]["phases"]
    assert "phases" not in chain["stages"]
    assert stage["wdir"] == ".."
    assert [name for name in stage["deps"] if not (ROOT / name).exists()] == []
    assert sorted([*stage["outs"], *stage["metrics"]]) == sorted(str(path) for path in outputs("phases", Layout()))
    assert stage["cmd"].endswith("-m training phases")
