"""Suspected labels: flipped ones are found, clean sets give short lists, and nothing is decided."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import suspects as module
from pipelines.features import Features
from pipelines.ledger import SCHEMA
from pipelines.suspects import suspects


def made(classes: int, images: int, spread: float, seed: int = 0) -> tuple[pl.DataFrame, Features]:
    """A finished ledger of kept records, and features around a centre for each class."""
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(classes), images)
    centres_CD = rng.normal(size=(classes, 16))
    features_ND = (centres_CD[label_N] + spread * rng.normal(size=(len(label_N), 16))).astype(np.float32)
    rows = [
        dict.fromkeys(SCHEMA) | {"key": f"k{n:04}", "source_id": f"s{n}", "label": f"c{label}", "verdict": "kept"}
        for n, label in enumerate(label_N)
    ]
    ledger = pl.DataFrame(rows, schema=SCHEMA).with_columns(source_label="label")
    return ledger, Features(ledger["key"], features_ND)


def relabelled(ledger: pl.DataFrame, change: dict[str, str]) -> pl.DataFrame:
    return ledger.with_columns(label=pl.col("key").replace_strict(change, default=pl.col("label"), return_dtype=pl.String))


def test_flipped_labels_are_found_and_corrected() -> None:
    ledger, features = made(6, 30, 0.5)
    flips = {"k0003": "c4", "k0040": "c0", "k0100": "c1", "k0170": "c2"}
    found = suspects(relabelled(ledger, flips), features)
    assert dict(found.select("key", "label").iter_rows()) == flips
    truth = dict(ledger.select("key", "label").iter_rows())
    assert all(truth[key] == suggested for key, suggested in found.select("key", "suggested").iter_rows())
    assert (found["share"] > 0.9).all()
    assert found["neighbours"].list.len().to_list() == [10] * 4


def test_a_clean_set_is_not_doubted() -> None:
    assert suspects(*made(6, 30, 0.5)).is_empty()


def test_features_that_say_nothing_give_no_advice() -> None:
    ledger, features = made(6, 30, 50.0)
    assert suspects(ledger, features).height <= 2


def test_copies_and_frames_of_one_group_do_not_vouch_for_each_other() -> None:
    ledger, features = made(5, 40, 0.5)
    frames = {f"k{n:04}": "c3" for n in range(12)}  # of class c0
    wrong = relabelled(ledger, frames)
    assert suspects(wrong, features).height <= 2, "taken for strangers, they agree with each other"
    for column in ("group", "cluster"):
        together = wrong.with_columns(pl.when(pl.col("key").is_in(list(frames))).then(pl.lit("k0000")).alias(column))
        found = suspects(together, features)
        assert len(set(found["key"]) & set(frames)) >= 10, column
        assert not set(found["neighbours"].explode()) & set(frames)


def test_what_a_hand_decided_is_not_doubted() -> None:
    ledger, features = made(6, 30, 0.5)
    wrong = relabelled(ledger, {"k0003": "c4", "k0040": "c0"})
    by_hand = wrong.with_columns(override=pl.when(pl.col("key") == "k0003").then(pl.lit("relabel")))
    assert suspects(by_hand, features)["key"].to_list() == ["k0040"]


def test_large_domains_look_among_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, features = made(6, 60, 0.5)
    flips = {"k0003": "c4", "k0100": "c0"}
    monkeypatch.setattr(module, "REFERENCES", 90)
    monkeypatch.setattr(module, "BLOCK_CELLS", 1000)
    found = suspects(relabelled(ledger, flips), features)
    assert dict(found.select("key", "label").iter_rows()) == flips
    assert len(set(found["neighbours"].explode())) <= 90


def test_too_few_to_say() -> None:
    ledger, features = made(2, 4, 0.5)
    for part in (ledger, ledger.clear(), ledger.filter(pl.col("label") == "c0")):
        found = suspects(part, features)
        assert found.is_empty()
        assert found.schema == pl.Schema(module.SCHEMA)


@settings(max_examples=40, deadline=None)
@given(
    classes=st.integers(2, 5),
    images=st.integers(3, 12),
    spread=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    seed=st.integers(0, 99),
    groups=st.lists(st.integers(0, 9), min_size=60, max_size=60),
    data=st.data(),
)
def test_what_holds_for_any_ledger(
    classes: int, images: int, spread: float, seed: int, groups: list[int], data: st.DataObject
) -> None:
    ledger, features = made(classes, images, spread, seed)
    rng = np.random.default_rng(seed)
    ledger = ledger.with_columns(
        label=pl.Series(rng.permutation(ledger["label"].to_numpy())),
        group=pl.Series([f"g{g}" if g < 3 else None for g in groups[: ledger.height]], dtype=pl.String),
        verdict=pl.Series(["kept" if g != 9 else "duplicate" for g in groups[: ledger.height]]),
    )
    found = suspects(ledger, features, seed)
    assert found.schema == pl.Schema(module.SCHEMA)
    order = data.draw(st.permutations(range(ledger.height)))
    assert suspects(ledger[list(order)], features, seed).equals(found), "row order does not matter"
    assert found.sort("share", "key", descending=[True, False]).equals(found)
    rows = {row["key"]: row for row in ledger.iter_rows(named=True)}
    for key, label, suggested, share, neighbours in found.iter_rows():
        assert rows[key]["verdict"] == "kept"
        assert rows[key]["label"] == label != suggested
        assert 0 < share <= 1
        assert key not in neighbours
        assert all(rows[other]["verdict"] == "kept" for other in neighbours)
        assert all(rows[other]["group"] is None or rows[other]["group"] != rows[key]["group"] for other in neighbours)
        carried = sum(rows[other]["label"] == suggested for other in neighbours) / len(neighbours)
        assert carried == pytest.approx(share)
