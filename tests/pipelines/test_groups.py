"""Groups by pattern, rules that say nothing, and units: what hangs together by copies and groups."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ledger import made_ledger

from pipelines.cards import Card
from pipelines.groups import group, joined, units
from pipelines.settings import validate

FRAMES = ["film1/0001.jpg", "film1/0002.jpg", "film2/0001.jpg", "poster.jpg"]


def card(rule: object = None, column: str | None = None) -> Card:
    about = {
        "id": "films",
        "title": "Films",
        "domain": "frames",
        "description": "Frames.",
        "licence": "CC0-1.0",
        "source": {"kind": "urls", "locator": "t.csv", "label": {"group_column": column} if column else {}},
    }
    return validate(Card, about | ({"group": rule} if rule else {}), "films.yaml")


@pytest.mark.parametrize("pattern", [r"^(film\d+)/", r"^(?P<group>[^/]+)/(\d+)", r"(film\d+)|poster"])
def test_a_pattern_names_groups(pattern: str) -> None:
    found = group(made_ledger(FRAMES), card({"pattern": pattern}))
    assert found["group"].to_list() == ["film1", "film1", "film2", None]


def test_without_a_rule_there_are_none() -> None:
    assert group(made_ledger(FRAMES), card())["group"].null_count() == 4


def test_a_column_has_come_with_the_records() -> None:
    ledger = made_ledger(FRAMES).with_columns(group=pl.Series(["a", "a", None, "b"]))
    assert group(ledger, card(column="film")).equals(ledger)


def test_rules_that_say_nothing_are_one_line() -> None:
    with pytest.raises(
        ValueError, match=r"^domain films: group.pattern: '\(x\)y' is found in none of 4 source_ids.*film1/0001"
    ):
        group(made_ledger(FRAMES), card({"pattern": "(x)y"}))
    with pytest.raises(ValueError, match=r"^domain films: source.label.group_column: column 'film' is empty for all 4 records"):
        group(made_ledger(FRAMES), card(column="film"))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"pattern": "film"}, r"films.yaml: group.pattern: expected one capture group in parentheses"),
        ({"pattern": "(a)(b)"}, r"expected one capture group"),
        ({"pattern": "(a"}, r"expected a regular expression, found '\(a'"),
        ({"pattern": ""}, r"group.pattern"),
        ({"column": "film"}, r"group.*: "),
    ],
)
def test_rules_that_are_none_are_one_line(rule: object, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        card(rule)
    assert "\n" not in str(caught.value)


def test_two_rules_are_one_too_many() -> None:
    with pytest.raises(ValueError, match=r"films.yaml: .*keep one of them"):
        card({"pattern": "(a)"}, column="film")


records = st.lists(st.tuples(st.integers(0, 30), st.none() | st.integers(0, 6), st.none() | st.integers(0, 6)), max_size=30)


@given(records, st.integers(0, 99))
def test_units_are_the_connected_components(rows: list[tuple[int, int | None, int | None]], seed: int) -> None:
    """Against merging sets by hand; whatever the order of the rows."""
    keys = [f"k{number:02d}" for number in range(len(rows))]
    clusters = [None if cluster is None else f"c{cluster}" for _, cluster, _ in rows]
    groups = [None if name is None else f"c{name}" for _, _, name in rows]  # the same names mean other things
    frame = pl.DataFrame(
        {"key": keys, "cluster": clusters, "group": groups}, schema=dict.fromkeys(("key", "cluster", "group"), pl.String)
    )
    sets = [{key} for key in keys]
    for column in (clusters, groups):
        for name in {name for name in column if name is not None}:
            members = {key for key, other in zip(keys, column, strict=True) if other == name}
            touched = [found for found in sets if found & members]
            sets = [found for found in sets if not found & members] + [set().union(*touched)]
    expected = {key: min(found) for found in sets for key in found}
    assert dict(zip(keys, units(frame), strict=True)) == expected
    turned = frame.sample(fraction=1.0, shuffle=True, seed=seed)
    assert dict(zip(turned["key"], units(turned), strict=True)) == expected


def test_names_that_share_a_name_are_joined() -> None:
    ones, others = pl.Series(["b", "a", "c", "c", "d"]), pl.Series(["x", "x", "y", "x", "z"])
    assert dict(joined(ones, others).iter_rows()) == {"a": "a", "b": "a", "c": "a", "d": "d"}
