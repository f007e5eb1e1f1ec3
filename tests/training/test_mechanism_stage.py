"""Stage mechanism: what it counts, writes, shows in the report, and refuses."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from curated import curated_project
from made_project import make_project
from test_train_stage import ASKED

from pipelines.layout import Layout
from pipelines.mechanism_settings import Mechanism as Settings
from pipelines.params import Measurement, Params, load_params
from pipelines.training_settings import Training
from training.__main__ import main
from training.flows import outputs
from training.mechanism.models import models
from training.mechanism.of_learner import of_learner
from training.mechanism.run import run_trials, table
from training.mechanism.stage import Mechanism, mechanism, rounded, write_mechanism
from training.mechanism.tables import TABLES, read_table
from training.report import write_report
from training.seeds import over_seeds
from training.train_stage import train_main

ROOT = Path(__file__).parents[2]
SMALL = Settings(
    dimensions=2,
    context=3,
    steps=12,
    batch=16,
    evaluation_tasks=200,
    layers=[1, 2],
    untied_layers=[2],
    seeds=2,
    learner_episodes=0,
)
NAMES = [
    "one_layer",
    "one_layer_two_heads",
    "one_layer_softmax",
    "one_layer_softmax_two_heads",
    "two_layers",
    "two_layers_untied",
]


@pytest.fixture(scope="module")
def made() -> Mechanism:
    found = run_trials(SMALL)
    return Mechanism(rounded(table(SMALL, found)) | {"settings": SMALL.model_dump(mode="json")}, found)


def of_small(**changes: Any) -> Params:
    return Params(domains={"pebbles": "train", "leaves": "held_out"}, mechanism=SMALL.model_copy(update=changes))


def test_models_have_names_that_say_what_they_are() -> None:
    assert [model.name for model in models(SMALL)] == NAMES
    deep = models(Settings(layers=[1, 10], untied_layers=[]))[-1]
    assert (deep.name, deep.shape.layers, deep.shape.tied) == ("ten_layers", 10, True)


def test_the_numbers_have_the_promised_form(made: Mechanism) -> None:
    for name in NAMES:
        row = made.numbers[name]
        of = row[row["like"]]
        assert row["like"] == ("gd" if name.startswith("one") else "gd_plus_plus")
        for measure in ("sensitivity_cosine", "sensitivity_l2", "prediction_difference"):
            assert row[measure] == of[measure]
            low, high = row["intervals"][measure]
            assert low <= row[measure] <= high
        assert ("eta_learned" in row) == ("interpolated" in row) == ("softmax" not in name)
    last = made.numbers["one_layer"]["interpolated"]
    assert last["100"] == pytest.approx(made.numbers["one_layer"]["loss_gd"], abs=2e-6)  # the way ends at the gradient step
    assert last["0"] == pytest.approx(made.numbers["one_layer"]["loss"], abs=2e-6)
    assert len(made.numbers["two_layers_untied"]["eta_by_layer"]) == 2


def test_an_interval_over_seeds_is_students() -> None:
    low, high = over_seeds([1.0, 2.0, 3.0])
    assert low == pytest.approx(2 - 4.302653 / 3**0.5, abs=1e-5)
    assert high == pytest.approx(2 + 4.302653 / 3**0.5, abs=1e-5)
    assert over_seeds([1.0]) == [None, None]


def test_what_is_no_number_is_none_in_json() -> None:
    assert rounded({"a": [float("inf"), 1 / 3, 2], "b": float("nan")}) == {"a": [None, 0.333333, 2], "b": None}


def test_the_tables_hold_what_was_found(made: Mechanism, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_mechanism(made, layout)
    assert [path for path in outputs("mechanism", layout) if not path.exists()] == []
    assert json.loads(layout.mechanism.read_text())["one_layer"] == made.numbers["one_layer"]
    tables = {name: read_table(layout.mechanism.with_suffix(""), name) for name in TABLES}
    assert tables["training"]["model"].unique(maintain_order=True).to_list() == NAMES
    last = tables["training"].filter(pl.col("model") == "two_layers", pl.col("seed") == 1).row(-1, named=True)
    assert last["step"] == 2 * SMALL.steps
    assert tables["one_layer"]["step"].to_list()[-1] == SMALL.steps
    entries = tables["weights"].filter(
        pl.col("model") == "two_layers_untied", pl.col("product") == "key_query", pl.col("layer") == 1
    )
    assert entries.height == 9
    assert entries.sort("row", "column")["theory"].to_list() == [1, 0, 0, 0, 1, 0, 0, 0, 0]
    assert tables["predictions"].height == 200 * len(NAMES)


def test_the_report_has_the_section_only_where_the_stage_has_run(made: Mechanism, tmp_path: Path) -> None:
    layout = make_project(tmp_path)
    assert "mechanism" not in write_report(layout).page.read_text()
    learner = {"like": "ridge"} | {
        rule: _measures(0.25) for rule in ("class_mean", "gd_1", "gd_5", "gd_25", "ridge", "readout")
    }
    write_mechanism(Mechanism(made.numbers | {"learner": {"mean": {"5_shot": learner}}}, made.found), layout)
    html = write_report(layout).page.read_text()
    section = html.split('<section id="mechanism">')[1].split("</section>")[0]
    row = section.split('<th scope="row">two layers, untied</th>')[1].split("</tr>")[0]
    assert f"{made.numbers['two_layers_untied']['sensitivity_cosine']:.4f}" in row
    assert section.count('class="matrix"') == 4
    assert section.count('class="scatter"') == len(NAMES)
    assert "5-shot: most like ridge" in section
    assert (
        section.index("Class mean")
        < section.index("1 gradient step<")
        < section.index("25 gradient steps")
        < section.index("Ridge")
    )
    assert html.index('href="#mechanism"') < html.index('href="#cost"')


def _measures(value: float) -> dict[str, dict[str, float]]:
    names = ("same_label", "score_cosine", "sensitivity_cosine", "prediction_difference")
    return {name: {"mean": value, "low": value - 0.1, "high": value + 0.1} for name in names}


@pytest.mark.parametrize("broken", ["mechanism/weights.csv", "mechanism/training.csv", "mechanism.json"])
def test_odd_files_of_the_stage_are_told_in_a_line(made: Mechanism, tmp_path: Path, broken: str) -> None:
    layout = make_project(tmp_path)
    write_mechanism(made, layout)
    (layout.reports / broken).write_text("{}")
    with pytest.raises(ValueError, match=r"^[^\n]+mechanism.json: expected what stage mechanism writes[^\n]+run it again$"):
        write_report(layout)


def test_a_learner_is_compared_over_held_out_domains(tmp_path: Path, encoder_file: Path) -> None:
    layout = curated_project(tmp_path / "project", encoder_file)
    asked = Training(**ASKED | {"steps": 2, "readout": "ridge", "label_codes": "elmes", "learning_rate": 1e-4})
    measured = Measurement(n_way=3, n_shots=[1, 2], n_query=2)
    params = load_params(layout.params).model_copy(
        update={"training": asked, "measurement": measured, "mechanism": SMALL.model_copy(update={"learner_episodes": 12})}
    )
    with pytest.raises(
        ValueError, match=r"^[^\n]+learner.safetensors: no such learner; [^\n]+ mechanism.learner_episodes to 0"
    ):
        mechanism(params, layout, 1)
    train_main(params, layout)
    found = of_learner(params, layout)
    assert list(found) == ["leaves", "mean"]
    for shot in ("1_shot", "2_shot"):
        row = found["leaves"][shot]
        assert row["readout"]["sensitivity_cosine"]["mean"] > 0.99  # hardly trained, it is its read-out
        assert row["ridge"]["same_label"]["mean"] == pytest.approx(1, abs=0.05)  # which is ridge
        assert row["like"] == "ridge"
        assert found["mean"][shot]["ridge"]["score_cosine"]["mean"] == pytest.approx(row["ridge"]["score_cosine"]["mean"])
        assert row["class_mean"]["sensitivity_cosine"]["low"] <= row["class_mean"]["sensitivity_cosine"]["high"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dimensions": 0}, "mechanism.dimensions: input should be greater than or equal to 1"),
        ({"layers": [2]}, "mechanism.layers: expected 1 among them"),
        ({"layers": [1, 11]}, "mechanism.layers: expected different whole numbers in 1 to 10, found [1, 11]"),
        ({"untied_layers": [1]}, "mechanism.untied_layers: expected numbers from 2 on"),
        ({"context": 4096, "dimensions": 256}, "mechanism: batch x context x dimensions: expected at most 500000000 numbers"),
        ({"learner_episodes": 1}, "mechanism.learner_episodes: expected 0 or at least 2"),
        ({"heads": 3}, "mechanism.heads: unknown field"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(
    change: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = {"domains": {"pebbles": "train", "shells": "held_out"}, "mechanism": change}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert main(["mechanism"], tmp_path) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml"]


def test_the_stage_is_outside_of_the_default_target() -> None:
    apart, chain = (yaml.safe_load((ROOT / name).read_text()) for name in ("training/dvc.yaml", "dvc.yaml"))
    stage = apart["stages"]["mechanism"]
    assert "mechanism" not in chain["stages"]
    assert stage["wdir"] == ".."
    assert [name for name in stage["deps"] if name.startswith("training/") and not (ROOT / name).exists()] == []
    made: Sequence[str] = [*stage["outs"], *stage["metrics"]]
    assert sorted(made) == sorted(str(path) for path in outputs("mechanism", Layout()))
    assert stage["cmd"].endswith("-m training mechanism")
