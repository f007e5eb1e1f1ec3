"""Rare classes go, full classes keep exactly the cap, what a hand keeps stays, and the draw ignores row order and company."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ledger import made_ledger

from pipelines.balance import balance
from pipelines.cards import Card
from pipelines.curation import Curation, CurationChanges
from pipelines.features import Features
from pipelines.ledger import keep_the_rest

sizes = st.lists(st.integers(1, 12), min_size=1, max_size=6)
draws = st.sampled_from(["random", "farthest_first", "kmeans"])


def ledger_of(class_sizes: list[int]) -> pl.DataFrame:
    labels = [f"class{number}" for number, size in enumerate(class_sizes) for _ in range(size)]
    return made_ledger([f"k{number:03d}" for number in range(len(labels))], labels)


def features_of(ledger: pl.DataFrame, seed: int = 0, missing: int = 0) -> Features:
    """A feature of each record but `missing`, fixed by its key; rows in another order than the ledger."""
    keys = ledger["key"].sort(descending=True).head(ledger.height - missing)
    rows = [np.random.default_rng([seed, *key.encode()]).standard_normal(8) for key in keys]
    return Features(keys, np.array(rows, np.float32).reshape(-1, 8))


def with_hands(ledger: pl.DataFrame, hands: set[int]) -> pl.DataFrame:
    """These rows kept by hand."""
    by_hand = pl.int_range(pl.len()).is_in(list(hands))
    changes = {"verdict": "kept", "override": "keep", "reason": "kept by hand: rare view"}
    return ledger.with_columns(
        pl.when(by_hand).then(pl.lit(text)).otherwise(name).alias(name) for name, text in changes.items()
    )


@given(
    sizes,
    st.integers(2, 6),
    st.integers(2, 9),
    st.none() | st.integers(2, 4),
    draws,
    st.sets(st.integers(0, 40), max_size=6),
    st.integers(0, 5),
    st.integers(0, 99),
)
def test_minimum_cap_and_classes_hold(
    class_sizes: list[int],
    minimum: int,
    cap: int,
    most: int | None,
    draw: str,
    hands: set[int],
    missing: int,
    seed: int,
) -> None:
    settings = Curation(min_per_class=minimum, cap_per_class=cap, max_classes=most, draw=draw, seed=seed % 3)  # type: ignore[arg-type]
    ledger = with_hands(ledger_of(class_sizes), hands)
    features = features_of(ledger, missing=min(missing, ledger.height))
    done = keep_the_rest(balance(ledger, features, settings))
    assert done["verdict"].null_count() == done["reason"].null_count() == 0
    kept = dict(done.filter(pl.col("verdict") == "kept").group_by("label").len().iter_rows())
    held = dict(ledger.filter(pl.col("override") == "keep").group_by("label").len().iter_rows())
    enough = [f"class{n}" for n, size in enumerate(class_sizes) if size >= minimum]
    full = {label for label in enough if kept.get(label, 0) == max(min(class_sizes[int(label[5:])], cap), held.get(label, 0))}
    if most is None or len(enough) <= most:
        assert full == set(enough)
    else:
        assert len(full) >= most
        assert sum(kept.get(label, 0) > held.get(label, 0) for label in enough) <= most, "a class too many was taken"
        assert full >= set([label for label in enough if label in held][:most]) or sum(label in held for label in enough) > most
    assert all(kept.get(label, 0) == held.get(label, 0) for label in kept if label not in enough)
    assert done.filter(pl.col("override") == "keep")["verdict"].unique().to_list() in ([], ["kept"])
    turned = balance(ledger.sample(fraction=1.0, shuffle=True, seed=seed), features, settings)
    assert keep_the_rest(turned).sort("key").equals(done.sort("key"))


@given(st.integers(8, 20), st.integers(8, 20), draws, st.integers(0, 9))
def test_a_class_does_not_depend_on_others(one: int, other: int, draw: str, seed: int) -> None:
    settings = Curation(min_per_class=2, cap_per_class=5, draw=draw, seed=seed)  # type: ignore[arg-type]
    both = ledger_of([one, other])
    features = features_of(both)
    alone = balance(both.filter(pl.col("label") == "class0"), features, settings)
    assert balance(both, features, settings).filter(pl.col("label") == "class0").equals(alone)


def test_another_seed_draws_others() -> None:
    ledger = ledger_of([40])
    for draw in ("random", "kmeans"):  # farthest-first mostly ends at the same outliers, wherever it starts
        drawn = []
        for seed in (0, 1):
            settings = Curation(cap_per_class=10, seed=seed, draw=draw)  # type: ignore[arg-type]
            drawn.append(set(balance(ledger, features_of(ledger), settings).filter(pl.col("verdict").is_null())["key"]))
        assert drawn[0] != drawn[1]
        assert len(drawn[0]) == len(drawn[1]) == 10


def test_classes_with_an_image_kept_by_hand_are_taken_first() -> None:
    ledger = with_hands(ledger_of([6] * 9), {2, 50})
    done = balance(ledger, features_of(ledger), Curation(min_per_class=4, max_classes=3))
    taken = done.filter(pl.col("verdict").is_null())["label"].unique()
    assert len(taken) == 3
    assert {"class0", "class8"} <= set(taken)
    reasons = done.filter(pl.col("verdict") == "over_cap")["reason"].unique().to_list()
    assert reasons == ["class is not among the 3 of 9 that are drawn (curation.max_classes)"]


def test_diversity_starts_from_what_a_hand_keeps() -> None:
    ledger = with_hands(ledger_of([4]), {1})
    angles = np.array([0.0, 0.1, 0.2, 1.5])  # the hand keeps the second; the last is farthest from it
    features = Features(ledger["key"], np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32))
    for draw in ("farthest_first", "kmeans"):
        settings = Curation(min_per_class=2, cap_per_class=2, draw=draw)  # type: ignore[arg-type]
        done = keep_the_rest(balance(ledger, features, settings))
        assert done.filter(pl.col("verdict") == "kept")["key"].to_list() == ["k001", "k003"]
        assert done["reason"][0] == f"class has 4 usable images, 2 are drawn by {draw}"


@pytest.mark.parametrize("draw", ["farthest_first", "kmeans"])
def test_images_without_features_come_last(draw: str) -> None:
    ledger = ledger_of([6])
    features = features_of(ledger, missing=3)
    settings = Curation(min_per_class=2, cap_per_class=4, draw=draw)  # type: ignore[arg-type]
    kept = set(balance(ledger, features, settings).filter(pl.col("verdict").is_null())["key"])
    assert set(features.keys) < kept
    assert len(kept) == 4


def test_records_set_aside_before_do_not_count() -> None:
    ledger = ledger_of([10]).with_columns(
        verdict=pl.Series(["unreadable"] + [None] * 9), reason=pl.Series(["empty file"] + [None] * 9)
    )
    done = balance(ledger, features_of(ledger), Curation(min_per_class=10))
    assert done["verdict"].to_list() == ["unreadable"] + ["rare_class"] * 9
    assert done["reason"][1] == "class has 9 usable images, 10 are needed"


def test_a_card_sets_meta_albums_rule() -> None:
    micro = CurationChanges(min_per_class=40, cap_per_class=40, max_classes=20)
    ledger = ledger_of([40] * 21 + [39, 60])
    done = balance(ledger, features_of(ledger), Curation().with_changes(micro))
    kept = done.filter(pl.col("verdict").is_null()).group_by("label").len()
    assert kept.height == 20
    assert kept["len"].unique().to_list() == [40]
    assert Card.model_fields["curation"].annotation is CurationChanges
