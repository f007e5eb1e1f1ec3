"""Who can be drawn: classes of one or more pools, the units of each class, the images of each unit.

Copies of one picture, and images of one group, form a unit. Tables are flat and without padding: a class is a run of units,
a unit is a run of images, so the largest class costs no more than its own images.

Shape letters: G pools, C classes, K units, N images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.collection import DomainTensors

Numbers = npt.NDArray[np.int64]
MOST_LEFT_OUT = 0.2  # share of a pool's classes that may be too small for an episode's shape before its queries are reduced


@dataclass(frozen=True)
class Units:
    """A domain's units by class. class_K and images_K: class and number of images of each unit, sorted by class; rows_N: the
    units' images one unit after the other, as rows of the domain's features."""

    class_K: Numbers
    images_K: Numbers
    rows_N: Numbers
    classes: tuple[str, ...]

    @property
    def size_C(self) -> Numbers:
        """Units of each class."""
        return np.bincount(self.class_K, minlength=len(self.classes))


@dataclass(frozen=True)
class Pools:
    """Classes of all pools, those of one pool in a run with its largest class first.

    first_G, classes_G: a pool's run of classes; unit_C, size_C: a class's run of units; first_K, images_K: a unit's run of
    rows_N. domain_C: the number of the domain that a class is of. `names` are the pools', `labels` the classes'.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    domain_C: Tensor
    first_G: Tensor
    classes_G: Tensor
    unit_C: Tensor
    size_C: Tensor
    first_K: Tensor
    images_K: Tensor
    rows_N: Tensor

    def sizes(self, pool: int) -> Tensor:
        """Units of the pool's classes that have any, largest first."""
        first, count = int(self.first_G[pool]), int(self.classes_G[pool])
        return self.size_C[first : first + count]

    def to(self, device: torch.device) -> "Pools":
        """The same tables on another device."""
        tables = (
            self.domain_C,
            self.first_G,
            self.classes_G,
            self.unit_C,
            self.size_C,
            self.first_K,
            self.images_K,
            self.rows_N,
        )
        return Pools(self.names, self.labels, *(table.to(device) for table in tables))


@dataclass(frozen=True)
class Limits:
    """What can be asked of a pool at one number of shots: queries a class, and how many of its classes are large enough."""

    queries_G: Tensor
    able_G: Tensor
    most_queries: int


def units_of(domain: DomainTensors, keep_N: Tensor | None = None, *, labels: bool = True) -> Units:
    """Sort a domain's images (those where `keep_N` is true) into units.

    A unit that spans classes counts for one: that with the fewest units so far. Without `labels` all are of one class.
    """
    kept = np.arange(len(domain.class_N)) if keep_N is None else np.flatnonzero(keep_N.numpy())
    unit_N, class_N = domain.unit_N.numpy()[kept], domain.class_N.numpy()[kept]
    names = domain.classes
    if not labels:
        class_N, names = np.zeros_like(class_N), ("",)
    _, first, inverse = np.unique(unit_N, return_index=True, return_inverse=True)
    own_class_K = _own_classes(inverse, class_N, class_N[first], len(names))
    rows = np.flatnonzero(own_class_K[inverse] == class_N)
    rows = rows[np.lexsort((inverse[rows], own_class_K[inverse[rows]]))]
    order = np.argsort(own_class_K, kind="stable")
    images_K = np.bincount(inverse[rows], minlength=len(first))
    return Units(own_class_K[order], images_K[order], kept[rows], names)


def _own_classes(unit_N: Numbers, class_N: Numbers, first_K: Numbers, classes: int) -> Numbers:
    """The class that each unit counts for. Its only one, mostly; the rest are dealt out so that small classes gain."""
    pairs = np.unique(unit_N * classes + class_N)
    spanned_K = np.bincount(pairs // classes, minlength=len(first_K))
    starts_K = np.cumsum(spanned_K) - spanned_K
    own_K = first_K.copy()
    size_C = np.bincount(first_K[spanned_K == 1], minlength=classes)
    for unit in np.flatnonzero(spanned_K > 1):
        options = pairs[starts_K[unit] : starts_K[unit] + spanned_K[unit]] % classes
        own_K[unit] = chosen = options[np.argmin(size_C[options])]
        size_C[chosen] += 1
    return own_K


def pools_of(units: Sequence[Units], names: Sequence[str], offsets: Sequence[int], pool_of: Sequence[int]) -> Pools:
    """Join domains into pools: domain i goes to pool `pool_of[i]` and its rows begin at `offsets[i]`. Classes without an image
    are left out; two domains' classes stay two, whatever their names."""
    size_C = np.concatenate([part.size_C for part in units])
    domain_C = np.repeat(np.arange(len(units)), [len(part.classes) for part in units])
    pool_C = np.asarray(pool_of)[domain_C]
    images_K = np.concatenate([part.images_K for part in units])
    rows_N = np.concatenate([part.rows_N + offset for part, offset in zip(units, offsets, strict=True)])
    order = np.lexsort((-size_C, pool_C))
    order = order[size_C[order] > 0]
    classes_G = np.bincount(pool_C[order], minlength=len(names))
    labels = [name for part in units for name in part.classes]
    tables = (
        domain_C[order],
        np.cumsum(classes_G) - classes_G,
        classes_G,
        (np.cumsum(size_C) - size_C)[order],
        size_C[order],
        np.cumsum(images_K) - images_K,
        images_K,
        rows_N,
    )
    arrays = (torch.from_numpy(table.astype(np.int64)) for table in tables)
    return Pools(tuple(names), tuple(labels[number] for number in order), *arrays)


def feasible_queries(pools: Pools, pool: int, n_way: int, n_shot: int, n_query: int) -> int:
    """Queries a class that this pool's episodes get: `n_query`, or the largest smaller number that leaves out at most a fifth
    of the classes. Where even one query would leave out more, one query.

    Raises ValueError (one line) if fewer than `n_way` classes have `n_shot` + 1 images of different units.
    """
    size_C = pools.sizes(pool)
    able = int((size_C > n_shot).sum())
    if able < n_way:
        last = int(pools.first_G[pool]) + len(size_C) - 1
        example = f" (class {pools.labels[last]!r} has {int(size_C[-1])})" if able < len(size_C) else ""
        raise ValueError(
            f"{pools.names[pool]}: {n_way}-way {n_shot}-shot episodes need {n_way} classes with {n_shot + 1} or more "
            f"different images, found {able} of {len(size_C)}{example}; use another domain, fewer ways or fewer shots"
        )
    needed = max(n_way, int(np.ceil((1 - MOST_LEFT_OUT) * len(size_C))))
    return max(1, min(n_query, int(size_C[needed - 1]) - n_shot))


def limits_of(pools: Pools, n_way: int, n_shot: int, n_query: int, device: torch.device | None = None) -> Limits:
    """What can be asked of each pool. Raises ValueError as `feasible_queries` does."""
    queries = [feasible_queries(pools, pool, n_way, n_shot, n_query) for pool in range(len(pools.names))]
    able = [int((pools.sizes(pool) >= n_shot + count).sum()) for pool, count in enumerate(queries)]
    return Limits(torch.tensor(queries, device=device), torch.tensor(able, device=device), max(queries))
