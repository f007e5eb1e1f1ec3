"""What stands beside the shards: statistics, provenance, a Hugging Face card, Croissant, checksums."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.cards import Card
from pipelines.curation import Curation
from pipelines.files import sha256_file, write_json, write_text
from pipelines.ledger import SPLITS, counts
from pipelines.overrides import NO_OVERRIDES, Overrides
from pipelines.publishing.croissant import NAME as CROISSANT
from pipelines.publishing.croissant import domain_croissant
from pipelines.publishing.described import describe, image_formats
from pipelines.publishing.hub_card import domain_card
from pipelines.quality import tails
from pipelines.split import Split
from pipelines.sums import SUMS, domain_digest, sums_of, sums_text

__all__ = ["SUMS", "domain_digest", "provenance", "publish", "statistics"]


def statistics(ledger: pl.DataFrame, index: pl.DataFrame, split: Split, shard_bytes: int) -> dict[str, Any]:
    """Counts of a domain: verdicts (adding up to records), splits, groups and units, classes before and after; what each
    threshold of quality would set aside."""
    before = dict(ledger.group_by("label").len().iter_rows())
    after = dict(index.group_by("label").len().iter_rows())
    splits = {
        name: {"images": part.height, "classes": part["label"].n_unique(), "bytes": int(part["size"].sum())}
        for name in SPLITS
        if (part := index.filter(pl.col("split") == name)).height
    }
    return {
        "records": ledger.height,
        "kept": index.height,
        "classes": len(after),
        "verdicts": counts(ledger),
        "raw_bytes": int(ledger["bytes"].sum()),
        "shard_bytes": shard_bytes,
        "split_by": split.by,
        "split_reason": split.reason,
        "splits": splits,
        "quality": tails(ledger).to_dicts(),
        "groups": ledger["group"].drop_nulls().n_unique(),
        "ungrouped": ledger["group"].null_count(),  # records that no group rule says anything of
        "units": index["unit"].n_unique(),
        "largest_unit": int(index.group_by("unit").len()["len"].max() or 0),  # type: ignore[arg-type]
        "class_counts": {label: {"before": before[label], "after": after.get(label, 0)} for label in sorted(before)},
    }


def provenance(card: Card, settings: Curation, source: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    """What went in: card, settings, decisions by hand, the source as fetched, and the versions that bear on the bytes."""
    return {
        "card": card.model_dump(mode="json"),
        "curation": settings.model_dump(mode="json"),
        "overrides": overrides.model_dump(mode="json"),
        "source": dict(source),
        "versions": {name: version(name) for name in ("pillow", "polars", "numpy")},
    }


def publish(
    folder: Path,
    card: Card,
    settings: Curation,
    stats: dict[str, Any],
    source: Mapping[str, Any],
    overrides: Overrides = NO_OVERRIDES,
) -> None:
    """Write stats.json, provenance.json, README.md, croissant.json and, last, SHA256SUMS into a finished domain folder."""
    formats = image_formats(folder, pl.read_parquet(folder / "index.parquet"))
    write_json(folder / "stats.json", stats | {"formats": formats})
    write_json(folder / "provenance.json", provenance(card, settings, source, overrides))
    digests = sums_of(folder)
    domain = describe(folder, card, digests)
    write_text(folder / "README.md", domain_card(domain))
    write_json(folder / CROISSANT, domain_croissant(domain))
    digests |= {name: sha256_file(folder / name) for name in ("README.md", CROISSANT)}
    write_text(folder / SUMS, sums_text(digests))
