"""Raw records in, ledger rows out: decode, orient, hash and score every picture. Pure, and safe in threads and processes."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash
from PIL import Image

from pipelines.copies.thumbs import Reduced, patches_of, reduced, rows_of, thumbs_from, thumbs_of
from pipelines.copies.waves import hash_digits, hashes, waves
from pipelines.curation import Curation
from pipelines.images import Decoded, Unreadable, decode
from pipelines.ledger import SCHEMA, record_key
from pipelines.quality import NAMES, native, scores

COLUMNS: dict[str, type[pl.DataType]] = {**SCHEMA, "thumb": pl.Binary}
LOOKS = ("phash", *(f"quality_{name}" for name in NAMES), "thumb")  # what is made of the pictures of a batch together


class Facts(NamedTuple):
    """What each record tells by itself, under the names of the ledger."""

    key: str
    bytes: int
    sha256: str
    pixel_hash: str | None = None
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    format: str | None = None
    exif_orientation: int | None = None
    transparent: bool | None = None
    verdict: str | None = None
    reason: str | None = None


def examine(batch: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Describe raw records (columns source_id, label, data, fault): the ledger's columns in order, and `thumb`.

    `verdict` is null, or unreadable or too_small with a reason; what is unknown of an unreadable record is null. The reason
    of a record without data is its fault, where it has one; a batch may lack that column.
    `thumb` holds the THUMB_BYTES that copies are found by. Row order is kept.
    """
    if "fault" not in batch.columns:
        batch = batch.with_columns(fault=pl.lit(None, pl.String))
    facts: list[Facts] = []
    pictures: list[Reduced] = []
    places: list[int | None] = []  # of each record among the pictures
    for source_id, data, fault in batch.select("source_id", "data", "fault").iter_rows():
        known, decoded = _facts(source_id, data, fault, settings)
        facts.append(known)
        places.append(len(pictures) if decoded else None)
        if decoded:
            pictures.append(reduced(decoded.image))
    # by columns: a dict a record would take longer than its hashes
    columns = dict(zip(Facts._fields, zip(*facts, strict=True), strict=True)) if facts else {}
    known_columns = [pl.Series(name, columns.get(name, ()), dtype=SCHEMA[name]) for name in Facts._fields]
    sized = batch.select("source_id", "label", source_label="label").with_columns(known_columns)
    sides = sized.filter(pl.col("pixel_hash").is_not_null()).select("width", "height").to_numpy()
    looks = _looks(pictures, sides).select(pl.all().gather(pl.Series(places, dtype=pl.UInt32)))
    whole = sized.with_columns(looks)
    unknown = {name: pl.lit(None) for name in COLUMNS if name not in whole.columns}
    return whole.with_columns(**unknown).select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())


def _facts(source_id: str, data: bytes, fault: str | None, settings: Curation) -> tuple[Facts, Decoded | None]:
    sha256 = hashlib.sha256(data).hexdigest()
    unseen = Facts(record_key(sha256, source_id), len(data), sha256, verdict="unreadable")
    if fault is not None and not data:
        return unseen._replace(reason=fault), None
    try:
        decoded = decode(data, settings.max_pixels, settings.image_side)
    except Unreadable as error:
        return unseen._replace(reason=str(error)), None
    shorter, verdict, reason = min(decoded.width, decoded.height), None, None
    if shorter < settings.min_side:
        verdict, reason = "too_small", f"shorter side is {shorter} px, at least {settings.min_side} px wanted"
    return Facts(
        *unseen[:3],
        _pixel_hash(decoded.image),
        decoded.width,
        decoded.height,
        decoded.mode,
        decoded.format,
        decoded.exif_orientation,
        decoded.transparent,
        verdict,
        reason,
    ), decoded


def _pixel_hash(image: Image.Image) -> str:
    # no secret rests on it, and it costs a fifth of SHA-256
    state = xxhash.xxh3_128(b"%dx%d:" % image.size)
    state.update(image.tobytes())
    return state.hexdigest()


def _looks(pictures: Sequence[Reduced], sides_N2: npt.NDArray[np.int32]) -> pl.DataFrame:
    """The columns LOOKS of these pictures of these widths and heights."""
    if not pictures:
        return pl.DataFrame(schema={name: COLUMNS[name] for name in LOOKS})
    thumbs = thumbs_from(pictures)
    width_N, height_N = sides_N2.T
    found = scores(patches_of(pictures), width_N, height_N, native([picture.grey for picture in pictures]))
    columns = {f"quality_{name}": values_N for name, values_N in found.items()}
    digits = hash_digits(hashes(waves(thumbs_of(rows_of(thumbs)).grey_NHW)))
    return pl.DataFrame({"phash": digits, **columns, "thumb": thumbs}).select(LOOKS)
