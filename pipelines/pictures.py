"""Pictures of a domain for people: contact sheets, and records beside the copies that were set aside; images and data URIs."""

import base64
import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageOps

from pipelines.images import Unreadable, decode
from pipelines.layout import Layout
from pipelines.shards import read_images

MAX_PIXELS = 64_000_000  # a larger picture is not worth its memory here; curation sets its own bound
PAPER = (255, 255, 255)
ABSENT = (200, 200, 200)  # stands for a picture that cannot be shown
TOLD = ("step", "proposed_by", "distance", "agreement", "transform")  # of the evidence of a pair of copies
SET_ASIDE_AS_COPY = ("duplicate", "label_conflict")


def data_uri(image: Image.Image, quality: int = 85) -> str:
    """The picture as a `data:image/jpeg;base64,...` address."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def thumbnail(data: bytes, side: int) -> Image.Image | None:
    """The whole picture upright on white in a square of `side` px; None if it is unreadable."""
    try:
        image = decode(data, MAX_PIXELS).image
    except Unreadable:
        return None
    small = max(image.size) < side // 2
    # a picture of a few pixels keeps its pixels: smoothing it would show something that is not there
    resampling = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return ImageOps.pad(image, (side, side), method=resampling, color=PAPER)


def tile(data: bytes, side: int) -> Image.Image:
    """The middle of the picture filling a square of `side` px; a grey square if it is unreadable."""
    try:
        image = decode(data, MAX_PIXELS).image
    except Unreadable:
        return Image.new("RGB", (side, side), ABSENT)
    return ImageOps.fit(image, (side, side), method=Image.Resampling.LANCZOS)


def grid(rows: Sequence[Sequence[Image.Image]], side: int, gap: int) -> Image.Image:
    """Square pictures of `side` px in rows, `gap` px of paper between them; short rows end in paper."""
    columns = max((len(row) for row in rows), default=0)
    step = side + gap
    sheet = Image.new("RGB", (max(1, columns * step - gap), max(1, len(rows) * step - gap)), PAPER)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            sheet.paste(image, (x * step, y * step))
    return sheet


def sheet_rows(index: pl.DataFrame, n_classes: int, n_samples: int) -> pl.DataFrame:
    """The rows of an index that a contact sheet shows: up to `n_classes` classes, evenly spread, `n_samples` of each.

    In key order within a class. Adds `row`, the class's place on the sheet from 0.
    """
    classes = index["class"].unique().sort()
    shown = classes.gather(_spread(classes.len(), n_classes))
    parts = []
    for row, number in enumerate(shown):
        part = index.filter(pl.col("class") == number).sort("key")
        parts.append(part[_spread(part.height, n_samples)].with_columns(row=pl.lit(row, dtype=pl.Int32)))
    return pl.concat(parts) if parts else index.head(0).with_columns(row=pl.lit(0, dtype=pl.Int32))


def _spread(total: int, wanted: int) -> list[int]:
    """At most `wanted` different positions from 0 to total - 1, evenly spread."""
    return np.linspace(0, total - 1, min(total, wanted)).round().astype(int).tolist() if total else []


def contact_image(folder: Path, n_classes: int = 8, n_samples: int = 8, side: int = 48, gap: int = 2) -> Image.Image:
    """One row a class, one column a sample, from the shards in `folder` (a domain's)."""
    shown = sheet_rows(pl.read_parquet(folder / "index.parquet"), n_classes, n_samples)
    pictures = [tile(data, side) for data in _in_order(folder, shown)]
    rows: list[list[Image.Image]] = [[] for _ in range(shown["row"].n_unique())]
    for row, picture in zip(shown["row"], pictures, strict=True):
        rows[row].append(picture)
    return grid(rows, side, gap)


def _in_order(folder: Path, rows: pl.DataFrame) -> list[bytes]:
    """Encoded images of index rows; read shard by shard, given in the order of the rows."""
    placed = rows.with_row_index("place").sort("shard", "offset")
    images = dict(zip(placed["place"], read_images(folder, placed), strict=True))
    return [images[place] for place in range(rows.height)]


def raw_thumbnails(raw: Path, source_ids: Collection[str], side: int) -> dict[str, Image.Image | None]:
    """Thumbnails of raw records by source_id (None: unreadable); records that are not there are left out."""
    wanted = sorted(set(source_ids))
    if not wanted:
        return {}
    scan = pl.scan_parquet(sorted(raw.glob("records-*.parquet")))
    found = scan.filter(pl.col("source_id").is_in(wanted)).select("source_id", "data").collect(engine="streaming")
    return {source_id: thumbnail(data, side) for source_id, data in found.iter_rows()}


def copy_groups(ledger: pl.DataFrame, evidence: pl.DataFrame, verdict: str, most: int, members: int = 4) -> list[pl.DataFrame]:
    """Clusters with records set aside as `verdict` (duplicate or label_conflict), as ledger rows with the evidence beside them.

    At most `most` clusters and `members` rows of each, the keeper first, then one of each other label, so that both sides of a
    conflict are there; clusters of different kinds of copies come before more of the same kind. Added columns: TOLD of the
    strongest evidence that names the record, and `cluster_size`.
    """
    grouped = ledger.filter(pl.col("cluster").is_not_null()).with_columns(cluster_size=pl.len().over("cluster"))
    wanted = grouped.filter(pl.col("verdict") == verdict)
    told = wanted.join(_by_record(evidence, grouped), on="key", how="left")
    kinds = told.group_by("cluster").agg(pl.col("step", "transform").sort_by("key").drop_nulls().first())
    order = (
        kinds.sort("cluster")
        .with_columns(turn=pl.int_range(pl.len()).over("step", "transform"))
        .sort("turn", "step", "transform", "cluster")
        .head(most)["cluster"]
    )
    shown = grouped.filter(pl.col("cluster").is_in(order.implode())).join(_by_record(evidence, grouped), on="key", how="left")
    shown = shown.with_columns(first=pl.col("key") == pl.col("cluster"), aside=pl.col("verdict") == verdict)
    shown = shown.sort("first", "aside", "key", descending=[True, True, False])
    shown = shown.sort(pl.int_range(pl.len()).over("cluster", "label"), maintain_order=True)
    return [shown.filter(pl.col("cluster") == cluster).head(members).drop("first", "aside") for cluster in order]


def _by_record(evidence: pl.DataFrame, grouped: pl.DataFrame) -> pl.DataFrame:
    """For each clustered record the strongest evidence of a copy: bytes, pixels, then near; its keeper's before others'."""
    rank = pl.col("step").replace_strict(["bytes", "pixels", "near"], [0, 1, 2], default=3, return_dtype=pl.Int32)
    pairs = evidence.filter("copies")
    both = pl.concat([pairs.select(*TOLD, key=one, other=two) for one, two in (("key_a", "key_b"), ("key_b", "key_a"))])
    both = both.join(grouped.select("key", "cluster"), on="key")
    strength = (rank, pl.col("other") != pl.col("cluster"), -pl.col("agreement").fill_null(0), "transform", "step")
    return both.sort(*strength, maintain_order=True).unique("key", keep="first", maintain_order=True).drop("other", "cluster")


def contact_sheet(layout: Layout, domain: str) -> str:
    """Data URI of a domain's contact sheet: one row a class, one column a sample."""
    return data_uri(contact_image(layout.domain(domain)))


def cluster_sheet(layout: Layout, domain: str, most: int = 12, side: int = 72) -> str | None:
    """Data URI of clusters of copies, one a row, the keeper first; None where no copy was set aside."""
    folder = layout.domain(domain)
    ledger, evidence = pl.read_parquet(folder / "ledger.parquet"), pl.read_parquet(folder / "duplicates.parquet")
    groups = [group for verdict in SET_ASIDE_AS_COPY for group in copy_groups(ledger, evidence, verdict, most // 2, members=6)]
    if not groups:
        return None
    pictures = raw_thumbnails(layout.raw(domain), [name for group in groups for name in group["source_id"]], side)
    blank = Image.new("RGB", (side, side), ABSENT)
    return data_uri(grid([[pictures.get(name) or blank for name in group["source_id"]] for group in groups], side, gap=4))
