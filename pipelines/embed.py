"""Features of a domain's raw records: each readable picture once through the frozen encoder, cached under its key.

This comes before curation, which proposes copies, draws for diversity and doubts labels by features, and after which the kept
ones' are only picked out: changing a rule, a cap or a decision by hand embeds nothing again.
"""

import hashlib
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.encoders import Encoder, prepare
from pipelines.features import Floats, concatenated, write_features
from pipelines.files import read_json
from pipelines.images import Unreadable, decode
from pipelines.layout import Layout
from pipelines.ledger import record_key
from pipelines.mapping import MapBatches, one_by_one
from pipelines.raw import RawSlice, raw_slices


def embed(domain: str, layout: Layout, target: Path, max_pixels: int, map_batches: MapBatches = one_by_one) -> int:
    """Write `features.safetensors` ([N, D] float32), `keys.parquet` and `source.json` into `target`; returns N."""
    encoder = Encoder.load(layout.encoder)
    raw = layout.raw(domain)
    keys: list[str] = []
    blocks: list[Floats] = []
    encode = partial(encode_slice, layout.encoder, encoder.digest, max_pixels)
    for found, features_ND in map_batches("embed", encode, raw_slices(raw)):
        keys += found
        blocks.append(features_ND)
    about = {"encoder_digest": encoder.digest, "content": read_json(raw / "source.json")["content"]}
    write_features(target, pl.Series(keys, dtype=pl.String), concatenated(blocks, encoder.dimensions), about)
    return len(keys)


def encode_slice(encoder: Path, digest: str, max_pixels: int, records: RawSlice) -> tuple[list[str], Floats]:
    """Keys and features [n, D] of the raw records of a slice that can be read, under the encoder of this digest."""
    return encode_batch(records.read(), _encoder(encoder, digest), max_pixels)


@lru_cache(maxsize=1)
def _encoder(path: Path, digest: str) -> Encoder:
    """The encoder, read once in each process."""
    encoder = Encoder.load(path)
    if encoder.digest != digest:
        raise ValueError(f"{path}: another encoder than at the start of this run; run it again")
    return encoder


def encode_batch(batch: pl.DataFrame, encoder: Encoder, max_pixels: int) -> tuple[list[str], Floats]:
    """Keys and features [n, D] of the raw records of a batch that can be read."""
    keys, images = [], []
    for source_id, data in batch.select("source_id", "data").iter_rows():
        try:
            images.append(prepare(decode(data, max_pixels).image))
        except Unreadable:
            continue
        keys.append(record_key(hashlib.sha256(data).hexdigest(), source_id))
    return keys, np.asarray(encoder.encode(images), np.float32)
