"""Rare classes go, full classes keep exactly the cap, and the draw ignores row order."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from test_ledger import made_ledger

from pipelines.balance import balance
from pipelines.curation import Curation
from pipelines.ledger import keep_the_rest

sizes = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def ledger_of(class_sizes: list[int]) -> pl.DataFrame:
    labels = [f"class{number}" for number, size in enumerate(class_sizes) for _ in range(size)]
    return made_ledger([f"k{number:03d}" for number in range(len(labels))], labels)


@given(sizes, st.integers(2, 6), st.integers(2, 9), st.integers(0, 5), st.randoms(use_true_random=False))
def test_minimum_and_cap_hold(class_sizes: list[int], minimum: int, cap: int, seed: int, shuffle: object) -> None:
    settings = Curation(min_per_class=minimum, cap_per_class=cap, seed=seed)
    ledger = ledger_of(class_sizes)
    done = keep_the_rest(balance(ledger, settings))
    kept = dict(done.filter(pl.col("verdict") == "kept").group_by("label").len().iter_rows())
    expected = {f"class{n}": min(size, cap) for n, size in enumerate(class_sizes) if size >= minimum}
    assert kept == expected
    turned = keep_the_rest(balance(ledger.sample(fraction=1.0, shuffle=True, seed=shuffle.randint(0, 99)), settings))
    assert turned.sort("key").equals(done.sort("key"))


def test_another_seed_draws_others() -> None:
    ledger = ledger_of([40])
    drawn = [
        set(balance(ledger, Curation(cap_per_class=10, seed=seed)).filter(pl.col("verdict").is_null())["key"])
        for seed in (0, 1)
    ]
    assert drawn[0] != drawn[1]
    assert len(drawn[0]) == len(drawn[1]) == 10


def test_records_set_aside_before_do_not_count() -> None:
    ledger = ledger_of([10]).with_columns(
        verdict=pl.Series(["unreadable"] + [None] * 9), reason=pl.Series(["empty file"] + [None] * 9)
    )
    done = balance(ledger, Curation(min_per_class=10))
    assert done["verdict"].to_list() == ["unreadable"] + ["rare_class"] * 9
    assert done["reason"][1] == "class has 9 usable images, 10 are needed"
