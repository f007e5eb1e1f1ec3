"""Small pictures of records as data URIs: of kept ones from the shards, of the others from the raw records, a few at a time."""

from pathlib import Path

import polars as pl

from pipelines.pictures import data_uri, raw_thumbnails, thumbnail
from pipelines.shards import read_images

SIDE = 104  # px
QUALITY = 72
AT_ONCE = 32  # raw records held in memory


def thumbs(ledger: pl.DataFrame, keys: set[str], folder: Path, raw: Path) -> dict[str, str]:
    """key -> data URI of the picture in a square; records that cannot be read, or are no longer there, are left out."""
    index = pl.read_parquet(folder / "index.parquet").filter(pl.col("key").is_in(list(keys))).sort("shard", "offset")
    found = {}
    for key, data in zip(index["key"], read_images(folder, index), strict=True):
        image = thumbnail(data, SIDE)
        if image:
            found[key] = data_uri(image, QUALITY)
    rest = ledger.filter(pl.col("key").is_in(list(keys - found.keys())) & pl.col("pixel_hash").is_not_null()).sort("key")
    for part in rest.select("key", "source_id").iter_slices(AT_ONCE) if raw.is_dir() else ():
        images = raw_thumbnails(raw, part["source_id"].to_list(), SIDE)
        for key, source_id in part.iter_rows():
            image = images.get(source_id)
            if image:
                found[key] = data_uri(image, QUALITY)
    return found
