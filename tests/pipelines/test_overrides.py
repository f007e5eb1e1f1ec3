"""What a person decided: read with clear refusals, in the ledger after every step, and stronger than every rule."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_domains import write_card
from test_deduplicate import records as drawn_records
from test_deduplicate import synthetic, thumb_rows

from pipelines.__main__ import main
from pipelines.curate import decide
from pipelines.curation import Curation
from pipelines.deduplicate import deduplicate
from pipelines.features import Features
from pipelines.layout import Layout
from pipelines.ledger import faults
from pipelines.overrides import NOTHING, Overrides, apply, load_overrides
from pipelines.settings import validate

K, L = "3f2a000000000000-9c1d22aa", "77ab000000000000-00ff1234"


def written(folder: Path, text: str) -> Path:
    path = folder / "coins.overrides.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def made(**parts: dict[str, dict[str, str]]) -> Overrides:
    return validate(Overrides, parts, "here")


def small(rows: list[tuple[str, str, str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A ledger of (name, scene-variant, label): equal scenes and variants are equal pixels."""
    drawn = [(int(scene.split("-")[0]), int(scene.split("-")[1]), label, 16, "PNG") for _, scene, label in rows]
    ledger, thumbs = synthetic(drawn)
    names = dict(zip(ledger["key"], [name for name, _, _ in rows], strict=True))
    renamed = pl.col("key").replace_strict(names)
    return ledger.with_columns(key=renamed, source_id=renamed, source_label="label"), thumbs.with_columns(key=renamed)


def decided(rows: list[tuple[str, str, str]], overrides: Overrides) -> dict[str, dict[str, object]]:
    ledger, thumbs = small(rows)
    done, _ = deduplicate(apply(ledger, overrides, "here"), thumb_rows(thumbs), None)
    return {row["key"]: row for row in done.iter_rows(named=True)}


def test_a_file_as_people_write_it(tmp_path: Path) -> None:
    text = f'keep:\n  {K}: {{reason: "the only\n   one"}}\nrelabel:\n  {L}: {{label: "2", reason: so}}\ndrop:\n'
    path = written(tmp_path, text)
    overrides = load_overrides(path)
    assert [(hand, key, decision.reason) for hand, key, decision in overrides.rows()] == [
        ("keep", K, "the only one"),
        ("relabel", L, "so"),
    ]
    assert overrides.relabel[L].label == "2"
    assert load_overrides(tmp_path / "none.overrides.yaml") == Overrides()
    assert load_overrides(written(tmp_path, "\n")) == Overrides()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"keep: {{{K}: {{reason: '  '}}}}", f"keep.{K}.reason: is empty"),
        (f"keep: {{{K}: {{}}}}", f"keep.{K}.reason: missing"),
        (f"drop: {{{K}: {{reason: x, label: y}}}}", f"drop.{K}.label: unknown field; known here: reason"),
        (f"relabel: {{{K}: {{reason: x}}}}", f"relabel.{K}.label: missing"),
        (f"relabel: {{{K}: {{label: 2, reason: x}}}}", "expected text, found 2; put it in quotes"),
        (f"relabel: {{{K}: {{label: no, reason: x}}}}", "expected text, found False; put it in quotes"),
        (f"relabel: {{{K}: {{label: '', reason: x}}}}", "label: is empty"),
        (f"keep: {{{K}: {{reason: x}}}}\ndrop: {{{K}: {{reason: y}}}}", f"drop: {K}: stands under keep too"),
        (f"drop:\n  {K}: {{reason: x}}\n  {K}: {{reason: y}}\n", f"line 3: '{K}' stands there twice"),
        ("remove: {}", "remove: unknown field; known here: keep, drop, relabel"),
        (f"drop: [{K}]", "drop: input should be a valid dictionary"),
        (f"- {K}", "expected a mapping of fields, found list"),
        ("drop: {", "not valid YAML"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match="overrides") as caught:
        load_overrides(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"drop": {"zz": {"reason": "x"}}}, "here: drop: zz: no record has this key"),
        ({"relabel": {"a": {"label": "x", "reason": "x"}}}, "here: relabel: a: label: the record is labelled 'x' already"),
        ({"keep": {"broken": {"reason": "x"}}}, "here: keep: broken: the picture cannot be read (empty file)"),
        ({"relabel": {"broken": {"label": "q", "reason": "x"}}}, "here: relabel: broken: the picture cannot be read"),
    ],
)
def test_what_a_ledger_refuses(parts: dict[str, dict[str, dict[str, str]]], expected: str) -> None:
    ledger, _ = small([("a", "0-0", "x"), ("broken", "1-0", "x")])
    broken = pl.col("key") == "broken"
    ledger = ledger.with_columns(
        verdict=pl.when(broken).then(pl.lit("unreadable")), reason=pl.when(broken).then(pl.lit("empty file"))
    )
    with pytest.raises(ValueError, match="here") as caught:
        apply(ledger, made(**parts), "here")
    assert str(caught.value).startswith(expected)


def test_the_ledger_says_who_decided_and_why() -> None:
    ledger, _ = small([("a", "0-0", "x"), ("b", "1-0", "x"), ("c", "2-0", "x"), ("d", "3-0", "x")])
    ledger = ledger.with_columns(verdict=pl.when(pl.col("key") == "a").then(pl.lit("too_small")))
    parts = {"keep": {"a": {"reason": "the back"}}, "drop": {"b": {"reason": "a hand"}}}
    done = apply(ledger, made(**parts, relabel={"c": {"label": "new", "reason": "is new"}}), "here")
    assert done.select("override", "verdict", "reason", "label", "source_label", "kept_key").rows() == [
        ("keep", "kept", "kept by hand: the back", "x", "x", "a"),
        ("drop", "dropped_by_hand", "dropped by hand: a hand", "x", "x", None),
        ("relabel", None, None, "new", "x", None),
        (None, None, None, "x", "x", None),
    ]


def test_a_kept_copy_is_the_keeper() -> None:
    done = decided([("a", "0-0", "x"), ("b", "0-0", "x"), ("c", "0-0", "x")], made(keep={"b": {"reason": "why"}}))
    assert {key: row["verdict"] for key, row in done.items()} == {"a": "duplicate", "b": "kept", "c": "duplicate"}
    assert done["a"]["kept_key"] == done["c"]["cluster"] == done["b"]["cluster"] == "b"


def test_two_kept_copies_both_stay_and_share_a_cluster() -> None:
    both = {"b": {"reason": "why"}, "c": {"reason": "why"}}
    done = decided([("a", "0-0", "x"), ("b", "0-0", "x"), ("c", "0-0", "x")], made(keep=both))
    assert {key: row["verdict"] for key, row in done.items()} == {"a": "duplicate", "b": "kept", "c": "kept"}
    assert {row["cluster"] for row in done.values()} == {"b"}
    assert done["c"]["kept_key"] == "c"


def test_a_hand_resolves_a_label_conflict() -> None:
    rows = [("a", "0-0", "x"), ("b", "0-0", "y"), ("c", "0-0", "z"), ("d", "0-0", "y")]
    done = decided(rows, made(keep={"b": {"reason": "is y"}}))
    verdicts = {"a": "label_conflict", "b": "kept", "c": "label_conflict", "d": "duplicate"}
    assert {key: row["verdict"] for key, row in done.items()} == verdicts
    assert done["a"]["reason"] == "same bytes as b, which was kept by hand under 'y'"
    assert done["d"]["kept_key"] == "b"
    done = decided(rows, made(relabel={"c": {"label": "x", "reason": "is x"}}))
    verdicts = {"a": "duplicate", "b": "label_conflict", "c": None, "d": "label_conflict"}
    assert {key: row["verdict"] for key, row in done.items()} == verdicts
    assert done["b"]["reason"] == "same bytes as c, which was relabelled by hand to 'x'"
    drop = {key: {"reason": "is no y"} for key in "bcd"}
    assert decided(rows, made(drop=drop))["a"]["verdict"] is None, "its copies are out, so nothing contradicts it"


def test_hands_that_disagree_leave_a_conflict_unless_both_are_kept() -> None:
    rows = [("a", "0-0", "x"), ("b", "0-0", "y"), ("c", "0-0", "z")]
    both = {"a": {"reason": "differs"}, "b": {"reason": "differs"}}
    done = decided(rows, made(keep=both))
    assert {key: row["verdict"] for key, row in done.items()} == {"a": "kept", "b": "kept", "c": "label_conflict"}
    two = {"a": {"label": "p", "reason": "why"}, "b": {"label": "q", "reason": "why"}}
    done = decided(rows, made(relabel=two))
    assert {row["verdict"] for row in done.values()} == {"label_conflict"}


def test_what_dvc_sees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(tmp_path)
    layout.cards.mkdir()
    for name in ("coins", "shells"):
        write_card(tmp_path, name)
    assert main(["by_hand"], tmp_path) == 0
    assert "by_hand: hands decided on nothing" in capsys.readouterr().out
    assert {path.name: path.read_text() for path in layout.seen.iterdir()} == {
        "coins.yaml": NOTHING.decode(),
        "shells.yaml": NOTHING.decode(),
    }
    text = f"drop: {{{K}: {{reason: x}}}}"
    layout.overrides("coins").write_text(text)
    assert main(["by_hand"], tmp_path) == 0
    assert "by_hand: hands decided on coins" in capsys.readouterr().out
    assert {path.name: path.read_text() for path in layout.seen.iterdir()} == {
        "coins.yaml": text,
        "shells.yaml": NOTHING.decode(),
    }
    layout.overrides("coins").write_text("drop: {")
    assert main(["by_hand"], tmp_path) == 2
    assert "coins.overrides.yaml: not valid YAML" in capsys.readouterr().err
    assert (layout.seen / "coins.yaml").read_text() == text


def reject_unless(expected: bool) -> None:
    """A refusal for this reason is no example; any other is a failure."""
    assert expected


hands = st.dictionaries(st.integers(0, 13), st.tuples(st.sampled_from(["keep", "drop", "relabel"]), st.sampled_from("xyzn")))


@settings(max_examples=80, deadline=None)
@given(
    drawn=drawn_records,
    by_hand=hands,
    minimum=st.integers(1, 3),
    cap=st.integers(2, 4),
    closed=st.sets(st.integers(0, 13), max_size=3),
    near=st.booleans(),
)
def test_everything_a_hand_says_is_in_the_ledger(
    drawn: list[tuple[int, int, str, int, str]],
    by_hand: dict[int, tuple[str, str]],
    minimum: int,
    cap: int,
    closed: set[int],
    near: bool,
) -> None:
    ledger, thumbs = synthetic(drawn)
    ledger = ledger.with_columns(source_label="label")
    too_small = pl.col("key").is_in([f"k{number}" for number in closed])
    ledger = ledger.with_columns(
        verdict=pl.when(too_small).then(pl.lit("too_small")), reason=pl.when(too_small).then(pl.lit("shorter"))
    )
    labels = dict(ledger.select("key", "label").iter_rows())
    parts: dict[str, dict[str, dict[str, str]]] = {"keep": {}, "drop": {}, "relabel": {}}
    for number, (hand, label) in by_hand.items():
        key = f"k{number}"
        if key in labels and not (hand == "relabel" and label == labels[key]):
            parts[hand][key] = {"reason": f"reason {number}"} | ({"label": label} if hand == "relabel" else {})
    overrides = made(**parts)
    curation = Curation(min_per_class=minimum, cap_per_class=cap, near_duplicates=near)
    features = Features(ledger["key"], np.random.default_rng(0).normal(size=(ledger.height, 256)).astype(np.float32))
    try:
        done = decide(ledger, thumb_rows(thumbs), features, curation, "made", overrides).ledger
    except ValueError as error:
        reject_unless("at least 2 classes are needed" in str(error))
        return
    assert faults(done) == []
    assert done["key"].equals(ledger["key"])
    rows = {row["key"]: row for row in done.iter_rows(named=True)}
    for hand, key, decision in overrides.rows():
        row = rows[key]
        assert row["override"] == hand
        assert row["reason"].endswith(f"by hand: {decision.reason}") or hand == "relabel"
        assert decision.reason in row["reason"]
        assert row["verdict"] == {"keep": "kept", "drop": "dropped_by_hand"}.get(hand, row["verdict"])
        assert row["label"] == getattr(decision, "label", labels[key])
        assert row["source_label"] == labels[key]
    assert all(row["override"] is None for key, row in rows.items() if not any(key in part for part in parts.values()))
    for _, group in done.filter(pl.col("cluster").is_not_null()).group_by("cluster"):
        kept = group.filter(pl.col("verdict") == "kept")
        assert kept.height <= 1 or (kept["override"] == "keep").all(), "only hands keep two copies"
        assert kept["split"].n_unique() <= 1
