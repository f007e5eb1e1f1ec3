"""What domains are worth by results whose answers are known (made_project.py), and by tables made for a question."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from made_project import GAINS, INTERACTION, LOSSES, gains, results

from training.measure import SCHEMA
from training.measure.contrasts import shapley_by_orders
from training.measure.design import Company, generator, random_orders
from training.measure.in_words import worth_text
from training.measure.shots import judged_at
from training.measure.values import from_frame
from training.measure.worth import Question, order_error, values_of, worth

HELD_OUT = ("digits", "flags")
QUESTION = Question(Company(tuple(LOSSES), ("fractals",)), 0.005)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return worth(values_of(results(), 5, HELD_OUT), QUESTION)


def test_known_effects_come_out(found: dict[str, Any]) -> None:
    for name, loss in LOSSES.items():
        assert found["removal"][name]["mean"]["mean"] == pytest.approx(loss, abs=1e-5)
        assert found["replacement"][name]["fractals"]["mean"] == pytest.approx(GAINS[name], abs=1e-5)
    pairs = found["interaction"]
    assert pairs["glyphs"]["shapes"]["mean"] == pytest.approx(INTERACTION, abs=1e-5)
    assert pairs["glyphs"]["textures"]["mean"] == pytest.approx(0, abs=1e-5)
    assert found["addition"]["fractals"]["mean"]["mean"] == pytest.approx(0.004, abs=1e-5)


def test_verdicts_follow_the_margin(found: dict[str, Any]) -> None:
    cells = {name: row["fractals"] for name, row in found["replaceability"].items()}
    assert {name: (cell["verdict"], cell["side"]) for name, cell in cells.items()} == {
        "glyphs": ("not_replaceable", "worse"),
        "shapes": ("replaceable", "equal"),
        "textures": ("replaceable", "better"),
    }
    wide = worth(values_of(results(), 5, HELD_OUT), Question(QUESTION.company, 0.1))["replaceability"]
    assert {row["fractals"]["verdict"] for row in wide.values()} == {"replaceable"}


def test_shapley_values_add_up_to_what_training_brings(found: dict[str, Any]) -> None:
    whole = gains()[tuple(LOSSES)] - gains()[()]
    assert sum(value["mean"] for value in found["shapley"].values()) == pytest.approx(whole, abs=1e-5)
    # glyphs and shapes share what they do together, half each
    assert found["shapley"]["textures"]["mean"] == pytest.approx(LOSSES["textures"], abs=1e-5)
    assert found["shapley"]["glyphs"]["mean"] == pytest.approx(LOSSES["glyphs"] - INTERACTION / 2, abs=1e-5)


def test_a_share_is_told_only_where_something_was_brought(found: dict[str, Any]) -> None:
    cells = {name: row["fractals"] for name, row in found["replaceability"].items()}
    assert cells["shapes"]["share"]["mean"] == pytest.approx((LOSSES["shapes"] + GAINS["shapes"]) / LOSSES["shapes"], abs=1e-4)
    assert "share" not in cells["textures"]  # it is not missed


def test_one_seed_decides_nothing_and_says_what_is_needed() -> None:
    one = results().filter(pl.col("seed") == 0)
    table = worth(values_of(one, 5, HELD_OUT), QUESTION)["replaceability"]
    assert {row["fractals"]["verdict"] for row in table.values()} == {"cannot_tell_yet"}
    assert all("seed" in row["fractals"]["needed"] for row in table.values())


def test_what_was_not_trained_is_absent() -> None:
    full = pl.col("subset").list.len() == len(LOSSES)
    table = worth(values_of(results().filter(full), 5, HELD_OUT), QUESTION)
    assert table["removal"] == {}
    assert set(table) == {"removal", "replacement", "replaceability"}
    assert worth(None, QUESTION) == {"removal": {}, "replacement": {}, "replaceability": {}}


def test_beyond_ten_domains_random_orders_give_the_value_and_its_error() -> None:
    """Additive values: every order gives a domain the same, so the mean is exact and the draw adds no error."""
    train = tuple(f"d{at:02}" for at in range(11))
    weight = {name: 0.01 * at for at, name in enumerate(train)}
    asked = Question(Company(train), 0.01, random_orders=8, seed=3)
    orders = random_orders(len(train), 8, generator("shapley", 3))
    subsets = {s for row in shapley_by_orders(asked.company, [o.tolist() for o in orders]) for c in row for s in c.weights}
    rng = np.random.default_rng(0)
    noise_E = rng.normal(0, 0.05, 40)
    rows = [
        (sorted(s), seed, "x", 5, "learner", (0.3 + sum(weight[n] for n in s) + noise_E).tolist())
        for s in subsets
        for seed in range(2)
    ]
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    said = worth(values_of(table, 5, ["x"]), asked)["shapley"]
    assert {name: value["mean"] for name, value in said.items()} == pytest.approx(weight, abs=1e-5)
    assert all(value["exact"] == 0 for value in said.values())
    fewer = worth(values_of(table.head(20), 5, ["x"]), asked)
    assert "shapley" not in fewer


def test_the_error_of_a_draw_counts_an_order_and_its_reverse_once() -> None:
    value_OM = np.array([[1.0], [3.0], [2.0], [2.0]])  # both pairs have the mean 2
    assert order_error(value_OM) == pytest.approx([0.0])
    assert order_error(np.array([[1.0], [1.0], [3.0], [3.0]])) == pytest.approx([1.0])


def test_values_are_those_of_learners_on_subsets() -> None:
    values = values_of(results(), 1, HELD_OUT)
    assert values is not None
    assert values.seeds == (0, 1, 2)
    assert set(values.held_out) == set(HELD_OUT)
    assert values_of(results(), 7, HELD_OUT) is None


def test_shots_are_five_where_subsets_were_judged_at_it() -> None:
    assert judged_at(results()) == 5
    assert judged_at(results().filter((pl.col("n_shot") == 1) | pl.col("subset").is_null())) == 1


def test_the_text_has_every_verdict_with_its_numbers() -> None:
    from pipelines.params import Params

    params = Params.model_validate(
        {"domains": {**dict.fromkeys(LOSSES, "train"), "fractals": "spare", **dict.fromkeys(HELD_OUT, "held_out")}}
    )
    text = worth_text(results(), params)
    assert "| glyphs by fractals | −3.0" in text
    assert text.count("**replaceable**") == 2
    assert text.count("**not replaceable**") == 1
    assert "Shapley value" in text


def test_two_results_of_one_training_are_refused() -> None:
    table = results().filter(pl.col("subset").is_not_null(), n_shot=5)
    twice = pl.concat([table, table.head(1)]).rename({"subset": "domains", "domain": "held_out"})
    with pytest.raises(ValueError, match="stands there twice"):
        from_frame(twice)
