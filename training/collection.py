"""A domain as tensors: its cached features, classes, splits and units."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipelines.files import read_json
from pipelines.layout import Layout


@dataclass(frozen=True)
class DomainTensors:
    """What a learner sees of one domain.

    features_ND: float32, each row of unit length. class_N: int64, positions in `classes`. unit_N: int64, numbers
    that two images share if they hang together as copies or by a group. split_N: train, validation or test.
    """

    name: str
    features_ND: Tensor
    class_N: Tensor
    unit_N: Tensor
    split_N: tuple[str, ...]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        images = len(self.features_ND)
        if not (len(self.class_N) == len(self.unit_N) == len(self.split_N) == images):
            raise ValueError(f"domain {self.name!r}: features, classes, units and splits differ in length")
        if not torch.isfinite(self.features_ND).all():
            bad = int((~torch.isfinite(self.features_ND).all(dim=1)).sum())
            raise ValueError(f"domain {self.name!r}: {bad} of {images} features are not finite numbers; embed it again")

    @property
    def dimensions(self) -> int:
        return self.features_ND.shape[1]

    def select(self, keep_N: Tensor) -> "DomainTensors":
        """The images where `keep_N` (bool) is true; class numbers stay."""
        rows = keep_N.nonzero().squeeze(1)
        splits = tuple(self.split_N[row] for row in rows.tolist())
        return DomainTensors(self.name, self.features_ND[rows], self.class_N[rows], self.unit_N[rows], splits, self.classes)

    def in_splits(self, *splits: str) -> "DomainTensors":
        """The images of these splits."""
        return self.select(torch.tensor([split in splits for split in self.split_N], dtype=torch.bool))


def unit_rows(features_ND: Tensor) -> Tensor:
    """Scale each row to length 1: the only standardisation, it needs no statistics of any domain. Zero rows stay zero."""
    return torch.nn.functional.normalize(features_ND, dim=-1)


def load_domain(layout: Layout, name: str, exclude_keys: Iterable[str] = ()) -> DomainTensors:
    """Read a curated and embedded domain, less the images in `exclude_keys`.

    Raises ValueError (one line) if its features are missing, not finite, or not those of the index beside them.
    """
    folder = layout.features(name)
    index = pl.read_parquet(layout.domain(name) / "index.parquet")
    source = read_json(folder / "source.json")
    path = folder / "features.safetensors"
    try:
        features_ND = load_file(path)["features"]
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path}: expected a safetensors file with the tensor 'features' ({error})") from None
    if hashlib.sha256(features_ND.numpy().tobytes()).hexdigest() != source["features_digest"]:
        raise ValueError(f"{path}: differs from the digest in source.json beside it; run `dvc repro` to embed it again")
    if len(features_ND) != index.height or source["images"] != index.height:
        raise ValueError(
            f"{path}: {len(features_ND)} features for the {index.height} images of domain {name!r}; embed it again"
        )
    classes = read_json(layout.domain(name) / "classes.json")
    domain = DomainTensors(
        name,
        unit_rows(features_ND.float()),
        torch.from_numpy(index["class"].to_numpy().astype(np.int64)),
        torch.from_numpy(index["unit"].rank("dense").to_numpy().astype(np.int64) - 1),
        tuple(index["split"].to_list()),
        tuple(classes),
    )
    excluded = set(exclude_keys)
    if not excluded:
        return domain
    return domain.select(~torch.from_numpy(index["key"].is_in(list(excluded)).to_numpy().copy()))


def load_collection(layout: Layout, manifest: Mapping[str, Any]) -> dict[str, DomainTensors]:
    """Every domain of the manifest, in its order; images that also occur in a held-out domain are left out of the others.

    Raises ValueError (one line) if a domain's files are not those that the manifest was written for, or encoders differ.
    """
    loaded: dict[str, DomainTensors] = {}
    for name, entry in manifest["domains"].items():
        source = read_json(layout.features(name) / "source.json")
        expected = {
            "features_digest": entry["features_digest"],
            "domain_digest": entry["digest"],
            "encoder_digest": manifest["encoder"],
        }
        for field, digest in expected.items():
            if source[field] != digest:
                raise ValueError(f"domain {name!r}: {field} is not the manifest's; run `dvc repro` to collect again")
        held_out = entry["role"] == "held_out"
        excluded = [] if held_out else [row["key"] for row in manifest["exclusions"] if row["domain"] == name]
        loaded[name] = load_domain(layout, name, excluded)
    dimensions = {domain.dimensions for domain in loaded.values()}
    if len(dimensions) > 1:
        raise ValueError(f"the collection's features have different lengths {sorted(dimensions)}; embed it with one encoder")
    return loaded
