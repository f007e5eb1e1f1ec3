"""What training reads of a domain: a row for each kept image in the order of its index, and views of it where asked for.

Under the embedded encoder the rows are those of `features/<domain>`, scaled to length 1: nothing is encoded again. Everything
else is made from the pictures in the shards.

Shape letters: N images, V views, D numbers in a feature.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.encoding import Embedded, ImageEncoder
from pipelines.encoding.tensors import tensors_on_disk
from pipelines.encoding.views import view
from pipelines.features import ABOUT, FILE, digest, map_features, unit_rows
from pipelines.files import read_json, write_json
from pipelines.images import decode
from pipelines.layout import Layout
from pipelines.mapping import BATCH, MapBatches, one_by_one
from pipelines.shards import read_images
from pipelines.sums import domain_digest, write_sums

VIEWS = "views"
ENCODING = ("encoder", "encoder_digest", "tensor", "dimensions", "views")  # what must be the same for all domains
Rows = npt.NDArray[Any]


class Pictures(NamedTuple):
    """Where some pictures of a domain lie: rows of its index."""

    folder: Path
    first: int
    rows: pl.DataFrame  # key, shard, offset, size

    @property
    def height(self) -> int:
        return self.rows.height

    def __str__(self) -> str:
        return f"images {self.first} to {self.first + self.height - 1}"


class Encoded(NamedTuple):
    """What some pictures became: rows [n, ...], or none where they are there already, and views [n, V, ...]."""

    rows_N: Rows | None
    views_NV: Rows


def needs_pictures(encoder: str, views: int) -> bool:
    """Whether this encoding decodes any picture."""
    return encoder != "embedded" or views > 0


def encode(
    domain: str,
    layout: Layout,
    target: Path,
    encoder: ImageEncoder,
    views: int,
    max_pixels: int,
    map_batches: MapBatches = one_by_one,
) -> int:
    """Write `features.safetensors` (`features` or `pixels` [N, ...], `views` [N, V, ...]), `source.json` and sums; returns N.

    Raises ValueError (one line) if the domain's features are those of other shards, a picture cannot be read, or a row is not
    finite.
    """
    folder = layout.domain(domain)
    known = read_json(layout.features(domain) / ABOUT)
    belongs = domain_digest(folder)
    if known["domain_digest"] != belongs:
        raise ValueError(f"{layout.features(domain)}: made from other shards than those in {folder}; run `dvc repro`")
    index = pl.read_parquet(folder / "index.parquet", columns=["key", "shard", "offset", "size"])
    kind = np.uint8 if encoder.tensor == "pixels" else np.float32
    wanted: dict[str, tuple[Any, tuple[int, ...]]] = {encoder.tensor: (kind, (index.height, *encoder.row))}
    if views:
        wanted[VIEWS] = (kind, (index.height, views, *encoder.row))
    with tensors_on_disk(target / FILE, wanted) as tensors:
        if isinstance(encoder, Embedded):
            _copy_rows(domain, layout, encoder, tensors[encoder.tensor])
        if needs_pictures(encoder.name, views):
            work = partial(encode_pictures, encoder, views, max_pixels)
            at = 0
            for made in map_batches("encode", work, _slices(folder, index)):
                stop = at + len(made.views_NV)
                if made.rows_N is not None:
                    tensors[encoder.tensor][at:stop] = _finite(made.rows_N, encoder.name, domain)
                if views:
                    tensors[VIEWS][at:stop] = _finite(made.views_NV, encoder.name, domain)
                at = stop
        digests = {f"{'features' if name == encoder.tensor else name}_digest": digest(rows) for name, rows in tensors.items()}
    about = {
        "encoder": encoder.name,
        "encoder_digest": encoder.digest,
        "domain_digest": belongs,
        "tensor": encoder.tensor,
        "dimensions": int(np.prod(encoder.row)),
        "images": index.height,
        "views": views,
    }
    write_json(target / ABOUT, about | digests)
    write_sums(target)
    return index.height


def read_encoded(layout: Layout, domain: str) -> dict[str, Any]:
    """What `encoded/<domain>/source.json` says. Raises ValueError (one line) if there is none, or not all is in it."""
    path = layout.encoded(domain) / ABOUT
    if not path.exists():
        raise ValueError(f"{path.parent}: not encoded yet; `dvc repro` does it, or `python -m pipelines encode {domain}`")
    about = read_json(path)
    if not isinstance(about, dict) or not {*ENCODING, "domain_digest", "images"} <= about.keys():
        raise ValueError(f"{path}: not what encoding writes; delete the folder and run `dvc repro`")
    return about


def encode_pictures(encoder: ImageEncoder, views: int, max_pixels: int, pictures: Pictures) -> Encoded:
    """Rows and views of pictures that are read here, wherever here is."""
    images = []
    for key, data in zip(pictures.rows["key"], read_images(pictures.folder, pictures.rows), strict=True):
        try:
            images.append((key, decode(data, max_pixels).image))
        except ValueError as error:
            raise ValueError(f"{pictures.folder}: {key}: {error}; delete the folder and run `dvc repro`") from None
    rows_N = None if isinstance(encoder, Embedded) else encoder.encode(image for _, image in images)
    views_NV = encoder.encode(view(image, key, number) for key, image in images for number in range(views))
    return Encoded(rows_N, views_NV.reshape(len(images), views, *encoder.row))


def _slices(folder: Path, index: pl.DataFrame) -> Iterator[Pictures]:
    for first in range(0, index.height, BATCH):
        yield Pictures(folder, first, index.slice(first, BATCH))


def _copy_rows(domain: str, layout: Layout, encoder: Embedded, rows_ND: Rows) -> None:
    """The features that curation picked, at unit length, a block at a time."""
    path = layout.features(domain) / FILE
    features_ND = map_features(path)
    if read_json(path.with_name(ABOUT))["encoder_digest"] != encoder.digest or features_ND.shape != rows_ND.shape:
        raise ValueError(f"{path}: not the features of the domain's index by {encoder.path}; run `dvc repro`")
    for start in range(0, len(rows_ND), 4096):
        part = slice(start, start + 4096)
        rows_ND[part] = unit_rows(_finite(features_ND[part], encoder.name, domain))


def _finite(rows: Rows, encoder: str, domain: str) -> Rows:
    if np.isfinite(rows).all():
        return rows
    bad = int((~np.isfinite(rows).reshape(len(rows), -1).all(axis=1)).sum())
    raise ValueError(
        f"domain {domain!r}: {bad} of {len(rows)} rows by encoder {encoder} are not finite numbers; use another one"
    )
