"""Leakage between domains: images that occur in more than one, and what must stay out of training for it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.copies import Seen, ThumbRows, pairs_within
from pipelines.copies.stacked import StackedFeatures, StackedThumbs
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
    confirm. All domains are searched at once, so the work grows with the images and not with the pairs of domains.
    """
    names = sorted(name for name, found in prints.items() if found.rows.height)
    if len(names) < 2:
        return pl.DataFrame(schema=OVERLAP)
    rows = pl.concat([prints[name].rows.with_columns(domain=pl.lit(name)) for name in names], how="diagonal")
    exact = [_equal(rows, column, step) for column, step in (("sha256", "bytes"), ("pixel_hash", "pixels"))]
    pairs = pl.concat([*exact, _near([prints[name] for name in names], rows, settings)])
    first = pairs.unique(["domain_a", "key_a", "domain_b", "key_b"], keep="first", maintain_order=True)
    return first.select(list(OVERLAP)).sort("domain_a", "domain_b", "key_a", "key_b")


def _near(prints: Sequence[Prints], rows: pl.DataFrame, settings: Duplicates) -> pl.DataFrame:
    """Evidence of near copies in different domains; `rows` are those of all, one domain's behind the other's."""
    parts = [one.seen() for one in prints]
    features = [part.features for part in parts if isinstance(part.features, FeatureRows)]
    seen = Seen(
        StackedThumbs([one.thumbs for one in prints]),
        np.concatenate([part.sides_N for part in parts]),
        StackedFeatures(features) if len(features) == len(parts) and "features" in settings.proposals else None,
        np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
    )
    pairs = pairs_within(seen, settings.turns).filter(pl.col("agreement") >= settings.agreement)
    found = near_rows(pairs, rows["key"], rows["key"], settings.agreement)
    return found.with_columns(
        domain_a=pl.Series(rows["domain"].gather(pairs["a"])), domain_b=pl.Series(rows["domain"].gather(pairs["b"]))
    ).drop("copies")


def _equal(rows: pl.DataFrame, column: str, step: str) -> pl.DataFrame:
    named = rows.select(column, "domain", "key")
    both = named.join(named, on=column, suffix="_b").filter(pl.col("domain") < pl.col("domain_b"))
    pairs = both.select(domain_a="domain", key_a="key", domain_b="domain_b", key_b="key_b")
    certain = exact_rows(pairs.select("key_a", "key_b", pl.lit(step).alias("step")))
    return certain.with_columns(pairs["domain_a"], pairs["domain_b"]).drop("copies")


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
