"""What the report shows of curation: quality and its thresholds, conflicts, doubts, pairs between domains, balance."""

import html as entities
import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from made_project import IMAGES, make_project
from safetensors.numpy import save_file

from pipelines.files import read_json, write_json
from pipelines.layout import Layout
from pipelines.quality import LADDER, NAMES
from training.report import gallery, quality, write_report
from training.report.figures import balance
from training.report.inputs import Inputs, read_inputs


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def inputs(layout: Layout) -> Inputs:
    return read_inputs(layout)


@pytest.fixture(scope="module")
def words(layout: Layout) -> str:
    """The text of the page, less its tags."""
    page = write_report(layout).page.read_text(encoding="utf-8")
    return " ".join(entities.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def of(inputs: Inputs, name: str) -> dict[str, Any]:
    return next(score for score in quality.scores(inputs) if score["name"] == name)


def test_every_score_has_a_place(inputs: Inputs, words: str) -> None:
    assert [score["name"] for score in quality.scores(inputs)] == [name.replace("_", " ") for name in NAMES]
    assert all(quality.MEANINGS[name] in words for name in NAMES)


def test_tables_count_what_a_threshold_would_set_aside(inputs: Inputs) -> None:
    kept = {name: domain.ledger.filter(pl.col("verdict") == "kept") for name, domain in inputs.domains.items()}
    for score in NAMES:
        shown = {row["domain"]: [cell["count"] for cell in row["cells"]] for row in of(inputs, score.replace("_", " "))["rows"]}
        for name, records in kept.items():
            counts = [records.filter(pl.col(f"quality_{score}") >= step).height for step in LADDER]
            assert shown.get(name, [0] * len(LADDER)) == counts


def test_the_threshold_is_marked_with_what_it_set_aside(inputs: Inputs, words: str) -> None:
    score = of(inputs, "near constant")
    (row,) = [row for row in score["rows"] if row["domain"] == "shapes"]
    assert score["rule"] == "Set aside from 0.99 on."
    assert (row["limit"], row["gone"]) == (0.99, 1)
    assert [cell["gone"] for cell in row["cells"]] == [False] * 6 + [True]
    assert of(inputs, "blurry")["rule"] == "Sets nothing aside."
    assert score["rule"] in words


def test_thresholds_of_cards_show(tmp_path: Path) -> None:
    made = make_project(tmp_path)
    path = made.domain("flags") / "provenance.json"
    provenance = read_json(path)
    provenance["curation"]["quality"]["low_information"] = 0.9
    write_json(path, provenance)
    score = of(read_inputs(made), "low information")
    assert score["rule"] == "Thresholds differ between domains."
    assert {row["domain"]: row["limit"] for row in score["rows"]}["flags"] == 0.9


def test_the_worst_pictures_lead(inputs: Inputs) -> None:
    for score, worst in (("dark", "dark"), ("blurry", "flat"), ("near constant", "flat"), ("bright", "blurred")):
        shown = of(inputs, score)["worst"]
        assert shown[0]["source_id"] == worst
        assert shown[0]["aside"] == (worst == "flat")
        assert shown[0]["uri"].startswith("data:image/jpeg;base64,")
        values = [side["value"] for side in shown]
        assert values == sorted(values, reverse=True)
        assert len(shown) <= quality.MOST_WORST
        domains = [side["domain"] for side in shown]
        assert max(domains.count(name) for name in domains) <= quality.MOST_OF_DOMAIN


def test_a_conflict_shows_both_labels_and_the_evidence(inputs: Inputs) -> None:
    ((group,),) = (domain["groups"] for domain in gallery.copies(inputs, "label_conflict"))
    assert {member["label"] for member in group["members"]} == {"class-0", "class-1"}
    assert group["evidence"] == "near copy, proposed by hashes, 3 bits apart, 97 % agree"


def test_suspects_are_advice(inputs: Inputs, words: str) -> None:
    (domain,) = gallery.suspects(inputs)
    (group,) = domain["groups"]
    assert (domain["name"], group["label"], group["suggested"]) == ("glyphs", "class-1", "class-3")
    assert [side["label"] for side in group["members"]] == ["class-1", "class-3", "class-3", "class-3"]
    assert "Advice only: nothing was dropped or changed." in words
    assert "labelled class-1 , looks like class-3 : 70 % of its neighbours say so" in words


def test_pairs_between_domains_tell_what_follows(inputs: Inputs, words: str) -> None:
    found = gallery.between(inputs)
    ((excluded,), (shared,)) = (found[kind]["pairs"] for kind in ("excluded", "shared"))
    assert [(side["domain"], side["role"]) for side in excluded["sides"]] == [("glyphs", "train"), ("digits", "held out")]
    assert excluded["evidence"] == "same bytes"
    assert [side["domain"] for side in shared["sides"]] == ["shapes", "textures"]
    assert shared["evidence"] == "near copy, turned 90, proposed by features, 7 bits apart, 94 % agree"
    assert "Kept out of training 1 pair " in words
    assert "Shared, for information 1 pair " in words


def test_many_pairs_are_counted_and_every_two_domains_have_their_turn(inputs: Inputs) -> None:
    keys = {name: domain.ledger.filter(pl.col("verdict") == "kept")["key"].to_list() for name, domain in inputs.domains.items()}
    row = inputs.overlap.row(1, named=True)
    many = [row | {"key_a": a, "key_b": b} for a, b in zip(keys["shapes"], keys["textures"], strict=False)]
    one = row | {"domain_a": "digits", "key_a": keys["digits"][0], "domain_b": "flags", "key_b": keys["flags"][0]}
    crowded = Inputs(**(vars(inputs) | {"overlap": pl.DataFrame([*many, one], schema=inputs.overlap.schema)}))
    shared = gallery.between(crowded)["shared"]
    assert shared["count"] == len(many) + 1
    assert len(shared["pairs"]) == gallery.MOST_PAIRS == shared["count"] - shared["more"]
    assert {side["domain"] for pair in shared["pairs"] for side in pair["sides"]} == {"digits", "flags", "shapes", "textures"}


def test_balance_shows_bounds_and_draw(inputs: Inputs, words: str) -> None:
    domain = inputs.domains["glyphs"]
    chart = balance("glyphs", domain.stats["class_counts"], domain.settings)
    assert chart.drawing.count('class="bound"') == 2
    assert f"at least 3, at most {IMAGES} drawn by lot" in words
    wide = domain.settings | {"cap_per_class": 10_000, "draw": "kmeans", "max_classes": 40}
    chart = balance("glyphs", domain.stats["class_counts"], wide)
    assert chart.drawing.count('class="bound"') == 1
    assert chart.rule == "at least 3, at most 10000 drawn by k-means++, of at most 40 classes"


def test_shares_of_training_show(tmp_path: Path) -> None:
    made = make_project(tmp_path)
    made.model.parent.mkdir(parents=True, exist_ok=True)
    about = {"domain_weights": "proportional", "shares": {"glyphs": 0.75, "shapes": 0.25}}
    save_file({}, made.model, metadata={"about": json.dumps(about)})
    page = write_report(made).page.read_text(encoding="utf-8")
    assert 'aria-label="Share of episodes: glyphs 75.0 %, shapes 25.0 %"' in page


@pytest.mark.parametrize("file", ["suspects.parquet", "ledger.parquet"])
def test_a_missing_file_of_a_domain_is_one_line(tmp_path: Path, file: str) -> None:
    made = make_project(tmp_path)
    (made.domain("shapes") / file).unlink()
    with pytest.raises(ValueError, match=rf"shapes/{file}: missing; run `dvc repro` to make it$"):
        write_report(made)
    assert not (made.reports / "index.html").exists()


def test_statistics_of_older_curation_are_one_line(tmp_path: Path) -> None:
    made = make_project(tmp_path)
    path = made.domain("shapes") / "stats.json"
    write_json(path, {name: value for name, value in read_json(path).items() if name != "quality"})
    with pytest.raises(ValueError, match=r"shapes/stats\.json: expected 'quality', .* run `dvc repro`$"):
        write_report(made)


def test_files_of_different_runs_are_one_line(tmp_path: Path) -> None:
    made = make_project(tmp_path)
    overlap = pl.read_parquet(made.overlap)
    overlap.with_columns(key_b=pl.lit("0" * 16)).write_parquet(made.overlap)
    with pytest.raises(ValueError, match=r"name a record that its ledger lacks; run `dvc repro`"):
        write_report(made)
