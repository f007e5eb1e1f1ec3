"""Copies within a domain: the same bytes, the same pixels, or near copies. The best copy stays; two labels spoil all copies.

A keeper and the records that agree with it directly make a cluster; agreement is not handed on from copy to copy, so a chain of
small changes never merges its ends.
"""

import math
from collections.abc import Iterator
from typing import Any

import polars as pl

from pipelines.ledger import give
from pipelines.near import looks, pairs_within, thumbs_of

LOSSY = ("JPEG", "MPO", "WEBP")
QUARTER_TURNS = ("turned 90", "turned 270", "transposed", "transversed")
SHAPE_TOLERANCE = 1.5  # between the proportions of two copies: people squash pictures, but a bar is no square
INVERSE = {"turned 90": "turned 270", "turned 270": "turned 90"}
EVIDENCE: dict[str, type[pl.DataType]] = {
    "key_a": pl.String,
    "key_b": pl.String,
    "step": pl.String,  # bytes, pixels or near
    "distance": pl.Int32,  # bits between the perceptual hashes; 0 for exact copies
    "agreement": pl.Float32,  # 0 to 1
    "transform": pl.String,  # what turns the picture of key_a into that of key_b
}
Links = dict[str, dict[str, tuple[str, float]]]


def deduplicate(ledger: pl.DataFrame, thumbs: pl.DataFrame, near: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Set copies aside: the ledger with verdicts duplicate and label_conflict, `cluster` and `kept_key`, and the evidence.

    `thumbs` has key and thumb; only records without a verdict, and those kept by hand, take part. `near` also looks for
    resized, coded again, mirrored and turned copies. Every member of a cluster, the keeper too, carries the keeper's key in
    `cluster`. Where members carry different labels all are label_conflict, unless a hand kept or relabelled one. A mirrored or turned copy counts only under the same label: where orientation is
    meaning, as in b and d, it is another picture. The result does not depend on the order of the rows.
    """
    ranked = rank(ledger.filter(pl.col("verdict").is_null() | (pl.col("override") == "keep")))
    evidence = exact_pairs(ranked)
    if near:
        evidence = pl.concat([evidence, _near_evidence(ranked, thumbs)])
    evidence = evidence.sort("key_a", "key_b")
    rows = {row["key"]: row for row in ranked.select("key", "label", "sha256", "pixel_hash", "override").iter_rows(named=True)}
    given: list[dict[str, Any]] = []
    clusters: dict[str, str] = {}
    for members in _clusters(rows, _links(evidence, "near")):
        clusters |= dict.fromkeys(members, next(iter(members)))
        given += _verdicts(members, rows)
    schema = {"key": pl.String, "verdict": pl.String, "reason": pl.String, "kept_key": pl.String}
    decided = give(ledger, pl.DataFrame(given, schema=schema))
    return _with_clusters(decided, clusters), evidence


def rank(records: pl.DataFrame) -> pl.DataFrame:
    """Records from the best copy to the worst: kept or relabelled by hand, larger area, lossless format, not turned by EXIF.

    Of what is equal in all, the smaller source_id.
    """
    by_hand = pl.col("override").replace_strict({"keep": 0, "relabel": 1}, default=2, return_dtype=pl.Int8)
    area = pl.col("width").cast(pl.Int64) * pl.col("height")
    return records.sort(
        by_hand, -area, pl.col("format").is_in(LOSSY), pl.col("exif_orientation") != 1, "source_id", "key", nulls_last=True
    )


def exact_pairs(ranked: pl.DataFrame) -> pl.DataFrame:
    """Each exact copy beside the best of its kind: the best with the same bytes, or of those the best with the same pixels."""
    first = ranked.with_columns(
        same_bytes=pl.col("key").first().over("sha256"),
        same_pixels=pl.col("key").first().over(pl.coalesce("pixel_hash", "sha256")),
    )
    by_bytes = first.filter(pl.col("key") != pl.col("same_bytes")).select("key", other="same_bytes", step=pl.lit("bytes"))
    by_pixels = first.filter((pl.col("key") == pl.col("same_bytes")) & (pl.col("key") != pl.col("same_pixels")))
    both = pl.concat([by_bytes, by_pixels.select("key", other="same_pixels", step=pl.lit("pixels"))])
    return both.select(
        pl.min_horizontal("key", "other").alias("key_a"),
        pl.max_horizontal("key", "other").alias("key_b"),
        "step",
        pl.lit(0, pl.Int32).alias("distance"),
        pl.lit(1.0, pl.Float32).alias("agreement"),
        pl.lit("none").alias("transform"),
    )


def _near_evidence(ranked: pl.DataFrame, thumbs: pl.DataFrame) -> pl.DataFrame:
    """Near copies among the best of each group of equal pixels."""
    with_labels = ranked.with_columns(labels=pl.col("label").n_unique().over(pl.coalesce("pixel_hash", "sha256")))
    heads = with_labels.unique("pixel_hash", keep="first", maintain_order=True).select("key", "label", "labels", shape=_shape())
    seen = heads.join(thumbs.drop_nulls(), on="key").sort("key").with_row_index("row")
    if seen.is_empty():
        return pl.DataFrame(schema=EVIDENCE)
    pairs = pairs_within(looks(thumbs_of(seen["thumb"])))
    sides = seen.select(pl.col("row").cast(pl.Int64), "key", "label", "labels", "shape")
    both = pairs.join(sides, left_on="a", right_on="row").join(sides, left_on="b", right_on="row", suffix="_b")
    one_label = (pl.col("label") == pl.col("label_b")) & (pl.col("labels") == 1) & (pl.col("labels_b") == 1)
    counted = both.filter((pl.col("transform") == "none") | one_label).filter(_same_shape())
    return counted.select(
        key_a="key", key_b="key_b", step=pl.lit("near"), distance="distance", agreement="agreement", transform="transform"
    )


def _shape() -> pl.Expr:
    """Width over height of the upright picture."""
    stored = pl.col("width") / pl.col("height")
    return pl.when(pl.col("exif_orientation") >= 5).then(1 / stored).otherwise(stored)


def _same_shape() -> pl.Expr:
    """Whether two pictures, squashed alike in their thumbnails, have the same proportions."""
    ours = pl.when(pl.col("transform").is_in(QUARTER_TURNS)).then(1 / pl.col("shape")).otherwise(pl.col("shape"))
    return (ours / pl.col("shape_b")).log().abs() <= math.log(SHAPE_TOLERANCE)


def _links(evidence: pl.DataFrame, step: str) -> Links:
    """key -> other key -> (how the other turns into it, agreement), both ways."""
    links: Links = {}
    for row in evidence.filter(pl.col("step") == step).iter_rows(named=True):
        turn = row["transform"]
        links.setdefault(row["key_b"], {})[row["key_a"]] = (turn, row["agreement"])
        links.setdefault(row["key_a"], {})[row["key_b"]] = (INVERSE.get(turn, turn), row["agreement"])
    return links


Members = dict[str, tuple[str, float] | None]


def _clusters(rows: dict[str, dict[str, Any]], links: Links) -> Iterator[Members]:
    """Clusters of two or more, keeper first; each member with how it is near to the keeper, None if its pixels are the same.

    `rows` run from the best copy to the worst: the best that is still free takes all free ones that agree with it.
    """
    groups: dict[str, list[str]] = {}
    for key, row in rows.items():
        groups.setdefault(row["pixel_hash"] or row["sha256"], []).append(key)
    group_of = {keys[0]: keys for keys in groups.values()}
    free = set(group_of)
    for head, keys in group_of.items():
        if head not in free:
            continue
        joined = [other for other in links.get(head, {}) if other in free]
        free -= {head, *joined}
        members: Members = dict.fromkeys(keys)
        members |= {key: links[other][head] for other in joined for key in group_of[other]}
        if len(members) > 1:
            yield members


def _verdicts(members: Members, rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    keeper = next(iter(members))
    labels = {rows[key]["label"] for key in members}
    if spoken := _spoken_for(members, rows):
        return _verdicts_by_hand(members, rows, spoken)
    if len(labels) == 1:
        return [
            {"key": key, "verdict": "duplicate", "reason": _reason(key, keeper, members, rows), "kept_key": keeper}
            for key in members
            if key != keeper
        ]
    given = []
    for key in members:
        others = [other for other in members if rows[other]["label"] != rows[key]["label"]]
        other = min(others, key=lambda name: _strangeness(rows[name], rows[key]))
        reason = f"{_reason(key, other, members, rows)}, which is labelled {rows[other]['label']!r}"
        given.append({"key": key, "verdict": "label_conflict", "reason": reason, "kept_key": None})
    return given


def _spoken_for(members: Members, rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    """label -> the record that a hand set for it: those kept, else those relabelled; none where relabelled ones disagree."""
    kept, relabelled = ([key for key in members if rows[key]["override"] == hand] for hand in ("keep", "relabel"))
    spoken = {rows[key]["label"]: key for key in reversed(kept or relabelled)}
    return spoken if kept or len(spoken) == 1 else {}


def _verdicts_by_hand(members: Members, rows: dict[str, dict[str, Any]], spoken: dict[str, str]) -> list[dict[str, Any]]:
    """Copies with a label that a hand set are duplicates of its record, the others are label_conflict; what it kept stays."""
    given = []
    for key in members:
        label = rows[key]["label"]
        keeper = spoken.get(label)
        if key == keeper or rows[key]["override"] == "keep":
            continue
        other = keeper or next(iter(spoken.values()))
        reason = _reason(key, other, members, rows)
        if keeper is None:
            how = "kept by hand under" if rows[other]["override"] == "keep" else "relabelled by hand to"
            reason += f", which was {how} {rows[other]['label']!r}"
        verdict = "duplicate" if keeper else "label_conflict"
        given.append({"key": key, "verdict": verdict, "reason": reason, "kept_key": keeper})
    return given


def _strangeness(one: dict[str, Any], other: dict[str, Any]) -> tuple[bool, bool]:
    return one["sha256"] != other["sha256"], one["pixel_hash"] != other["pixel_hash"]


def _reason(key: str, other: str, members: Members, rows: dict[str, dict[str, Any]]) -> str:
    if rows[key]["sha256"] == rows[other]["sha256"]:
        return f"same bytes as {other}"
    if rows[key]["pixel_hash"] == rows[other]["pixel_hash"]:
        return f"same pixels as {other}"
    keeper = next(iter(members))
    near = members[key] if members[other] is None else members[other] if members[key] is None else None
    if near is None:
        return f"like {other} a near copy of {keeper}"
    turn, agreement = near
    return f"near copy of {other} ({'' if turn == 'none' else turn + ', '}agreement {agreement:.2f})"


def _with_clusters(ledger: pl.DataFrame, clusters: dict[str, str]) -> pl.DataFrame:
    found = pl.DataFrame(
        {"key": list(clusters), "found": list(clusters.values())}, schema={"key": pl.String, "found": pl.String}
    )
    joined = ledger.join(found, on="key", how="left", maintain_order="left")
    return joined.with_columns(cluster=pl.coalesce("found", "cluster")).select(ledger.columns)
