"""Leakage between domains: images that occur in more than one, and what must stay out of training for it."""

from itertools import combinations

import polars as pl

from pipelines.near import Looks, looks, pairs_between, thumbs_of

SAME_DOMAIN = 0.9  # share of the smaller domain
OVERLAP: dict[str, type[pl.DataType]] = {
    "domain_a": pl.String,
    "key_a": pl.String,
    "domain_b": pl.String,
    "key_b": pl.String,
    "step": pl.String,  # bytes, pixels or near: the strictest that holds
    "distance": pl.Int32,  # bits between the perceptual hashes; 0 for exact copies
    "agreement": pl.Float32,  # 0 to 1
    "transform": pl.String,  # what turns the picture of key_a into that of key_b
}


def find_overlap(fingerprints: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Images that occur in two domains: one row a pair, with the strictest step that holds. domain_a < domain_b, sorted.

    `fingerprints` maps a domain to key, sha256, pixel_hash and thumb of its kept records.
    """
    seen = {domain: looks(thumbs_of(frame["thumb"])) for domain, frame in fingerprints.items()}
    found = [pl.DataFrame(schema=OVERLAP)]
    for one, other in combinations(sorted(fingerprints), 2):
        pairs = _between(fingerprints[one], fingerprints[other], seen[one], seen[other])
        found.append(pairs.with_columns(domain_a=pl.lit(one), domain_b=pl.lit(other)).select(list(OVERLAP)))
    return pl.concat(found).sort("domain_a", "domain_b", "key_a", "key_b")


def _between(ours: pl.DataFrame, theirs: pl.DataFrame, our_looks: Looks, their_looks: Looks) -> pl.DataFrame:
    near = pairs_between(our_looks, their_looks)
    keys_a = ours.select(pl.col("key").alias("key_a")).with_row_index("a").cast({"a": pl.Int64})
    keys_b = theirs.select(pl.col("key").alias("key_b")).with_row_index("b").cast({"b": pl.Int64})
    named = near.join(keys_a, on="a").join(keys_b, on="b").with_columns(step=pl.lit("near"))
    columns = [name for name in OVERLAP if not name.startswith("domain")]
    found = [_equal(ours, theirs, "sha256", "bytes"), _equal(ours, theirs, "pixel_hash", "pixels"), named.select(columns)]
    return pl.concat(found).unique(["key_a", "key_b"], keep="first", maintain_order=True)


def _equal(ours: pl.DataFrame, theirs: pl.DataFrame, column: str, step: str) -> pl.DataFrame:
    both = ours.select(column, key_a="key").join(theirs.select(column, key_b="key"), on=column)
    return both.select(
        "key_a",
        "key_b",
        pl.lit(step).alias("step"),
        pl.lit(0, pl.Int32).alias("distance"),
        pl.lit(1.0, pl.Float32).alias("agreement"),
        pl.lit("none").alias("transform"),
    )


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
