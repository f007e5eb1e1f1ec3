"""A domain as tensors: what it was encoded to, its classes, splits and units.

Shape letters: N images, V views, D numbers in a row.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from pipelines.encode import ENCODING, VIEWS, read_encoded
from pipelines.features import FILE, digest, map_tensor
from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.sums import SUMS, domain_digest
from training.backbone import DIMENSIONS

MAPPED_FROM = 2 << 30  # bytes; a larger tensor stays on disk and is read as it is used
BLOCK = 1 << 16  # rows looked at together


@dataclass(frozen=True)
class DomainTensors:
    """What a learner sees of one domain.

    features_ND: float32, each row of unit length; or uint8, the pixels [3, 48, 48] of an image that a backbone reads.
    class_N: int64, positions in `classes`. unit_N: int64, numbers that two images share if they hang together as copies or by a
    group. split_N: train, validation or test. views_NVD: augmented copies of each image, as features_ND. subject: its area.
    """

    name: str
    features_ND: Tensor
    class_N: Tensor
    unit_N: Tensor
    split_N: tuple[str, ...]
    classes: tuple[str, ...]
    views_NVD: Tensor | None = None
    subject: str = ""

    def __post_init__(self) -> None:
        images = len(self.features_ND)
        lengths = {images, len(self.class_N), len(self.unit_N), len(self.split_N)}
        if self.views_NVD is not None:
            lengths.add(len(self.views_NVD))
        if len(lengths) > 1:
            raise ValueError(f"domain {self.name!r}: features, classes, units, splits and views differ in length")
        views_XD = None if self.views_NVD is None else self.views_NVD.flatten(0, 1)
        for what, rows_XD in (("features", self.features_ND), ("views", views_XD)):
            if rows_XD is not None and rows_XD.is_floating_point() and (bad := not_finite(rows_XD)):
                raise ValueError(
                    f"domain {self.name!r}: {bad} of {len(rows_XD)} {what} are not finite numbers; encode it again"
                )

    @property
    def pixels(self) -> bool:
        """Whether a backbone has yet to make features of the rows."""
        return self.features_ND.dtype == torch.uint8

    @property
    def dimensions(self) -> int:
        """Numbers in a feature: those of a row, or of what a backbone makes of pixels."""
        return DIMENSIONS if self.pixels else self.features_ND.shape[1]

    def select(self, keep_N: Tensor) -> "DomainTensors":
        """The images where `keep_N` (bool) is true; class numbers stay."""
        if keep_N.all():
            return self  # what is mapped from disk stays there
        rows = keep_N.nonzero().squeeze(1)
        return replace(
            self,
            features_ND=self.features_ND[rows],
            class_N=self.class_N[rows],
            unit_N=self.unit_N[rows],
            split_N=tuple(self.split_N[row] for row in rows.tolist()),
            views_NVD=None if self.views_NVD is None else self.views_NVD[rows],
        )

    def in_splits(self, *splits: str) -> "DomainTensors":
        """The images of these splits."""
        return self.select(torch.tensor([split in splits for split in self.split_N], dtype=torch.bool))


def unit_rows(features_ND: Tensor) -> Tensor:
    """Scale each row to length 1: the only standardisation, it needs no statistics of any domain. Zero rows stay zero."""
    return torch.nn.functional.normalize(features_ND, dim=-1)


def not_finite(features_ND: Tensor) -> int:
    """Number of rows that hold a value that is not finite, a block at a time."""
    return sum(int((~torch.isfinite(block).all(dim=1)).sum()) for block in torch.split(features_ND, BLOCK))


def load_domain(layout: Layout, name: str, exclude_keys: Iterable[str] = (), subject: str = "") -> DomainTensors:
    """Read a curated and encoded domain, less the images in `exclude_keys`.

    Raises ValueError (one line) if what it was encoded to is missing, damaged, not finite, or not of the shards beside it.
    """
    folder, path = layout.domain(name), layout.encoded(name) / FILE
    about = read_encoded(layout, name)
    if not (folder / SUMS).exists() or about["domain_digest"] != domain_digest(folder):
        raise ValueError(f"{path.parent}: older than the shards of domain {name!r}; run `dvc repro` to encode it again")
    index = pl.read_parquet(folder / "index.parquet")
    features_ND = _tensor(layout, name, about["tensor"], about["features_digest"]).flatten(1)
    if len(features_ND) != index.height:
        raise ValueError(f"{path}: {len(features_ND)} rows for the {index.height} images of domain {name!r}; encode it again")
    views = _tensor(layout, name, VIEWS, about["views_digest"]).flatten(2) if about["views"] else None
    domain = DomainTensors(
        name,
        features_ND,
        torch.from_numpy(index["class"].to_numpy().astype(np.int64)),
        torch.from_numpy(index["unit"].rank("dense").to_numpy().astype(np.int64) - 1),
        tuple(index["split"].to_list()),
        tuple(read_json(folder / "classes.json")),
        views,
        subject,
    )
    excluded = set(exclude_keys)
    if not excluded:
        return domain
    return domain.select(~torch.from_numpy(index["key"].is_in(list(excluded)).to_numpy().copy()))


def _tensor(layout: Layout, name: str, tensor: str, expected: str) -> Tensor:
    """A tensor of an encoded domain, whole as its digest says."""
    path = layout.encoded(name) / FILE
    rows = map_tensor(path, tensor, writable=True)
    if digest(rows) != expected:
        raise ValueError(f"{path}: {tensor} differ from the digest in source.json beside it; run `dvc repro` to encode again")
    return torch.from_numpy(rows if rows.nbytes >= MAPPED_FROM else np.array(rows))


def load_collection(layout: Layout, manifest: Mapping[str, Any]) -> dict[str, DomainTensors]:
    """Every domain of the manifest, in its order; images that also occur in a held-out domain are left out of the others.

    Raises ValueError (one line) if a domain's files are not those that the manifest was written for, or encoders differ.
    """
    loaded: dict[str, DomainTensors] = {}
    for name, entry in manifest["domains"].items():
        about = read_encoded(layout, name)
        if about["domain_digest"] != entry["digest"]:
            raise ValueError(f"domain {name!r}: domain_digest is not the manifest's; run `dvc repro` to collect again")
        encoding = manifest.get("encoding")
        if not encoding or any(about[field] != encoding[field] for field in ENCODING):
            raise ValueError(f"domain {name!r}: its encoder is not the manifest's; run `dvc repro` to collect again")
        if domain_digest(layout.encoded(name)) != entry.get("encoded_digest"):
            raise ValueError(f"domain {name!r}: encoded_digest is not the manifest's; run `dvc repro` to collect again")
        held_out = entry["role"] == "held_out"
        excluded = [] if held_out else [row["key"] for row in manifest["exclusions"] if row["domain"] == name]
        loaded[name] = load_domain(layout, name, excluded, str(entry.get("subject", "")))
    return loaded
