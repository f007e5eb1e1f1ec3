"""Curate one domain: raw records in; ledger, shards, index and documentation out. The fold over the steps, without Prefect."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from pipelines.balance import balance
from pipelines.cards import Card
from pipelines.copies import ThumbRows
from pipelines.copies.store import scratch_thumbs
from pipelines.curation import Curation
from pipelines.deduplicate import deduplicate
from pipelines.evidence import sides
from pipelines.examine import examine
from pipelines.features import Features, open_features, write_features
from pipelines.files import read_json, write_json
from pipelines.groups import group, units
from pipelines.images import encode_for_shard
from pipelines.layout import Layout
from pipelines.ledger import SCHEMA, keep_the_rest
from pipelines.mapping import MapBatches, one_by_one
from pipelines.overrides import NO_OVERRIDES, Overrides, apply, load_overrides, tell_relabelled
from pipelines.publish import domain_digest, publish, statistics
from pipelines.quality import set_aside
from pipelines.raw import RawSlice, raw_slices
from pipelines.shards import Sample, ShardWriter
from pipelines.split import Split, split
from pipelines.suspects import suspects

FINGERPRINTS = 1000  # in one row group


class Decided(NamedTuple):
    """What the decisions on a domain left."""

    ledger: pl.DataFrame  # finished: one verdict a row
    evidence: pl.DataFrame  # of copies, a row a pair
    split: Split


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
    overrides = load_overrides(layout.overrides(card.id))
    with scratch_thumbs(target / "thumbs.part") as scratch:
        examined = []
        for batch in map_batches("examine", partial(examine_slice, settings), raw_slices(raw)):
            readable = batch.filter(pl.col("thumb").is_not_null())
            scratch.add(readable["key"], readable["thumb"])
            examined.append(batch.drop("thumb"))
        thumbs = scratch.read()
        decided = decide(group(pl.concat(examined), card), thumbs, features, settings, card.id, overrides)
        write_fingerprints(target / "fingerprints.parquet", decided.ledger, thumbs)
    write_domain(raw, target, decided.ledger, settings, map_batches)
    decided.ledger.write_parquet(target / "ledger.parquet")
    decided.evidence.write_parquet(target / "duplicates.parquet")
    suspects(decided.ledger, features, settings.seed).write_parquet(target / "suspects.parquet")
    index = pl.read_parquet(target / "index.parquet")
    shard_bytes = sum(path.stat().st_size for path in target.glob("*.tar"))
    stats = statistics(decided.ledger, index, decided.split, shard_bytes)
    publish(target, card, settings, stats, read_json(raw / "source.json"), overrides)
    pick_features(layout, card.id, features, index, target, features_target)
    return stats


def decide(
    examined: pl.DataFrame,
    thumbs: ThumbRows,
    features: Features,
    settings: Curation,
    domain: str,
    overrides: Overrides = NO_OVERRIDES,
) -> Decided:
    """From examined records to a finished ledger. What a hand decided comes first and stands."""
    assert examined["key"].is_unique().all(), "two records share a key"
    ledger = apply(examined.select(list(SCHEMA)), overrides, str(Layout().overrides(domain)))
    ledger = set_aside(ledger, settings.quality)
    near = settings.duplicates if settings.near_duplicates else None
    ledger, evidence = deduplicate(ledger, thumbs, near, features)
    ledger = keep_the_rest(balance(ledger, features, settings))
    classes = ledger.filter(pl.col("verdict") == "kept")["label"].n_unique()
    if classes < 2:
        raise ValueError(
            f"domain {domain}: {classes} of its {ledger['label'].n_unique()} classes have {settings.min_per_class} "
            "usable images (curation.min_per_class), at least 2 classes are needed; lower it or add images"
        )
    done = split(ledger, settings)
    return Decided(tell_relabelled(done.ledger, overrides), evidence, done)


def write_fingerprints(path: Path, ledger: pl.DataFrame, thumbs: ThumbRows) -> None:
    """What the kept images are compared by with those of other domains: key, sha256, pixel_hash, side (px) and thumb."""
    kept = ledger.filter(pl.col("verdict") == "kept")
    rows = kept.select("key", "sha256", "pixel_hash", side=pl.Series(sides(kept), dtype=pl.Float32))
    picked = thumbs.pick(rows["key"])
    schema = pl.DataFrame(schema={**rows.schema, "thumb": pl.Binary}).to_arrow().schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, rows.height, FINGERPRINTS):
            part = slice(start, start + FINGERPRINTS)
            writer.write_table(rows[part].with_columns(thumb=pl.Series(picked.raw(part), dtype=pl.Binary)).to_arrow())


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
    batch = records.read()
    return examine(batch, settings).with_columns(batch["group"])


def write_domain(raw: Path, target: Path, ledger: pl.DataFrame, settings: Curation, map_batches: MapBatches) -> None:
    """Write the shards, `index.parquet` and `classes.json` of a finished ledger in one more pass over the raw records.

    The ledger's rows are in the order of the records.
    """
    kept = ledger.filter(pl.col("verdict") == "kept")
    classes = kept["label"].unique().sort().to_list()
    of_kept = kept.select("key", units(kept))
    places = ledger.join(of_kept, on="key", how="left", maintain_order="left").select(
        "source_id",
        "key",
        "label",
        "split",
        "verdict",
        *Known._fields,
        "unit",
        pl.col("label").replace_strict(classes, list(range(len(classes))), default=None, return_dtype=pl.Int32).alias("class"),
    )
    with ShardWriter(target, settings.shard_images) as writer:
        for samples in map_batches("shard", partial(encode_slice, settings), _placed(raw, places)):
            writer.write(samples)
    writer.index().write_parquet(target / "index.parquet")
    write_json(target / "classes.json", classes)


class Placed(NamedTuple):
    """Raw records with what was decided of those that are kept: source_id, key, split, unit, class."""

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
    kept = placed.records.read().drop("label").join(placed.places, on="source_id", maintain_order="left")
    return [_sample(row, settings) for row in kept.iter_rows(named=True)]


def _placed(raw: Path, places: pl.DataFrame) -> Iterator[Placed]:
    for records in raw_slices(raw):
        rows = places.slice(records.first, records.height)
        yield Placed(records, rows.filter(pl.col("verdict") == "kept").drop("verdict"))


class Known(NamedTuple):
    """What the ledger knows of a picture's file."""

    width: int
    height: int
    mode: str
    format: str
    exif_orientation: int
    transparent: bool


def _sample(row: dict[str, Any], settings: Curation) -> Sample:
    known = Known(*(row[name] for name in Known._fields))
    suffix, data = encode_for_shard(row["data"], known, settings.image_side, settings.max_pixels)
    return Sample(row["key"], row["label"], row["class"], row["split"], row["unit"], row["source_id"], suffix, data)
