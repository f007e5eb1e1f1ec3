"""How much of the planted dirt curation found: the truth that a generator kept against the ledgers and the overlap."""

from collections.abc import Mapping

import polars as pl

from training.report.inputs import Domain, Inputs

COPY_KINDS = ("exact_copy", "near_resized", "near_mirrored", "near_reencoded", "conflict_copy")
COPY_VERDICTS = ("duplicate", "label_conflict")
FALSE_VERDICTS = (*COPY_VERDICTS, "unreadable")
Seen = set[tuple[str, str, str]]


def score(inputs: Inputs) -> pl.DataFrame:
    """Judge every planted record, and find what was set aside for no planted reason, in the domains with planted truth.

    Columns: domain, source_id, kind (as planted, or the verdict where false), outcome (found, missed, false), reason.
    A leak whose original's domain is not in the collection cannot show and is left out.
    """
    seen = _seen_elsewhere(inputs)
    rows: list[tuple[str, str, str, str, str]] = []
    for domain in inputs.domains.values():
        if domain.planted.height:
            rows += _judged(domain, inputs.domains, seen) + _false(domain)
    return pl.DataFrame(rows, schema=["domain", "source_id", "kind", "outcome", "reason"], orient="row")


def totals(scored: pl.DataFrame) -> dict[str, int]:
    """Number of found, missed and false records over all kinds."""
    return {name: scored.filter(pl.col("outcome") == name).height for name in ("found", "missed", "false")}


def by_kind(scored: pl.DataFrame) -> pl.DataFrame:
    """One row a kind: kind, found, missed, false; planted kinds first."""
    counted = scored.group_by("kind").agg(
        (pl.col("outcome") == name).sum().alias(name) for name in ("found", "missed", "false")
    )
    return counted.sort(pl.col("found") + pl.col("missed") == 0, "kind")


def _seen_elsewhere(inputs: Inputs) -> Seen:
    """(domain, key, other domain) of every record known to occur in another domain."""
    listed = {(row["domain"], row["key"], row["because_domain"]) for row in inputs.manifest["exclusions"]}
    forth = inputs.overlap.select("domain_a", "key_a", "domain_b").iter_rows()
    back = inputs.overlap.select("domain_b", "key_b", "domain_a").iter_rows()
    return listed | set(forth) | set(back)


def _judged(domain: Domain, domains: Mapping[str, Domain], seen: Seen) -> list[tuple[str, str, str, str, str]]:
    records = {row["source_id"]: row for row in domain.ledger.iter_rows(named=True)}
    rows = []
    for source_id, kind, of, elsewhere in domain.planted.select("source_id", "kind", "of", "domain").iter_rows():
        record = records.get(source_id)
        if record is None:  # every raw record has a row, so the truth and the ledger are of different downloads
            raise ValueError(f"domain {domain.name}: planted record {source_id!r} is not in the ledger; run `dvc repro`")
        if kind == "leak":
            if elsewhere not in domains:
                continue
            found = (
                record["verdict"] != "kept" or (domain.name, record["key"], elsewhere) in seen or _gone(domains[elsewhere], of)
            )
        elif kind in COPY_KINDS:
            found = _same_picture(record, records.get(of))
        elif kind == "odd_mode":
            found = record["verdict"] != "unreadable"
        else:  # unreadable, rare_class: the verdict has the name of the dirt
            found = record["verdict"] == kind
        rows.append((domain.name, source_id, kind, "found" if found else "missed", record["reason"]))
    return rows


def _same_picture(copy: dict[str, object], original: dict[str, object] | None) -> bool:
    """Whether curation knows the copy for one: in one cluster with its original, or either set aside as a copy."""
    if copy["verdict"] in COPY_VERDICTS:
        return True
    if original is None:
        return False
    together = copy["cluster"] is not None and copy["cluster"] == original["cluster"]
    return together or original["verdict"] in COPY_VERDICTS


def _gone(domain: Domain, source_id: str | None) -> bool:
    """Whether the picture that leaked is itself no part of its domain any more, so nothing leaks."""
    original = domain.ledger.filter(pl.col("source_id") == source_id)
    return original.filter(pl.col("verdict").is_in(["kept", "duplicate"])).is_empty()


def _false(domain: Domain) -> list[tuple[str, str, str, str, str]]:
    """Records set aside as a copy or unreadable, though neither they nor any record of their cluster were planted or copied."""
    here = domain.planted.filter(pl.col("domain").is_null() | (pl.col("domain") == domain.name))
    known = pl.concat([domain.planted["source_id"], here["of"].drop_nulls()]).unique()
    planted = pl.col("source_id").is_in(known.implode())
    clusters = domain.ledger.filter(planted & pl.col("cluster").is_not_null())["cluster"].unique()
    excused = planted | (pl.col("cluster").is_not_null() & pl.col("cluster").is_in(clusters.implode()))
    wrong = domain.ledger.filter(pl.col("verdict").is_in(FALSE_VERDICTS) & ~excused).sort("source_id")
    return [
        (domain.name, source_id, verdict, "false", reason)
        for source_id, verdict, reason in wrong.select("source_id", "verdict", "reason").iter_rows()
    ]
