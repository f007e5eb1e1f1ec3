"""Splits cover the kept records, go by class where enough remain, never part a unit, and depend on names alone."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_balance import ledger_of

from pipelines.curation import Curation, Splits
from pipelines.draw import lots
from pipelines.groups import units
from pipelines.ledger import SPLITS, faults, keep_the_rest
from pipelines.split import split


@given(st.lists(st.integers(2, 9), min_size=2, max_size=50), st.integers(0, 3))
def test_every_kept_record_is_in_one_split(class_sizes: list[int], seed: int) -> None:
    settings = Curation(seed=seed)
    done, by, _ = split(keep_the_rest(ledger_of(class_sizes)), settings)
    assert faults(done) == []
    classes_in = done.group_by("split").agg(pl.col("label").n_unique())
    if by == "class":
        assert classes_in["label"].sum() == len(class_sizes), "a class lies in two splits"
        assert classes_in["label"].min() >= settings.splits.min_classes
    else:
        assert dict(classes_in.iter_rows())["train"] == len(class_sizes)
    again = split(keep_the_rest(ledger_of(class_sizes)).reverse(), settings).ledger
    assert again.sort("key").equals(done.sort("key"))


def grouped(class_sizes: list[int], groups: list[int | None], clusters: dict[int, int]) -> pl.DataFrame:
    """A kept ledger; record i lies in the i-th group, and in a cluster with another where `clusters` says so."""
    ledger = keep_the_rest(ledger_of(class_sizes))
    names = [None if number is None else f"g{number}" for number in groups[: ledger.height]]
    keys = ledger["key"].to_list()
    of = [keys[clusters[row] % len(keys)] if row in clusters else None for row in range(len(keys))]
    return ledger.with_columns(
        group=pl.Series(names + [None] * (ledger.height - len(names)), dtype=pl.String), cluster=pl.Series(of, dtype=pl.String)
    )


class_lists = st.lists(st.integers(1, 15), min_size=1, max_size=8)
group_lists = st.lists(st.none() | st.integers(0, 12), max_size=120)
shares = st.sampled_from([(0.15, 0.15), (0.0, 0.3), (0.4, 0.4), (0.2, 0.0)])


@given(
    class_lists, group_lists, st.dictionaries(st.integers(0, 40), st.integers(0, 40), max_size=6), shares, st.integers(0, 99)
)
def test_no_unit_is_parted_whatever_spans_what(
    class_sizes: list[int], groups: list[int | None], clusters: dict[int, int], share: tuple[float, float], seed: int
) -> None:
    ledger = grouped(class_sizes, groups, clusters)
    settings = Curation(seed=seed % 5, splits=Splits(validation=share[0], test=share[1], min_classes=2))
    done = split(ledger, settings)
    assert faults(done.ledger) == []
    together = done.ledger.with_columns(units(done.ledger)).group_by("unit").agg(pl.col("split").n_unique())
    assert together["split"].max() == 1
    if done.by == "class":
        assert done.ledger.group_by("label").agg(pl.col("split").n_unique())["split"].max() == 1
    again = split(ledger.sample(fraction=1.0, shuffle=True, seed=seed), settings)
    assert again.ledger.sort("key").equals(done.ledger.sort("key"))
    assert again[1:] == done[1:]


@given(st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=12), min_size=1, max_size=4), shares, st.integers(0, 9))
def test_shares_are_met_within_the_largest_unit(unit_sizes: list[list[int]], share: tuple[float, float], seed: int) -> None:
    """Units within classes: in each class no split is off by as much as the largest unit."""
    class_sizes = [sum(sizes) for sizes in unit_sizes]
    numbers = iter(range(1000))
    groups: list[int | None] = [group for sizes in unit_sizes for size in sizes for group in [next(numbers)] * size]
    settings = Curation(seed=seed, splits=Splits(validation=share[0], test=share[1], by="image"))
    done = split(grouped(class_sizes, groups, {}), settings).ledger
    for number, sizes in enumerate(unit_sizes):
        found = done.filter(pl.col("label") == f"class{number}")
        asked = [round(len(found) * part) for part in share]
        for name, target in zip(SPLITS, [len(found) - sum(asked), *asked], strict=True):
            assert abs(int((found["split"] == name).sum()) - target) < max(sizes)


def test_classes_of_one_group_go_to_one_split() -> None:
    groups: list[int | None] = [label // 2 for label in range(40) for _ in range(4)]  # each spans two classes
    done = split(grouped([4] * 40, groups, {}), Curation())
    assert done.by == "class"
    assert done.ledger.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
    assert dict(done.ledger.group_by("split").agg(pl.col("label").n_unique()).iter_rows()) == {
        "train": 28,
        "validation": 6,
        "test": 6,
    }


def test_a_group_over_most_classes_makes_the_split_one_by_image() -> None:
    groups: list[int | None] = [0 if row % 4 == 0 and row < 120 else None for row in range(160)]  # thirty classes share a group
    ledger = grouped([4] * 40, groups, {})
    assert split(ledger, Curation()).by == "class", "five classes remain for each of the others"
    done = split(ledger, Curation(splits=Splits(min_classes=6)))
    assert done.by == "image"
    assert done.reason == (
        "one by class needs 6 classes in every split, "
        "but 40 classes, 30 of which hang together by groups or copies, give (30, 5, 5)"
    )
    with pytest.raises(ValueError, match=r"curation.splits.by: class needs 6 classes .* 30 of which hang together by groups"):
        split(ledger, Curation(splits=Splits(by="class", min_classes=6)))


def test_without_groups_the_first_lots_are_train_and_the_last_are_test() -> None:
    for size, classes, by, names in ((20, 10, "image", "key"), (4, 40, "class", "label")):
        done = split(keep_the_rest(ledger_of([size] * classes)), Curation(seed=3))
        assert done.by == by
        first = done.ledger if by == "class" else done.ledger.filter(pl.col("label") == "class4")
        ranked = first.select(names, "split").unique()
        ranked = ranked.with_columns(lots(ranked[names], 3)).sort("lot")
        counts = [ranked["split"].to_list().count(name) for name in SPLITS]
        assert ranked["split"].to_list() == [name for name, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
        assert counts == [ranked.height - 2 * round(0.15 * ranked.height)] + 2 * [round(0.15 * ranked.height)]


def test_by_class_where_enough_classes_remain() -> None:
    assert split(keep_the_rest(ledger_of([4] * 40)), Curation()).by == "class"
    assert split(keep_the_rest(ledger_of([20] * 10)), Curation()).by == "image"


def test_by_class_with_too_few_says_how_many() -> None:
    with pytest.raises(ValueError, match=r"needs 5 classes in every split, but 10 classes give \(6, 2, 2\)"):
        split(keep_the_rest(ledger_of([20] * 10)), Curation(splits=Splits(by="class")))


def test_shares_of_zero_leave_no_split() -> None:
    done = split(keep_the_rest(ledger_of([20] * 10)), Curation(splits=Splits(validation=0.0, test=0.0)))
    assert done.ledger["split"].unique().to_list() == ["train"]
