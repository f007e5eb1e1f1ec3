"""Copies within a domain: the same bytes, the same pixels, or near copies. The best copy stays; two labels spoil all copies.

The best copy has the most pixels of its own (what a plain frame adds does not count), then colours where others are grey, a
lossless format, no turn by EXIF, and last the smaller source_id; if another copy is as good in all but the name and lies as
most of them do, it takes its place. What a hand kept or relabelled comes before all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipelines.clusters import clusters, links
from pipelines.copies import Seen, ThumbRows, agreements, own_share, pairs_within
from pipelines.copy_verdicts import Members, verdicts
from pipelines.curation import Duplicates
from pipelines.evidence import EVIDENCE, compared_rows, exact_pairs, near_rows, same_shape, shape, sides
from pipelines.features import Features
from pipelines.images import GREY_MODES
from pipelines.ledger import give

LOSSY = ("JPEG", "MPO", "WEBP")
GUARD_SLACK = 0.03  # of agreement that a member of a cluster may lack to its keeper, where others link the two


def deduplicate(
    ledger: pl.DataFrame, thumbs: ThumbRows, settings: Duplicates | None, features: Features | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Set copies aside: the ledger with verdicts duplicate and label_conflict, `cluster` and `kept_key`, and the evidence.

    Only records without a verdict, and those kept by hand, take part; `thumbs` has the thumbnail of each that can be read.
    With `settings`, resized, cut, framed, coded again, recoloured, mirrored and turned copies are looked for too; `features`
    propose pairs beside the hashes. Every member of a cluster, the keeper too, carries the keeper's key in `cluster`. Where
    members carry different labels all are label_conflict, unless a hand kept or relabelled one. A mirrored or turned copy
    counts only under the same label: where orientation is meaning, as in b and d, it is another picture. The result does not
    depend on the order of the rows.
    """
    open_records = ledger.filter(pl.col("verdict").is_null() | (pl.col("override") == "keep"))
    ranked = rank(open_records, _shares(open_records, thumbs) if settings else None)
    evidence = exact_pairs(ranked)
    compared = None
    if settings:
        compared = _Compared.of(ranked, thumbs, features if "features" in settings.proposals else None)
        evidence = pl.concat([evidence, compared.evidence(settings)])
    rows = {row["key"]: row for row in _with_copies(ranked, evidence).select(*ROW).iter_rows(named=True)}
    given: list[dict[str, Any]] = []
    named: dict[str, str] = {}
    indirect = []
    for members in _all_clusters(rows, evidence, compared, settings):
        keeper = next(iter(members))
        named |= dict.fromkeys(members, keeper)
        given += verdicts(members, rows)
        indirect += [(keeper, key, near) for key, near in members.items() if near and not near.direct]
    evidence = pl.concat([evidence, compared_rows(indirect)]).unique(["key_a", "key_b"], keep="first").sort("key_a", "key_b")
    schema = {"key": pl.String, "verdict": pl.String, "reason": pl.String, "kept_key": pl.String}
    decided = give(ledger, pl.DataFrame(given, schema=schema))
    return _with_clusters(decided, named), evidence


ROW = ("key", "label", "sha256", "pixel_hash", "override", "goodness")


def rank(records: pl.DataFrame, shares: pl.DataFrame | None = None) -> pl.DataFrame:
    """Records from the best copy to the worst, with `goodness`, a number that is equal where only the name decides.

    `shares` (key, share) tells how much of a picture lies within a plain frame; all of it where it does not tell.
    """
    by_hand = pl.col("override").replace_strict({"keep": 0, "relabel": 1}, default=2, return_dtype=pl.Int8)
    grey = pl.col("mode").is_in(GREY_MODES) | pl.col("mode").str.starts_with("I;16")
    marks = [by_hand, -pl.col("own").round(), grey, pl.col("format").is_in(LOSSY), pl.col("exif_orientation") != 1]
    known = records.with_columns(share=pl.lit(1.0)) if shares is None else records.join(shares, on="key", how="left")
    area = pl.col("width").cast(pl.Float64) * pl.col("height")
    with_own = known.with_columns(own=area * pl.col("share").fill_null(1.0))
    ordered = with_own.sort(*marks, "source_id", "key", nulls_last=True)
    goodness = pl.struct(mark.fill_null(0).alias(str(place)) for place, mark in enumerate(marks)).rle_id()
    return ordered.with_columns(goodness=goodness).drop("own", "share")


def _shares(records: pl.DataFrame, thumbs: ThumbRows) -> pl.DataFrame:
    """key and share of what lies within a plain frame, of the records that can be read."""
    keys = records.filter(pl.col("pixel_hash").is_not_null())["key"]
    return pl.DataFrame({"key": keys, "share": own_share(thumbs.pick(keys))}, schema={"key": pl.String, "share": pl.Float64})


@dataclass(frozen=True)
class _Compared:
    """The best of each group of equal pixels, as the search for near copies sees them. Rows in the order of their keys."""

    heads: pl.DataFrame  # key, label, labels (how many its group has), shape
    seen: Seen

    @classmethod
    def of(cls, ranked: pl.DataFrame, thumbs: ThumbRows, features: Features | None) -> "_Compared":
        readable = ranked.filter(pl.col("pixel_hash").is_not_null())
        counted = readable.with_columns(labels=pl.col("label").n_unique().over("pixel_hash"), shape=shape())
        heads = counted.unique("pixel_hash", keep="first", maintain_order=True).sort("key")
        keys = heads["key"]
        seen = Seen(thumbs.pick(keys), sides(heads), None if features is None else features.rows(keys))
        return cls(heads.select("key", "label", "labels", "shape"), seen)

    def evidence(self, settings: Duplicates) -> pl.DataFrame:
        keys = self.heads["key"]
        pairs = near_rows(pairs_within(self.seen, settings.turns), keys, keys, settings.agreement)
        both = pairs.join(self.heads, left_on="key_a", right_on="key").join(
            self.heads, left_on="key_b", right_on="key", suffix="_b"
        )
        one_label = (pl.col("label") == pl.col("label_b")) & (pl.col("labels") == 1) & (pl.col("labels_b") == 1)
        counts = pl.col("copies") & ((pl.col("transform") == "none") | one_label)
        return both.filter(same_shape("shape", "shape_b")).with_columns(copies=counts).select(list(EVIDENCE))

    def compare(self, asked: Sequence[tuple[str, str, str]]) -> list[float]:
        """How well pictures (key, other key, turn of the first) agree."""
        keys = self.heads["key"]  # sorted
        a, b = (keys.search_sorted(pl.Series([pair[side] for pair in asked])).to_numpy().astype(np.int64) for side in (0, 1))
        return [float(agreement) for agreement in agreements(self.seen, a, b, [pair[2] for pair in asked])]


def _with_copies(ranked: pl.DataFrame, evidence: pl.DataFrame) -> pl.DataFrame:
    """The records that may have a copy, in their order: only these are held as Python's objects."""
    linked = evidence.filter("copies")
    keys = pl.concat([linked["key_a"], linked["key_b"]]).unique().implode()
    of_pixels = pl.coalesce("pixel_hash", "sha256")
    return ranked.filter((pl.len().over(of_pixels) > 1) | pl.col("key").is_in(keys))


def _all_clusters(
    rows: dict[str, dict[str, Any]], evidence: pl.DataFrame, compared: _Compared | None, settings: Duplicates | None
) -> list[Members]:
    """Clusters of two or more, keeper first; each member with how it lies to the keeper, None if its pixels are the same.

    `rows` run from the best copy to the worst.
    """
    groups: dict[str, list[str]] = {}
    for key, row in rows.items():
        groups.setdefault(row["pixel_hash"] or row["sha256"], []).append(key)
    group_of = {keys[0]: keys for keys in groups.values()}
    found: list[Members] = []
    clustered: set[str] = set()
    if compared and settings:
        least = settings.agreement - GUARD_SLACK
        weights = {head: (rows[head]["goodness"], len(keys)) for head, keys in group_of.items()}
        for near in clusters(weights, links(evidence), compared.compare, least):
            clustered |= near.keys()
            keeper, *others = near
            members: Members = dict.fromkeys(group_of[keeper])
            members |= {key: near[other] for other in others for key in group_of[other]}
            found.append(members)
    return found + [dict.fromkeys(keys) for head, keys in group_of.items() if len(keys) > 1 and head not in clustered]


def _with_clusters(ledger: pl.DataFrame, clusters: dict[str, str]) -> pl.DataFrame:
    found = pl.DataFrame(
        {"key": list(clusters), "found": list(clusters.values())}, schema={"key": pl.String, "found": pl.String}
    )
    joined = ledger.join(found, on="key", how="left", maintain_order="left")
    return joined.with_columns(cluster=pl.coalesce("found", "cluster")).select(ledger.columns)
