"""The report of a made project whose answers are known."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from made_project import ABOVE, GAINS, INTERACTION, LOSSES, PLANTED, ROLES, SCRIPT, make_project, results

from pipelines.layout import Layout
from pipelines.ledger import VERDICTS
from training.measure.design import Company
from training.measure.shots import judged_at
from training.measure.worth import Question, values_of, worth
from training.report import write_report
from training.report.inputs import read_validation
from training.report.metrics import held_out

TRAIN = [name for name, role in ROLES.items() if role == "train"]
HELD_OUT = [name for name, role in ROLES.items() if role == "held_out"]
QUESTION = Question(Company(tuple(TRAIN), ("fractals",)), 0.005)
WORTH = {"removal", "replacement", "replaceability", "addition", "interaction", "shapley", "datamodel"}
WORTH |= {"modularity", "modularity_index", "transfer", "locality", "continual"}
DIFFERENCES = {"learner_minus_class_mean", "learner_minus_ridge"}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = make_project(tmp_path_factory.mktemp("project"))
    write_report(made)
    return made


@pytest.fixture(scope="module")
def metrics(layout: Layout) -> dict[str, Any]:
    return json.loads((layout.reports / "metrics.json").read_text())


@pytest.fixture(scope="module")
def html(layout: Layout) -> str:
    return (layout.reports / "index.html").read_text()


def check_interval(value: dict[str, float], low: float) -> None:
    assert {"mean", "low", "high"} <= set(value) <= {"mean", "low", "high", "p", "effect"}
    assert low <= value["low"] <= value["mean"] <= value["high"] <= 1


def test_the_metrics_have_the_promised_form(metrics: dict[str, Any]) -> None:
    assert set(metrics) == {"held_out", "training", "curation", "planted", "swap_cost", "seconds"} | WORTH
    assert set(metrics["held_out"]) == {*HELD_OUT, "mean"}
    for by_shot in metrics["held_out"].values():
        assert set(by_shot) == {"1_shot", "5_shot"}
        for by_learner in by_shot.values():
            assert set(by_learner) == {*ABOVE, *DIFFERENCES}
            for name, value in by_learner.items():
                check_interval(value, -1 if name in DIFFERENCES else 0)
    assert {name: set(row) for name, row in metrics["removal"].items()} == {name: {*HELD_OUT, "mean"} for name in TRAIN}
    assert {name: set(row) for name, row in metrics["replacement"].items()} == {name: {"fractals"} for name in TRAIN}
    for table in (metrics["removal"], metrics["replacement"]):
        for value in (value for row in table.values() for value in row.values()):
            check_interval(value, -1)
    assert {name: set(row) for name, row in metrics["curation"].items()} == {name: set(VERDICTS) for name in ROLES}
    assert set(metrics["planted"]) == {"found", "missed", "false"}
    assert metrics["seconds"]["curate@glyphs"] > 0
    assert "report" not in metrics["seconds"]  # its record still tells of the run before


def test_known_differences_come_out(metrics: dict[str, Any]) -> None:
    for domain in (*HELD_OUT, "mean"):
        row = metrics["held_out"][domain]["5_shot"]
        assert row["learner_minus_class_mean"]["mean"] == pytest.approx(ABOVE["learner"], abs=1e-4)
        assert row["learner_minus_ridge"]["mean"] == pytest.approx(ABOVE["learner"] - ABOVE["ridge"], abs=1e-4)
        for name, loss in LOSSES.items():
            assert metrics["removal"][name][domain]["mean"] == pytest.approx(loss, abs=1e-4)
    for name, gain in GAINS.items():
        assert metrics["replacement"][name]["fractals"]["mean"] == pytest.approx(gain, abs=1e-4)


def test_what_training_brings_is_what_shapley_values_add_up_to(html: str) -> None:
    brought = 100 * (sum(LOSSES.values()) - INTERACTION)  # V(all) - V(nothing)
    assert f"<b>{brought:+.2f}</b> points over the learner before its first step" in html


def test_paired_differences_are_narrower_than_the_accuracies(metrics: dict[str, Any]) -> None:
    def width(value: dict[str, float]) -> float:
        return value["high"] - value["low"]

    row = metrics["held_out"]["digits"]["5_shot"]
    assert width(metrics["removal"]["glyphs"]["digits"]) < width(row["learner"]) / 2
    assert width(metrics["held_out"]["mean"]["5_shot"]["learner"]) < width(row["learner"])


def test_planted_dirt_is_counted(metrics: dict[str, Any]) -> None:
    assert metrics["planted"] == PLANTED


def test_a_domain_taken_out_leaves_no_trace(metrics: dict[str, Any], html: str) -> None:
    assert "curate@gone" not in metrics["seconds"]
    assert "gone" not in re.findall(r"<code>(\w+)</code>", html)


def test_tables_without_replacements_or_removals_are_empty() -> None:
    main = results().filter(pl.col("subset").is_null())
    assert worth(values_of(main, 5, HELD_OUT), QUESTION) == {"removal": {}, "replacement": {}, "replaceability": {}}
    assert set(held_out(main)) == {*HELD_OUT, "mean"}


def test_subsets_judged_on_different_episodes_are_refused() -> None:
    shorter = (
        pl.when(pl.col("subset") == ["shapes", "textures"]).then(pl.col("accuracies").list.head(9)).otherwise("accuracies")
    )
    with pytest.raises(ValueError, match="episodes, expected the same"):
        values_of(results().with_columns(accuracies=shorter), 5, HELD_OUT)


def test_other_numbers_of_shots_are_judged_at_the_most() -> None:
    three = results().with_columns(n_shot=pl.col("n_shot").replace(5, 3))
    found = worth(values_of(three, judged_at(three), HELD_OUT), QUESTION)["removal"]
    assert found["glyphs"]["mean"]["mean"] == pytest.approx(LOSSES["glyphs"], abs=1e-4)
    assert set(held_out(three)["mean"]) == {"1_shot", "3_shot"}


def test_text_from_outside_is_escaped(html: str) -> None:
    assert SCRIPT not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<b>of</b>" not in html
    assert "<script" not in html


def test_the_page_refers_to_nothing_outside(html: str) -> None:
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:|\#)[^"'\s>]+""", html) == []
    assert re.findall(r"url\(|@import|https?://", html) == []


def test_every_picture_has_words(html: str) -> None:
    assert all(re.search(r'alt="[^"]+"', tag) for tag in re.findall(r"<img[^>]*>", html))
    spoken = re.findall(r'role="img" aria-label="([^"]*)"', html)
    assert spoken
    assert all(spoken)
    assert all("aria-hidden" in tag or "aria-label" in tag or "viewBox" in tag for tag in re.findall(r"<svg[^>]*>", html))


def test_the_page_is_small(layout: Layout) -> None:
    assert (layout.reports / "index.html").stat().st_size < 6_000_000


def test_plots_are_tables_of_numbers(layout: Layout) -> None:
    sizes = {}
    for path in sorted((layout.reports / "plots").glob("*.csv")):
        rows = list(csv.DictReader(path.open()))
        sizes[path.stem] = len(rows)
        if path.stem not in ("similarity", "sequence"):
            assert all(float(row["low"]) <= float(row["mean"]) <= float(row["high"]) for row in rows)
    whole = {"accuracy": 3 * 2 * 6, "context": 2 * 3 * 4, "removal": 3 * 3, "replacement": 3, "similarity": 15}
    whole |= {"shapley": 3, "addition": 3, "interaction": 3, "datamodel": 4, "transfer": 4 * 5, "sequence": 2 * 2 * 4 * 5}
    assert sizes == whole | {"learner": 3 * 2, "lost": 3, "won": 3}


def test_the_same_inputs_give_the_same_bytes(layout: Layout, tmp_path: Path) -> None:
    other = make_project(tmp_path)
    write_report(other)
    for name in ("index.html", "metrics.json", "plots/accuracy.csv"):
        assert (other.reports / name).read_bytes() == (layout.reports / name).read_bytes()


def test_missing_input_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    made = make_project(tmp_path)
    (made.measurement / "results.parquet").unlink()
    with pytest.raises(ValueError, match=r"results\.parquet: missing; run `dvc repro`"):
        write_report(made)
    assert not (made.reports / "index.html").exists()
    assert not (made.reports / "metrics.json").exists()


def test_a_collection_with_one_train_domain_and_no_spare_has_a_report(tmp_path: Path) -> None:
    made = make_project(tmp_path)
    results().filter(pl.col("subset").is_null() | (pl.col("subset") == TRAIN)).write_parquet(
        made.measurement / "results.parquet"
    )
    shutil.rmtree(made.state)
    report = write_report(made)
    assert report.metrics["removal"] == {}
    assert report.metrics["seconds"] == {}
    assert "No removal was measured" in report.page.read_text()


def test_each_domain_on_the_way_of_the_training(html: str) -> None:
    table = html.split('id="on-the-way"')[1].split("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")[2:]]
    few = "too few images for validation episodes"
    assert rows == [
        ["glyphs", "train", "41.0", "62.0", "300", "58.0"],
        ["shapes", "train", "30.0", "50.0", "600", "50.0"],
        ["textures", "train", few],
        ["fractals", "spare", "25.0", "35.0", "300", "30.0"],
    ]


@pytest.mark.parametrize("text", ["", "step,loss\n1,2\n", "step,domain,role,accuracy\nfirst,a,train,0.5\n"])
def test_a_validation_log_that_is_none_is_told_in_a_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "validation.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^[^\n]+validation.csv: expected the columns step, domain, role, accuracy; [^\n]+$"):
        read_validation(path)
    path.write_text("step,domain,role,accuracy\n")
    assert read_validation(path).is_empty()
