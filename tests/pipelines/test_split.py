"""Splits cover the kept records, go by class where enough remain, and depend on names alone."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_balance import ledger_of

from pipelines.curation import Curation, Splits
from pipelines.ledger import faults, keep_the_rest
from pipelines.split import split


@given(st.lists(st.integers(2, 9), min_size=2, max_size=50), st.integers(0, 3))
def test_every_kept_record_is_in_one_split(class_sizes: list[int], seed: int) -> None:
    settings = Curation(seed=seed)
    done, by = split(keep_the_rest(ledger_of(class_sizes)), settings)
    assert faults(done) == []
    classes_in = done.group_by("split").agg(pl.col("label").n_unique())
    if by == "class":
        assert classes_in["label"].sum() == len(class_sizes), "a class lies in two splits"
        assert classes_in["label"].min() >= settings.splits.min_classes
    else:
        assert dict(classes_in.iter_rows())["train"] == len(class_sizes)
    again, _ = split(keep_the_rest(ledger_of(class_sizes)).reverse(), settings)
    assert again.sort("key").equals(done.sort("key"))


def test_by_class_where_enough_classes_remain() -> None:
    assert split(keep_the_rest(ledger_of([4] * 40)), Curation())[1] == "class"
    assert split(keep_the_rest(ledger_of([20] * 10)), Curation())[1] == "image"


def test_by_class_with_too_few_says_how_many() -> None:
    with pytest.raises(ValueError, match=r"needs 5 classes in every split, but 10 classes give \(6, 2, 2\)"):
        split(keep_the_rest(ledger_of([20] * 10)), Curation(splits=Splits(by="class")))


def test_shares_of_zero_leave_no_split() -> None:
    done, _ = split(keep_the_rest(ledger_of([20] * 10)), Curation(splits=Splits(validation=0.0, test=0.0)))
    assert done["split"].unique().to_list() == ["train"]
