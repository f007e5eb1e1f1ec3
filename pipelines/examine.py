"""Raw records in, ledger rows out: decode, orient, hash and score every picture. Pure, and safe in threads."""

import hashlib
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from pipelines.curation import Curation
from pipelines.images import Decoded, Unreadable, decode
from pipelines.ledger import SCHEMA, record_key
from pipelines.perceptual import THUMB_SIDE, hash_digits, hashes, spectra
from pipelines.quality import native, scores


def examine(batch: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Describe raw records (columns source_id, label, data, fault): the ledger's columns in order, and `thumb`.

    `verdict` is null, or unreadable or too_small with a reason; what is unknown of an unreadable record is null. The reason
    of a record without data is its fault, where it has one; a batch may lack that column.
    `thumb` holds THUMB_SIDE x THUMB_SIDE x 3 bytes, the upright RGB picture squashed to a square. Row order is kept.
    """
    if "fault" not in batch.columns:
        batch = batch.with_columns(fault=pl.lit(None, pl.String))
    rows = [
        _row(source_id, label, data, fault, settings)
        for source_id, label, data, fault in batch.select("source_id", "label", "data", "fault").iter_rows()
    ]
    seen = [row for row in rows if row["thumb"] is not None]
    if seen:
        thumbs_NHWC = np.stack([np.frombuffer(row["thumb"], np.uint8) for row in seen]).reshape(-1, THUMB_SIDE, THUMB_SIDE, 3)
        for row, digits in zip(seen, hash_digits(hashes(spectra(thumbs_NHWC))), strict=True):
            row["phash"] = digits
        width_N, height_N = (np.array([row[side] for row in seen], np.int32) for side in ("width", "height"))
        found = scores(thumbs_NHWC, width_N, height_N, np.array([row["native"] for row in seen]))
        for row, values in zip(seen, zip(*(values_N.tolist() for values_N in found.values()), strict=True), strict=True):
            row |= {f"quality_{name}": value for name, value in zip(found, values, strict=True)}
    return pl.DataFrame(rows, schema={**SCHEMA, "thumb": pl.Binary})


def _row(source_id: str, label: str, data: bytes, fault: str | None, settings: Curation) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    row: dict[str, Any] = dict.fromkeys([*SCHEMA, "thumb"])
    row |= {
        "key": record_key(sha256, source_id),
        "source_id": source_id,
        "label": label,
        "source_label": label,
        "bytes": len(data),
        "sha256": sha256,
    }
    if fault is not None and not data:
        return row | {"verdict": "unreadable", "reason": fault}
    try:
        decoded = decode(data, settings.max_pixels)
    except Unreadable as error:
        return row | {"verdict": "unreadable", "reason": str(error)}
    shorter = min(decoded.width, decoded.height)
    if shorter < settings.min_side:
        reason = f"shorter side is {shorter} px, at least {settings.min_side} px wanted"
        row |= {"verdict": "too_small", "reason": reason}
    return row | _looks(decoded)


def _looks(decoded: Decoded) -> dict[str, Any]:
    image = decoded.image
    return {
        "pixel_hash": hashlib.sha256(b"%dx%d:" % image.size + image.tobytes()).hexdigest(),
        "width": decoded.width,
        "height": decoded.height,
        "mode": decoded.mode,
        "format": decoded.format,
        "exif_orientation": decoded.exif_orientation,
        "transparent": decoded.transparent,
        "thumb": thumb(image),
        "native": native(image),
    }


def thumb(image: Image.Image) -> bytes:
    """The RGB picture squashed to THUMB_SIDE x THUMB_SIDE px, as row-major RGB bytes."""
    return image.resize((THUMB_SIDE, THUMB_SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0).tobytes()
