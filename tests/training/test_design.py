"""Designs: which subsets are asked for, and that a set of domains has one order whatever asks for it."""

from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.params import Design
from training.measure.design import MAKERS, Company, subsets, unique

LETTERS = tuple("abcdefghijklm")


@st.composite
def companies(draw: st.DrawFn) -> Company:
    names = draw(st.permutations(LETTERS[:8]))
    train = draw(st.integers(1, 6))
    return Company(tuple(names[:train]), tuple(names[train : train + draw(st.integers(0, 2))]))


def of(company: Company, design: Design, **asked: int) -> list[tuple[str, ...]]:
    return subsets(company, [design], **{"random_subsets": 8, "seed": 0, **asked})[design]


def test_every_design_has_a_maker() -> None:
    assert {*MAKERS, "sequence"} == set(get_args(Design))  # sequence.py makes orders


def test_what_each_design_asks_for() -> None:
    company = Company(("a", "b", "c"), ("s", "t"))
    assert subsets(company, [], random_subsets=1, seed=0) == {"full": [("a", "b", "c")]}
    assert of(company, "removal") == [("b", "c"), ("a", "c"), ("a", "b")]
    assert of(company, "replacement")[2:4] == [("a", "s", "c"), ("a", "t", "c")]
    assert len(of(company, "replacement")) == 6
    assert of(company, "pairs") == [*of(company, "removal"), ("c",), ("b",), ("a",)]
    assert of(company, "addition") == [("a", "b", "c", "s"), ("a", "b", "c", "t")]
    assert of(company, "single") == [("a",), ("b",), ("c",), ("s",), ("t",)]
    assert [set(subset) for subset in of(company, "shapley")] == [
        set(chosen) for size in range(4) for chosen in combinations("abc", size)
    ]
    assert of(Company(("a",)), "removal") == []


@given(companies(), st.lists(st.sampled_from(get_args(Design)), unique=True), st.integers(1, 20), st.integers(0, 5))
def test_a_set_of_domains_is_trained_once(company: Company, designs: list[Design], count: int, seed: int) -> None:
    found = subsets(company, designs, random_subsets=count, seed=seed)
    assert list(found) == ["full", *(design for design in designs if design != "sequence")]
    every = unique(found)
    assert every[0] == company.train
    assert len({frozenset(subset) for subset in every}) == len(every)
    for subset in every:
        assert set(subset) <= {*company.train, *company.spares}
        assert subset == company.ordered(set(subset))
    assert found == subsets(company, designs, random_subsets=count, seed=seed)


@given(companies())
def test_a_replacement_leaves_the_others_where_they_were(company: Company) -> None:
    for subset in of(company, "replacement"):
        changed = [place for place, name in enumerate(company.train) if subset[place] != name]
        assert len(subset) == len(company.train)
        assert len(changed) == 1


@given(companies(), st.integers(1, 40))
def test_the_datamodel_has_as_many_subsets_as_asked_or_there_are(company: Company, count: int) -> None:
    there = 2 ** (len(company.train) + len(company.spares)) - 1
    assert len(of(company, "datamodel", random_subsets=count)) == min(count, there)


def test_many_domains_are_asked_in_random_orders_that_pass_through_them() -> None:
    company = Company(LETTERS)
    found = of(company, "shapley", random_subsets=2)
    assert len(found) == 1 + 2 * (len(LETTERS) - 1)  # an order and its reverse share no subset but the ends
    assert found[0] == ()
    assert {frozenset(LETTERS) - set(one) for one in found[1:]} <= {frozenset(one) for one in found}
    assert of(company, "shapley", random_subsets=2, seed=1) != found


def test_a_domain_with_two_roles_is_told() -> None:
    with pytest.raises(ValueError, match="'s' is both train and spare"):
        Company(("s",), ("s",))
    with pytest.raises(ValueError, match="at least one train domain"):
        Company((), ("s",))
