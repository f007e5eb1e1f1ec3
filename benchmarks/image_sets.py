"""The eight real image sets of the trials, read straight from their archives."""

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import polars as pl
from PIL import Image

from pipelines.images import Unreadable, decode

SETS = ("clothing_small", "coins_eur", "grocery", "omniglot", "sign_digits", "noto_emoji", "trashnet", "elpv_solar")
PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp")
MAX_PIXELS = 64_000_000


def records(name: str, data: Path) -> Iterator[tuple[str, bytes]]:
    """(label, bytes) of every picture of a set, in the archive's order."""
    if (data / f"{name}.parquet").exists():
        frame = pl.read_parquet(data / f"{name}.parquet")
        for image, label in zip(frame["image"], frame["label"], strict=True):
            yield str(label), image["bytes"]
    elif (data / f"{name}.tar.gz").exists():
        with tarfile.open(data / f"{name}.tar.gz") as archive:
            for member in archive:
                handle = archive.extractfile(member) if member.isfile() and member.name.lower().endswith(PICTURES) else None
                if handle:
                    yield PurePosixPath(member.name).parent.name, handle.read()
    else:
        with zipfile.ZipFile(data / f"{name}.zip") as archive:
            names = archive.namelist()
            table = next((member for member in names if member.endswith("labels.csv")), None)
            rows = csv.DictReader(io.StringIO(archive.read(table).decode())) if table else []
            labels = {row["FILE_NAME"]: row["CATEGORY"] for row in rows}
            for path in (PurePosixPath(member) for member in names if member.lower().endswith(PICTURES)):
                yield labels.get(path.name, path.parent.name), archive.read(str(path))


def pictures(name: str, data: Path) -> Iterator[tuple[str, Image.Image]]:
    """(label, upright RGB picture) of every readable picture of a set."""
    for label, content in records(name, data):
        try:
            yield label, decode(content, MAX_PIXELS).image
        except Unreadable:
            continue
