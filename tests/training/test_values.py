"""The results of a sweep as arrays: read from a table in any order, and refused in one line where it does not hold together."""

import numpy as np
import polars as pl
import pytest
from made_values import of_arrays, values

from training.measure.values import FRAME, Values, from_frame

SUBSETS = (("a", "b"), ("a",), ())
HELD_OUT = {"x": 4, "y": 3}  # episodes


def rows() -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    return [
        {"domains": list(subset), "seed": seed, "held_out": name, "accuracies": rng.random(episodes).tolist()}
        for name, episodes in HELD_OUT.items()
        for subset in SUBSETS
        for seed in (5, 3)
    ]


def frame(table: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(table, schema=FRAME)


def cell(found: Values, row: dict[str, object]) -> list[float]:
    at = found.subsets.index(frozenset(row["domains"])), found.seeds.index(row["seed"])  # type: ignore[call-overload]
    return found.accuracies[found.held_out.index(str(row["held_out"]))][at].tolist()


@pytest.mark.parametrize("order", [range(12), reversed(range(12)), np.random.default_rng(1).permutation(12)])
def test_every_row_is_found_again_whatever_the_order(order: range) -> None:
    table = rows()
    found = from_frame(frame([table[at] for at in order]))
    assert found.seeds == (3, 5)
    assert set(found.held_out) == set(HELD_OUT)
    assert found.trained_US.all()
    for row in table:
        assert cell(found, row) == pytest.approx(row["accuracies"])


def test_domains_in_another_order_are_the_same_subset() -> None:
    table = rows()
    table[0]["domains"] = ["b", "a"]
    assert len(from_frame(frame(table)).subsets) == 3


def test_a_sweep_that_is_not_done_takes_the_seeds_that_there_are() -> None:
    found = from_frame(frame([row for row in rows() if row["domains"] != ["a"] or row["seed"] == 3]))
    assert found.trained_US.tolist() == [[True, True], [True, False], [True, True]]
    kept = np.mean([np.mean(cell(found, row)) for row in rows() if row["domains"] == ["a"] and row["seed"] == 3])
    assert found.mean_U()[1] == pytest.approx(kept, rel=1e-6)


def test_the_mean_weighs_held_out_domains_alike() -> None:
    found = of_arrays([np.full((1, 2, 5), 0.2), np.full((1, 2, 50), 0.6)], ["a"])
    assert found.mean_U() == pytest.approx([0.4])
    assert found.mean_U(np.array([1.0, 0.0])) == pytest.approx([0.2])
    assert found.groups_GH.tolist() == [[1, 0], [0, 1], [0.5, 0.5]]


def without(name: str) -> pl.DataFrame:
    return frame(rows()).drop(name)


def changed(at: int, **change: object) -> pl.DataFrame:
    return frame([row | change if number == at else row for number, row in enumerate(rows())])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (without("seed"), "expected rows with the columns domains, seed, held_out, accuracies, found no seed"),
        (frame([]), "found none"),
        (changed(1, seed=5), r"\{a, b\} with seed 5 stands there twice"),
        (changed(0, accuracies=[0.5]), "x has 1 and 4 episodes, expected the same"),
        (frame(rows()[:-1]), r"\{\} with seed 3 is not in both of x and y"),
        (changed(0, accuracies=[0.1, 0.2, 0.3, float("nan")]), "x has an accuracy that is no number"),
        (frame([row | {"accuracies": [0.5]} for row in rows()]), "x has 1 episodes, expected at least 2"),
    ],
)
def test_a_table_that_does_not_hold_together_is_told_in_a_line(table: pl.DataFrame, said: str) -> None:
    with pytest.raises(ValueError, match=said) as told:
        from_frame(table)
    assert "\n" not in str(told.value)


def test_a_subset_twice_or_never_trained_is_told() -> None:
    with pytest.raises(ValueError, match="a subset stands there twice"):
        values({"ab": 0.5, "ba": 0.5})
    with pytest.raises(ValueError, match=r"subset \{b\} has no training"):
        of_arrays([np.zeros((2, 1, 3))], ["a", "b"], np.array([[True], [False]]))
