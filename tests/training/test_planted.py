"""Planted truth against ledgers made by hand."""

from pathlib import Path

import polars as pl
import pytest
from made_project import ledger_of

from pipelines.layout import Layout
from training.report.inputs import Domain, Inputs
from training.report.planted import by_kind, score, totals

KINDS = dict.fromkeys(("source_id", "kind", "of", "domain"), pl.String)
OVERLAP = dict.fromkeys(("domain_a", "key_a", "domain_b", "key_b"), pl.String)


def record(name: str, verdict: str = "kept", cluster_of: str | None = None) -> dict[str, object]:
    made = {"source_id": name, "label": "a", "data": name.encode(), "verdict": verdict, "reason": "for a test"}
    return made | ({"cluster_of": cluster_of} if cluster_of else {})


def domain(name: str, records: list[dict[str, object]], planted: list[tuple[str, str, str | None, str | None]]) -> Domain:
    truth = pl.DataFrame(planted, schema=KINDS, orient="row")
    return Domain(name, {"role": "train"}, {}, {}, ledger_of(records), pl.DataFrame(), pl.DataFrame(), truth)


def outcomes(*domains: Domain, overlap: list[tuple[str, str, str, str]] | None = None) -> dict[tuple[str, str], str]:
    pairs = pl.DataFrame(overlap or [], schema=OVERLAP, orient="row")
    by_name = {one.name: one for one in domains}
    empty = pl.DataFrame()
    inputs = Inputs(
        layout=Layout(Path()),
        manifest={"exclusions": []},
        domains=by_name,
        overlap=pairs,
        results=empty,
        context=empty,
        examples=[],
        training=empty,
        validation=empty,
        stages=[],
        similarity=empty,
        sequence=empty,
        asked={},
        trainings=[],
        learner={},
    )
    scored = score(inputs)
    assert sum(totals(scored).values()) == scored.height == by_kind(scored).drop("kind").sum().sum_horizontal().sum()
    return {(row["source_id"], row["kind"]): row["outcome"] for row in scored.iter_rows(named=True)}


@pytest.mark.parametrize(
    ("copy", "original", "outcome"),
    [
        (record("copy", "duplicate", "original"), record("original"), "found"),
        (record("copy", "kept", "original"), record("original"), "found"),  # in one cluster
        (record("copy"), record("original", "duplicate"), "found"),  # the copy was the better file
        (record("copy"), record("original"), "missed"),
        (record("copy", "over_cap"), record("original"), "missed"),  # set aside, but not as a copy
    ],
)
def test_copies(copy: dict[str, object], original: dict[str, object], outcome: str) -> None:
    found = outcomes(domain("one", [copy, original], [("copy", "near_resized", "original", None)]))
    assert found == {("copy", "near_resized"): outcome}


@pytest.mark.parametrize(
    ("kind", "verdict", "outcome"),
    [
        ("unreadable", "unreadable", "found"),
        ("unreadable", "kept", "missed"),
        ("rare_class", "rare_class", "found"),
        ("rare_class", "kept", "missed"),
        ("odd_mode", "kept", "found"),
        ("odd_mode", "over_cap", "found"),
        ("odd_mode", "unreadable", "missed"),
    ],
)
def test_dirt_of_single_records(kind: str, verdict: str, outcome: str) -> None:
    assert outcomes(domain("one", [record("it", verdict)], [("it", kind, None, None)])) == {("it", kind): outcome}


def test_a_leak_is_found_by_the_overlap_or_where_one_end_is_gone() -> None:
    planted = [("in", "leak", "out", "two")]
    one = domain("one", [record("in")], planted)
    two = domain("two", [record("out")], [])
    key, other = one.ledger["key"][0], two.ledger["key"][0]
    assert outcomes(one, two) == {("in", "leak"): "missed"}
    assert outcomes(one, two, overlap=[("one", key, "two", other)]) == {("in", "leak"): "found"}
    assert outcomes(one, two, overlap=[("two", other, "one", key)]) == {("in", "leak"): "found"}
    assert outcomes(one, two, overlap=[("one", key, "three", other)]) == {("in", "leak"): "missed"}
    assert outcomes(domain("one", [record("in", "over_cap")], planted), two) == {("in", "leak"): "found"}
    assert outcomes(one, domain("two", [record("out", "over_cap")], [])) == {("in", "leak"): "found"}
    assert outcomes(one) == {}  # the other domain is not in the collection


def test_false_alarms_are_records_that_nobody_planted_or_copied() -> None:
    records = [
        record("original", "duplicate"),  # named by a planted copy: allowed
        record("copy"),
        record("alike", "duplicate", "copy"),  # in a planted record's cluster: allowed
        record("head"),
        record("innocent", "duplicate", "head"),
        record("fine", "unreadable"),
        record("rare", "rare_class"),  # no verdict of copies
    ]
    found = outcomes(domain("one", records, [("copy", "exact_copy", "original", None)]))
    assert found == {("copy", "exact_copy"): "found", ("innocent", "duplicate"): "false", ("fine", "unreadable"): "false"}


def test_domains_without_planted_truth_are_left_alone() -> None:
    assert outcomes(domain("real", [record("head"), record("copy", "duplicate", "head")], [])) == {}


def test_truth_of_another_download_is_refused() -> None:
    with pytest.raises(ValueError, match="'it' is not in the ledger"):
        outcomes(domain("one", [record("other")], [("it", "unreadable", None, None)]))
