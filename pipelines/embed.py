"""Features of a domain: each kept image once through the frozen encoder, cached in the row order of its index."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from safetensors.numpy import save_file

from pipelines.encoders import Encoder
from pipelines.files import write_json
from pipelines.images import decode
from pipelines.layout import Layout
from pipelines.publish import domain_digest
from pipelines.shards import read_images

BATCH = 256


def embed(domain: str, layout: Layout, target: Path, on_progress: Callable[[int], None] = lambda done: None) -> int:
    """Write `features.safetensors` ([N, D] float32, rows as in index.parquet) and `source.json` into `target`; returns N."""
    folder = layout.domain(domain)
    encoder = Encoder.load(layout.encoder)
    index = pl.read_parquet(folder / "index.parquet")
    blocks = []
    for batch in batched(read_images(folder, index), BATCH):
        blocks.append(encoder.encode([_picture(data) for data in batch]))
        on_progress(len(batch))
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


def _picture(data: bytes) -> Image.Image:
    return decode(data, max_pixels=2**31).image  # curation has bounded it already


def batched(items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Lists of at most `size` items (itertools.batched came with Python 3.12)."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
