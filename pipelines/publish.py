"""What stands beside the shards: statistics, provenance, a Hugging Face card, checksums and the digest of the whole domain."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from pipelines.cards import Card
from pipelines.curation import Curation
from pipelines.files import sha256_file, write_json, write_text
from pipelines.ledger import SPLITS, counts
from pipelines.overrides import NO_OVERRIDES, Overrides
from pipelines.quality import tails
from pipelines.split import Split

SUMS = "SHA256SUMS"


def statistics(ledger: pl.DataFrame, index: pl.DataFrame, split: Split, shard_bytes: int) -> dict[str, Any]:
    """Counts of a domain: verdicts (adding up to records), splits, groups and units, classes before and after; what each
    threshold of quality would set aside."""
    before = dict(ledger.group_by("label").len().iter_rows())
    after = dict(index.group_by("label").len().iter_rows())
    splits = {
        name: {"images": part.height, "classes": part["label"].n_unique()}
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


def hub_card(card: Card, stats: Mapping[str, Any]) -> str:
    """README.md as the Hugging Face Hub reads it, with explicit data files for each split."""
    data_files = [{"split": name, "path": f"{name}-*.tar"} for name in stats["splits"]]
    spdx = card.licence.lower()
    front = {
        "pretty_name": card.title,
        "license": "unknown" if card.licence == "unknown" else "other" if " " in spdx or "licenseref" in spdx else spdx,
        "tags": ["image-classification", "few-shot", card.domain],
        "configs": [{"config_name": card.id, "data_files": data_files}],
    }
    rows = [f"| {name} | {part['images']} | {part['classes']} |" for name, part in stats["splits"].items()]
    verdicts = [f"| {name} | {count} |" for name, count in stats["verdicts"].items() if count]
    parts = [
        "---\n" + yaml.safe_dump(front, sort_keys=False, allow_unicode=True) + "---",
        f"# {card.title}",
        card.description.strip(),
        f"Subject: {card.domain}. Licence: {card.licence}.",
        "| split | images | classes |\n|---|---|---|\n" + "\n".join(rows),
        f"Splits are drawn by {stats['split_by']}.",
        "| verdict | records |\n|---|---|\n" + "\n".join(verdicts),
        f"Source: {card.homepage}" if card.homepage else "",
        f"## Citation\n\n{card.citation.strip()}" if card.citation else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_sums(folder: Path) -> None:
    """SHA256SUMS over every other file of the folder, in the form that `sha256sum -c` reads."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    write_text(folder / SUMS, "".join(f"{sha256_file(folder / name)}  {name}\n" for name in names))


def domain_digest(folder: Path) -> str:
    """One digest for the whole domain: that of its SHA256SUMS."""
    return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()


def publish(
    folder: Path,
    card: Card,
    settings: Curation,
    stats: dict[str, Any],
    source: Mapping[str, Any],
    overrides: Overrides = NO_OVERRIDES,
) -> None:
    """Write stats.json, provenance.json, README.md and, last, SHA256SUMS into a finished domain folder."""
    write_json(folder / "stats.json", stats)
    write_json(folder / "provenance.json", provenance(card, settings, source, overrides))
    write_text(folder / "README.md", hub_card(card, stats))
    write_sums(folder)
