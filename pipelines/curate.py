"""Curate one domain: raw records in; ledger, shards, index and documentation out. The fold over the steps, without Prefect."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from pipelines.balance import balance
from pipelines.cards import Card
from pipelines.deduplicate import deduplicate
from pipelines.examine import examine
from pipelines.files import read_json, write_json
from pipelines.images import decode, encode_for_shard
from pipelines.layout import Layout
from pipelines.ledger import SCHEMA, keep_the_rest
from pipelines.params import Curation
from pipelines.publish import publish, statistics
from pipelines.raw import read_raw
from pipelines.shards import Sample, ShardWriter
from pipelines.split import split

BATCH = 256  # images a task: large enough that running it costs more than watching it


class MapBatches(Protocol):
    """Calls a function on each batch, perhaps in parallel, and gives the results in order, a few batches ahead at most."""

    def __call__(self, name: str, function: Callable[..., Any], batches: Iterable[pl.DataFrame]) -> Iterator[Any]: ...


def one_by_one(name: str, function: Callable[..., Any], batches: Iterable[pl.DataFrame]) -> Iterator[Any]:
    """The plain MapBatches: in this thread."""
    return map(function, batches)


def curate(
    card: Card, layout: Layout, target: Path, settings: Curation, map_batches: MapBatches = one_by_one
) -> dict[str, Any]:
    """Run every step on the raw records of a domain and fill the empty folder `target`; returns its statistics.

    Raises ValueError if fewer than two classes survive or the settings cannot be met.
    """
    settings = settings.with_overrides(card.curation)
    raw = layout.raw(card.id)
    examined = pl.concat(map_batches("examine", lambda batch: examine(batch, settings), read_raw(raw, BATCH)))
    ledger, evidence, split_by = decide(examined, settings, card.id)
    write_domain(raw, target, ledger, settings, map_batches)
    examined.filter(pl.col("thumb").is_not_null()).select("key", "sha256", "pixel_hash", "thumb").write_parquet(
        target / "fingerprints.parquet"
    )
    ledger.write_parquet(target / "ledger.parquet")
    evidence.write_parquet(target / "duplicates.parquet")
    index = pl.read_parquet(target / "index.parquet")
    shard_bytes = sum(path.stat().st_size for path in target.glob("*.tar"))
    stats = statistics(ledger, index, split_by, shard_bytes)
    publish(target, card, settings, stats, read_json(raw / "source.json"))
    return stats


def decide(examined: pl.DataFrame, settings: Curation, domain: str) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """From examined records to a finished ledger: (ledger, evidence of copies, how the split was drawn)."""
    assert examined["key"].is_unique().all(), "two records share a key"
    ledger = examined.select(list(SCHEMA))
    thumbs = examined.filter(pl.col("thumb").is_not_null()).select("key", "thumb")
    ledger, evidence = deduplicate(ledger, thumbs, settings.near_duplicates)
    ledger = keep_the_rest(balance(ledger, settings))
    classes = ledger.filter(pl.col("verdict") == "kept")["label"].n_unique()
    if classes < 2:
        raise ValueError(
            f"domain {domain}: {classes} of its {ledger['label'].n_unique()} classes have {settings.min_per_class} "
            "usable images (curation.min_per_class), at least 2 classes are needed; lower it or add images"
        )
    ledger, split_by = split(ledger, settings)
    return ledger, evidence, split_by


def write_domain(raw: Path, target: Path, ledger: pl.DataFrame, settings: Curation, map_batches: MapBatches) -> None:
    """Write the shards, `index.parquet` and `classes.json` of a finished ledger in one more pass over the raw records."""
    kept = ledger.filter(pl.col("verdict") == "kept")
    classes = kept["label"].unique().sort().to_list()
    places = kept.select(
        "source_id",
        "key",
        "split",
        pl.coalesce("cluster", "key").alias("cluster"),
        pl.col("label").replace_strict(classes, list(range(len(classes))), return_dtype=pl.Int32).alias("class"),
    )

    def encode(batch: pl.DataFrame) -> list[Sample]:
        return [
            _sample(row, settings) for row in batch.join(places, on="source_id", maintain_order="left").iter_rows(named=True)
        ]

    with ShardWriter(target, settings.shard_images) as writer:
        for samples in map_batches("shard", encode, read_raw(raw, BATCH)):
            writer.write(samples)
    writer.index().write_parquet(target / "index.parquet")
    write_json(target / "classes.json", classes)


def _sample(row: dict[str, Any], settings: Curation) -> Sample:
    suffix, data = encode_for_shard(row["data"], decode(row["data"], settings.max_pixels), settings.image_side)
    return Sample(row["key"], row["label"], row["class"], row["split"], row["cluster"], row["source_id"], suffix, data)
