"""Leakage between domains: images that occur in more than one, and what must stay out of training for it."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.copies import Seen, ThumbRows, pairs_between
from pipelines.curation import Duplicates
from pipelines.evidence import EVIDENCE, exact_rows, near_rows
from pipelines.features import FeatureRows

SAME_DOMAIN = 0.9  # share of the smaller domain
OVERLAP: dict[str, type[pl.DataType]] = {
    "domain_a": pl.String,
    "key_a": pl.String,
    "domain_b": pl.String,
    **{name: kind for name, kind in EVIDENCE.items() if name not in ("key_a", "copies")},
}


class Prints(NamedTuple):
    """What the kept images of a domain are compared by, in one order. `rows`: key, sha256, pixel_hash, side (px)."""

    rows: pl.DataFrame
    thumbs: ThumbRows
    features_ND: npt.NDArray[np.float32] | None = None

    def seen(self) -> Seen:
        """The images as the search for near copies sees them."""
        features = None if self.features_ND is None else FeatureRows.of(self.features_ND)
        return Seen(self.thumbs, self.rows["side"].cast(pl.Float32).to_numpy(), features)


def find_overlap(prints: Mapping[str, Prints], settings: Duplicates) -> pl.DataFrame:
    """Images that occur in two domains: one row a pair, with the strictest step that holds. domain_a < domain_b, sorted.

    The steps are those within a domain: equal bytes, equal pixels, and near copies that hashes or features propose and pixels
    confirm.
    """
    seen = {domain: found.seen() for domain, found in prints.items()}
    found = [pl.DataFrame(schema=OVERLAP)]
    for one, other in combinations(sorted(prints), 2):
        pairs = _between(prints[one], prints[other], seen[one], seen[other], settings)
        found.append(pairs.with_columns(domain_a=pl.lit(one), domain_b=pl.lit(other)).select(list(OVERLAP)))
    return pl.concat(found).sort("domain_a", "domain_b", "key_a", "key_b")


def _between(ours: Prints, theirs: Prints, our_seen: Seen, their_seen: Seen, settings: Duplicates) -> pl.DataFrame:
    pairs = pairs_between(our_seen, their_seen, settings.turns)
    near = near_rows(pairs, ours.rows["key"], theirs.rows["key"], settings.agreement).filter("copies")
    exact = [_equal(ours.rows, theirs.rows, column, step) for column, step in (("sha256", "bytes"), ("pixel_hash", "pixels"))]
    return pl.concat([*exact, near]).unique(["key_a", "key_b"], keep="first", maintain_order=True)


def _equal(ours: pl.DataFrame, theirs: pl.DataFrame, column: str, step: str) -> pl.DataFrame:
    both = ours.select(column, key_a="key").join(theirs.select(column, key_b="key"), on=column)
    return exact_rows(both.select("key_a", "key_b", pl.lit(step).alias("step")))


def exclusions(overlap: pl.DataFrame, roles: dict[str, str]) -> pl.DataFrame:
    """What must stay out of training: images of train and spare domains that occur in held_out ones, each with one reason.

    Columns domain, key, because_domain, because_key; sorted. `roles` maps a domain to train, held_out or spare.
    """
    forward = overlap.select(domain="domain_a", key="key_a", because_domain="domain_b", because_key="key_b")
    backward = overlap.select(domain="domain_b", key="key_b", because_domain="domain_a", because_key="key_a")
    held_out = [domain for domain, role in roles.items() if role == "held_out"]
    trained = [domain for domain, role in roles.items() if role != "held_out"]
    both = pl.concat([forward, backward]).filter(pl.col("domain").is_in(trained) & pl.col("because_domain").is_in(held_out))
    return both.sort(both.columns).unique(["domain", "key"], keep="first", maintain_order=True)


def same_domain(overlap: pl.DataFrame, sizes: dict[str, int]) -> list[tuple[str, str, float]]:
    """Pairs of domains of which the smaller lies in the other for SAME_DOMAIN or more: (smaller, other, share)."""
    found = []
    for one, other in overlap.select("domain_a", "domain_b").unique().sort("domain_a", "domain_b").iter_rows():
        pairs = overlap.filter((pl.col("domain_a") == one) & (pl.col("domain_b") == other))
        first_is_smaller = sizes[one] <= sizes[other]
        shared = pairs["key_a" if first_is_smaller else "key_b"].n_unique()
        smaller, larger = (one, other) if first_is_smaller else (other, one)
        share = shared / max(1, sizes[smaller])
        if share >= SAME_DOMAIN:
            found.append((smaller, larger, share))
    return found


def refuse_same_domain(overlap: pl.DataFrame, sizes: dict[str, int]) -> None:
    """Raise ValueError (one line) if two domains hold the same images: training and judging on them would mean nothing."""
    for smaller, larger, share in same_domain(overlap, sizes):
        raise ValueError(
            f"domains {smaller} and {larger} hold the same images ({share:.0%} of {smaller} occur in {larger}); "
            "take one of them out of `domains:` in params.yaml"
        )
