"""The collection: which domains, in which role, with which digests, and what must not be trained on."""

from typing import Any

import polars as pl

from pipelines.cards import load_card
from pipelines.copies import ThumbRows
from pipelines.encode import ENCODING, read_encoded
from pipelines.features import FILE, map_features
from pipelines.files import atomic_path, read_json, sha256_file, write_json
from pipelines.layout import Layout
from pipelines.overlap import Prints, exclusions, find_overlap, refuse_same_domain
from pipelines.params import Params
from pipelines.publishing.croissant import TITLE, collection_croissant
from pipelines.publishing.described import describe
from pipelines.sums import domain_digest


def collect(params: Params, layout: Layout) -> dict[str, Any]:
    """Write `collections/manifest.json`, `overlap.parquet` and `croissant.json` over the listed domains; returns the manifest.

    Raises ValueError if two domains hold the same images or a domain's licence is not allowed.
    """
    for name in params.domains:
        params.require_allowed(name, load_card(layout.card(name)).licence, layout.params)
    prints = {name: read_prints(layout, name) for name in params.domains}
    overlap = find_overlap(prints, params.curation.duplicates)
    refuse_same_domain(overlap, {name: found.rows.height for name, found in prints.items()})
    excluded = exclusions(overlap, dict(params.domains)).sort("domain", "key", "because_domain", "because_key")
    domains = {name: _entry(layout, name, role) for name, role in params.domains.items()}
    encoders = sorted({str(read_json(layout.features(name) / "source.json")["encoder_digest"]) for name in params.domains})
    if len(encoders) != 1:
        raise ValueError(f"features/: made by {len(encoders)} different encoders; run `dvc repro` to embed again")
    manifest = {
        "version": 1,
        "encoder": encoders[0],
        "encoding": _encoding(params, layout),
        "domains": domains,
        "licences": _by_licence(domains),
        "exclusions": excluded.to_dicts(),
    }
    with atomic_path(layout.overlap) as path:
        overlap.write_parquet(path)
    described = [describe(layout.domain(name), load_card(layout.card(name))) for name in params.domains]
    write_json(layout.croissant, collection_croissant(described, TITLE))
    manifest |= {"croissant": sha256_file(layout.croissant), "overlap": sha256_file(layout.overlap)}
    write_json(layout.manifest, manifest)
    return manifest


def _encoding(params: Params, layout: Layout) -> dict[str, Any]:
    """What all domains are encoded by for training. Raises ValueError naming two that differ, or one that is stale."""
    found = {name: read_encoded(layout, name) for name in params.domains}
    for name, about in found.items():
        if about["domain_digest"] != domain_digest(layout.domain(name)):
            raise ValueError(f"{layout.encoded(name)}: older than the shards in {layout.domain(name)}; run `dvc repro`")
    facts = {name: {field: about[field] for field in ENCODING} for name, about in found.items()}
    first, encoding = next(iter(facts.items()))
    for name, other in facts.items():
        if other != encoding:
            raise ValueError(
                f"encoded/: {first} is encoded by {_told(encoding)}, {name} by {_told(other)}; name a model's revision "
                "(hub:ID@REVISION) if the Hub changed it, and say `dvc repro -f -s encode`, then `dvc repro`"
            )
    return encoding


def _told(encoding: dict[str, Any]) -> str:
    return f"{encoding['encoder']} ({encoding['encoder_digest'][:8]}, {encoding['views']} views)"


def _by_licence(domains: dict[str, Any]) -> dict[str, Any]:
    """For each licence the domains that carry it and their images."""
    found: dict[str, Any] = {}
    for name, entry in domains.items():
        of_licence = found.setdefault(entry["licence"], {"domains": [], "images": 0})
        of_licence["domains"].append(name)
        of_licence["images"] += entry["images"]
    return found


def read_prints(layout: Layout, name: str) -> Prints:
    """What the kept images of a domain are compared by, in the order of its index."""
    folder = layout.domain(name)
    index = pl.read_parquet(folder / "index.parquet", columns=["key"])
    rows = index.join(pl.read_parquet(folder / "fingerprints.parquet"), on="key", how="left", maintain_order="left")
    features_ND = map_features(layout.features(name) / FILE)
    if rows["thumb"].null_count() or len(features_ND) != rows.height:
        raise ValueError(f"{folder}: fingerprints, features and index differ; run `dvc repro`")
    return Prints(rows.drop("thumb"), ThumbRows.of(rows["key"], rows["thumb"]), features_ND)


def _entry(layout: Layout, name: str, role: str) -> dict[str, Any]:
    card = load_card(layout.card(name))
    stats = read_json(layout.domain(name) / "stats.json")
    features = read_json(layout.features(name) / "source.json")
    return {
        "role": role,
        "title": card.title,
        "subject": card.domain,
        "licence": card.licence,
        "digest": domain_digest(layout.domain(name)),
        "features_digest": features["features_digest"],
        "encoded_digest": domain_digest(layout.encoded(name)),
        "images": stats["kept"],
        **{field: stats[field] for field in ("classes", "split_by", "splits", "verdicts", "raw_bytes", "shard_bytes")},
    }
