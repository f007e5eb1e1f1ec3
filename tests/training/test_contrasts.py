"""Contrasts against what they are by definition, on games of random worth."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_values import of_arrays, subsets_of, values

from training.measure import contrasts
from training.measure.contrasts import Contrast, measured, weights
from training.measure.design import Company
from training.measure.values import Values

Game = dict[str, float]


@st.composite
def games(draw: st.DrawFn, domains: str = "abcd") -> Game:
    count = draw(st.integers(1, len(domains)))
    number = st.floats(0, 1, allow_nan=False, width=32)
    return {subset: draw(number) for subset in subsets_of(domains[:count])}


def company(game: Game) -> Company:
    return Company(tuple(max(game, key=len)))


def said(game: Game, wanted: list[Contrast]) -> dict[tuple[str, ...], float]:
    found = values(game)
    return dict(zip([each.names for each in wanted], (weights(found, wanted) @ found.mean_U()).tolist(), strict=True))


def shapley(game: Game) -> dict[str, float]:
    return {name: value for (name,), value in said(game, contrasts.shapley(company(game))).items()}


def less(game: Game, *names: str) -> float:
    return game["".join(name for name in company(game).train if name not in names)]


@settings(max_examples=40, deadline=None)
@given(games())
def test_shapley_values_are_the_mean_over_all_orders_and_share_out_the_whole(game: Game) -> None:
    domains = company(game).train
    by_order = []
    for order in permutations(domains):
        before = [set(order[: order.index(name)]) for name in domains]
        worth = [["".join(sorted(b | {name})), "".join(sorted(b))] for name, b in zip(domains, before, strict=True)]
        by_order.append([game[one] - game[other] for one, other in worth])
    found = shapley(game)
    assert list(found.values()) == pytest.approx(np.mean(by_order, axis=0), abs=1e-12)
    assert sum(found.values()) == pytest.approx(game["".join(domains)] - game[""], abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(games())
def test_orders_together_give_the_exact_shapley_value(game: Game) -> None:
    orders = list(permutations(range(len(company(game).train))))
    rows = [list(said(game, row).values()) for row in contrasts.shapley_by_orders(company(game), orders)]
    assert np.mean(rows, axis=0) == pytest.approx(list(shapley(game).values()), abs=1e-12)


@given(games("abc"), st.floats(-1, 1))
def test_a_domain_that_adds_the_same_to_all_is_worth_that(game: Game, brings: float) -> None:
    with_dummy = game | {subset + "z": value + brings for subset, value in game.items()}
    assert shapley(with_dummy)["z"] == pytest.approx(brings, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_domains_that_do_the_same_are_worth_the_same(by_size: list[float]) -> None:
    found = shapley({subset: by_size[len(subset)] for subset in subsets_of("abc")})
    assert found["a"] == pytest.approx(found["b"], abs=1e-12)
    assert found["b"] == pytest.approx(found["c"], abs=1e-12)


@given(games())
def test_removals_and_interactions_by_definition(game: Game) -> None:
    asked, full = company(game), max(game, key=len)
    assert said(game, contrasts.removals(asked)) == pytest.approx(
        {(name,): game[full] - less(game, name) for name in full} if len(full) > 1 else {}
    )
    pairs = combinations(full, 2) if len(full) > 2 else []
    by_hand = {(a, b): game[full] - less(game, a) - less(game, b) + less(game, a, b) for a, b in pairs}
    assert said(game, contrasts.interactions(asked)) == pytest.approx(by_hand, abs=1e-12)


def test_replacement_addition_and_share_by_hand() -> None:
    game = {"ab": 0.6, "b": 0.4, "a": 0.5, "sb": 0.55, "as": 0.7, "abs": 0.65}
    asked = Company(("a", "b"), ("s",))
    assert said(game, contrasts.replacements(asked)) == pytest.approx({("a", "s"): -0.05, ("b", "s"): 0.1})
    assert said(game, contrasts.additions(asked)) == pytest.approx({("s",): 0.05})
    (top, bottom), _ = contrasts.shares(asked)
    assert said(game, [top])["a", "s"] / said(game, [bottom])["a",] == pytest.approx(0.75)


def test_what_was_not_trained_with_a_seed_in_common_is_not_measured() -> None:
    trained = np.array([[True, False], [False, True], [True, True]])
    found: Values = of_arrays([np.zeros((3, 2, 2))], ["ab", "a", "b"], trained)
    assert [each.names for each in measured(found, contrasts.removals(Company(("a", "b"))))] == [("a",)]
    assert measured(found, contrasts.shapley(Company(("a", "b")))) == []
