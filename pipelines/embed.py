"""Features of a domain: each kept image once through the frozen encoder, cached in the row order of its index."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors.numpy import save_file

from pipelines.curate import BATCH, MapBatches, one_by_one
from pipelines.encoders import Encoder
from pipelines.files import write_json
from pipelines.images import decode
from pipelines.layout import Layout
from pipelines.publish import domain_digest
from pipelines.shards import read_images


def embed(domain: str, layout: Layout, target: Path, map_batches: MapBatches = one_by_one) -> int:
    """Write `features.safetensors` ([N, D] float32, rows as in index.parquet) and `source.json` into `target`; returns N."""
    folder = layout.domain(domain)
    encoder = Encoder.load(layout.encoder)
    index = pl.read_parquet(folder / "index.parquet")

    def encode(rows: pl.DataFrame) -> NDArray[np.float32]:
        # curation has bounded the pictures already
        return encoder.encode([decode(data, max_pixels=2**31).image for data in read_images(folder, rows)])

    blocks = list(map_batches("embed", encode, index.iter_slices(BATCH)))
    features_ND = np.ascontiguousarray(np.concatenate(blocks), dtype=np.float32)
    assert features_ND.shape == (index.height, encoder.dimensions)
    save_file({"features": features_ND}, target / "features.safetensors")
    about = {
        "domain_digest": domain_digest(folder),
        "encoder_digest": encoder.digest,
        "features_digest": hashlib.sha256(features_ND.tobytes()).hexdigest(),
        "dimensions": encoder.dimensions,
        "images": index.height,
    }
    write_json(target / "source.json", about)
    return index.height
