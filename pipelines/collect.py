"""The collection: which domains, in which role, with which digests, and what must not be trained on."""

from typing import Any

import polars as pl

from pipelines.cards import load_card
from pipelines.files import atomic_path, read_json, write_json
from pipelines.layout import Layout
from pipelines.overlap import exclusions, find_overlap, refuse_same_domain
from pipelines.params import Params
from pipelines.publish import domain_digest


def collect(params: Params, layout: Layout) -> dict[str, Any]:
    """Write `collections/manifest.json` and `overlap.parquet` over the listed domains; returns the manifest.

    Raises ValueError if two domains hold the same images or a domain's licence is not allowed.
    """
    for name in params.domains:
        params.require_allowed(name, load_card(layout.card(name)).licence, layout.params)
    prints = {name: _kept_fingerprints(layout, name) for name in params.domains}
    overlap = find_overlap(prints)
    refuse_same_domain(overlap, {name: frame.height for name, frame in prints.items()})
    excluded = exclusions(overlap, dict(params.domains)).sort("domain", "key", "because_domain", "because_key")
    domains = {name: _entry(layout, name, role) for name, role in params.domains.items()}
    encoders = sorted({str(read_json(layout.features(name) / "source.json")["encoder_digest"]) for name in params.domains})
    if len(encoders) != 1:
        raise ValueError(f"features/: made by {len(encoders)} different encoders; run `dvc repro` to embed again")
    manifest = {
        "version": 1,
        "encoder": encoders[0],
        "domains": domains,
        "licences": _by_licence(domains),
        "exclusions": excluded.to_dicts(),
    }
    with atomic_path(layout.overlap) as path:
        overlap.write_parquet(path)
    write_json(layout.manifest, manifest)
    return manifest


def _by_licence(domains: dict[str, Any]) -> dict[str, Any]:
    """For each licence the domains that carry it and their images."""
    found: dict[str, Any] = {}
    for name, entry in domains.items():
        of_licence = found.setdefault(entry["licence"], {"domains": [], "images": 0})
        of_licence["domains"].append(name)
        of_licence["images"] += entry["images"]
    return found


def _kept_fingerprints(layout: Layout, name: str) -> pl.DataFrame:
    folder = layout.domain(name)
    kept = pl.read_parquet(folder / "index.parquet", columns=["key"])
    return pl.read_parquet(folder / "fingerprints.parquet").join(kept, on="key", how="semi")


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
        "images": stats["kept"],
        **{field: stats[field] for field in ("classes", "split_by", "splits", "verdicts", "raw_bytes", "shard_bytes")},
    }
