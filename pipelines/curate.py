"""Curate one domain: raw records in; ledger, shards, index and documentation out. The fold over the steps, without Prefect."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipelines.balance import balance
from pipelines.cards import Card
from pipelines.curation import Curation
from pipelines.deduplicate import deduplicate
from pipelines.examine import examine
from pipelines.features import Features, open_features, write_features
from pipelines.files import read_json, write_json
from pipelines.images import decode, encode_for_shard
from pipelines.layout import Layout
from pipelines.ledger import SCHEMA, keep_the_rest
from pipelines.mapping import MapBatches, one_by_one
from pipelines.publish import domain_digest, publish, statistics
from pipelines.raw import RawSlice, raw_slices
from pipelines.shards import Sample, ShardWriter
from pipelines.split import split


class Decided(NamedTuple):
    """What the decisions on a domain left."""

    ledger: pl.DataFrame  # finished: one verdict a row
    evidence: pl.DataFrame  # of copies, a row a pair
    split_by: str


def curate(
    card: Card, layout: Layout, target: Path, features_target: Path, settings: Curation, map_batches: MapBatches = one_by_one
) -> dict[str, Any]:
    """Run every step on the raw records of a domain and fill two empty folders; returns the domain's statistics.

    `target` gets the curated domain, `features_target` the features of its images in the row order of their index.
    Raises ValueError if fewer than two classes survive or the settings cannot be met.
    """
    settings = settings.with_changes(card.curation)
    raw = layout.raw(card.id)
    features = open_features(layout.embeddings(card.id))
    examined = pl.concat(map_batches("examine", partial(examine_slice, settings), raw_slices(raw)))
    decided = decide(examined, features, settings, card.id)
    write_domain(raw, target, decided.ledger, settings, map_batches)
    examined.filter(pl.col("thumb").is_not_null()).select("key", "sha256", "pixel_hash", "thumb").write_parquet(
        target / "fingerprints.parquet"
    )
    decided.ledger.write_parquet(target / "ledger.parquet")
    decided.evidence.write_parquet(target / "duplicates.parquet")
    index = pl.read_parquet(target / "index.parquet")
    shard_bytes = sum(path.stat().st_size for path in target.glob("*.tar"))
    stats = statistics(decided.ledger, index, decided.split_by, shard_bytes)
    publish(target, card, settings, stats, read_json(raw / "source.json"))
    pick_features(layout, card.id, features, index, target, features_target)
    return stats


def decide(examined: pl.DataFrame, features: Features, settings: Curation, domain: str) -> Decided:
    """From examined records to a finished ledger."""
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
    return Decided(ledger, evidence, split_by)


def pick_features(layout: Layout, domain: str, features: Features, index: pl.DataFrame, folder: Path, target: Path) -> None:
    """Write the features of the images of an index, in its order, with what they belong to.

    Raises ValueError if the embeddings are those of other raw records.
    """
    features_ND, has_N = features.of(index["key"])
    if not has_N.all():
        raise ValueError(f"{layout.embeddings(domain)}: holds no feature of {int((~has_N).sum())} kept images; run `dvc repro`")
    about = read_json(layout.embeddings(domain) / "source.json")
    write_features(
        target, None, features_ND, {"domain_digest": domain_digest(folder), "encoder_digest": about["encoder_digest"]}
    )


def examine_slice(settings: Curation, records: RawSlice) -> pl.DataFrame:
    """`examine` on raw records that are read here, wherever here is."""
    return examine(records.read(), settings)


def write_domain(raw: Path, target: Path, ledger: pl.DataFrame, settings: Curation, map_batches: MapBatches) -> None:
    """Write the shards, `index.parquet` and `classes.json` of a finished ledger in one more pass over the raw records.

    The ledger's rows are in the order of the records.
    """
    classes = ledger.filter(pl.col("verdict") == "kept")["label"].unique().sort().to_list()
    places = ledger.select(
        "source_id",
        "key",
        "split",
        "verdict",
        pl.coalesce("cluster", "key").alias("cluster"),
        pl.col("label").replace_strict(classes, list(range(len(classes))), default=None, return_dtype=pl.Int32).alias("class"),
    )
    with ShardWriter(target, settings.shard_images) as writer:
        for samples in map_batches("shard", partial(encode_slice, settings), _placed(raw, places)):
            writer.write(samples)
    writer.index().write_parquet(target / "index.parquet")
    write_json(target / "classes.json", classes)


class Placed(NamedTuple):
    """Raw records with what was decided of those that are kept: source_id, key, split, cluster, class."""

    records: RawSlice
    places: pl.DataFrame

    @property
    def height(self) -> int:
        return self.records.height

    def __str__(self) -> str:
        return str(self.records)


def encode_slice(settings: Curation, placed: Placed) -> list[Sample]:
    """The kept records of a slice as samples of the shards, in order. Raises ValueError if they cannot be read."""
    if placed.places.is_empty():
        return []
    kept = placed.records.read().join(placed.places, on="source_id", maintain_order="left")
    return [_sample(row, settings) for row in kept.iter_rows(named=True)]


def _placed(raw: Path, places: pl.DataFrame) -> Iterator[Placed]:
    for records in raw_slices(raw):
        rows = places.slice(records.first, records.height)
        yield Placed(records, rows.filter(pl.col("verdict") == "kept").drop("verdict"))


def _sample(row: dict[str, Any], settings: Curation) -> Sample:
    suffix, data = encode_for_shard(row["data"], decode(row["data"], settings.max_pixels), settings.image_side)
    return Sample(row["key"], row["label"], row["class"], row["split"], row["cluster"], row["source_id"], suffix, data)
