"""Raw records in, ledger rows out: decode, orient, hash and score every picture. Pure, and safe in threads and processes."""

import hashlib
from typing import Any

import numpy as np
import polars as pl
import xxhash

from pipelines.copies.thumbs import SIDE, reduced, rows_of, thumb_of, thumbs_of
from pipelines.copies.waves import hash_digits, hashes, waves
from pipelines.curation import Curation
from pipelines.images import Decoded, Unreadable, decode
from pipelines.ledger import SCHEMA, record_key
from pipelines.quality import native, scores


def examine(batch: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Describe raw records (columns source_id, label, data, fault): the ledger's columns in order, and `thumb`.

    `verdict` is null, or unreadable or too_small with a reason; what is unknown of an unreadable record is null. The reason
    of a record without data is its fault, where it has one; a batch may lack that column.
    `thumb` holds the THUMB_BYTES that copies are found by. Row order is kept.
    """
    if "fault" not in batch.columns:
        batch = batch.with_columns(fault=pl.lit(None, pl.String))
    rows = [
        _row(source_id, label, data, fault, settings)
        for source_id, label, data, fault in batch.select("source_id", "label", "data", "fault").iter_rows()
    ]
    seen = [row for row in rows if row["thumb"] is not None]
    if seen:
        thumbs = thumbs_of(rows_of(row["thumb"] for row in seen))
        for row, digits in zip(seen, hash_digits(hashes(waves(thumbs.grey_NHW))), strict=True):
            row["phash"] = digits
        smalls_NHWC = np.frombuffer(b"".join(row["small"] for row in seen), np.uint8).reshape(-1, SIDE, SIDE, 3)
        width_N, height_N = (np.array([row[side] for row in seen], np.int32) for side in ("width", "height"))
        found = scores(smalls_NHWC, width_N, height_N, np.array([row["native"] for row in seen]))
        for row, values in zip(seen, zip(*(values_N.tolist() for values_N in found.values()), strict=True), strict=True):
            row |= {f"quality_{name}": value for name, value in zip(found, values, strict=True)}
    return pl.DataFrame(rows, schema={**SCHEMA, "thumb": pl.Binary})


def _row(source_id: str, label: str, data: bytes, fault: str | None, settings: Curation) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    row: dict[str, Any] = dict.fromkeys([*SCHEMA, "thumb"])
    row |= {"key": record_key(sha256, source_id), "source_id": source_id, "label": label, "source_label": label}
    row |= {"bytes": len(data), "sha256": sha256}
    if fault is not None and not data:
        return row | {"verdict": "unreadable", "reason": fault}
    try:
        decoded = decode(data, settings.max_pixels, settings.image_side)
    except Unreadable as error:
        return row | {"verdict": "unreadable", "reason": str(error)}
    shorter = min(decoded.width, decoded.height)
    if shorter < settings.min_side:
        reason = f"shorter side is {shorter} px, at least {settings.min_side} px wanted"
        row |= {"verdict": "too_small", "reason": reason}
    return row | _looks(decoded)


def _looks(decoded: Decoded) -> dict[str, Any]:
    image = decoded.image
    small = reduced(image)
    return {
        # no secret rests on it, and it costs a fifth of SHA-256
        "pixel_hash": xxhash.xxh3_128_hexdigest(b"%dx%d:" % image.size + image.tobytes()),
        "width": decoded.width,
        "height": decoded.height,
        "mode": decoded.mode,
        "format": decoded.format,
        "exif_orientation": decoded.exif_orientation,
        "transparent": decoded.transparent,
        "thumb": thumb_of(small),
        "small": small.tobytes(),
        "native": native(image),
    }
