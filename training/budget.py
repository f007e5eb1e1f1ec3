"""A budget of classes and images for all train domains together, so that trainings on different data see equally much.

Shape letters: N images of a domain, C classes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.training_settings import Training
from training.collection import DomainTensors
from training.noise import key, uniform
from training.pool import units_of

CLASSES, IMAGES = 31, 32  # keep the two lots apart
Numbers = npt.NDArray[np.int64]


def even_parts(sizes: Sequence[int], total: int) -> list[int]:
    """Deal `total` out over places that hold `sizes` at most, as evenly as they allow; what is left over goes to the first.

    Needs a total of no more than the sizes add up to.
    """
    assert total <= sum(sizes)
    parts, left = [0] * len(sizes), total
    open_places = [place for place, size in enumerate(sizes) if size]
    while left:
        share = max(1, left // len(open_places))
        for place in open_places:
            given = min(share, sizes[place] - parts[place], left)
            parts[place] += given
            left -= given
        open_places = [place for place in open_places if parts[place] < sizes[place]]
    return parts


def within_budget(domains: Sequence[DomainTensors], settings: Training, seed: int) -> list[Tensor]:
    """Which images of each domain training may see, bool [N]: those of split train, cut by lot to `settings.budget`.

    Classes are spread evenly over the domains and drawn from those large enough for an episode; images are spread evenly over
    the classes, one of each unit before a second one. Raises ValueError (one line) if there is less than the budget names.
    """
    train = [torch.tensor([split == "train" for split in domain.split_N], dtype=torch.bool) for domain in domains]
    budget = settings.budget
    if budget.classes is not None:
        train = _cut_classes(domains, train, settings, budget.classes, seed)
    if budget.images is not None:
        train = _cut_images(domains, train, budget.images, seed)
    return train


def _cut_classes(
    domains: Sequence[DomainTensors], keep: Sequence[Tensor], settings: Training, wanted: int, seed: int
) -> list[Tensor]:
    needed = 1 + (settings.min_shot if settings.shots == "varied" else settings.max_shot)
    able = [np.flatnonzero(units_of(domain, kept).size_C >= needed) for domain, kept in zip(domains, keep, strict=True)]
    found = sum(len(classes) for classes in able)
    if found < wanted:
        raise ValueError(
            f"training.budget.classes: expected no more than the train domains have with {needed} or more different images, "
            f"{found}, found {wanted}"
        )
    parts = even_parts([len(classes) for classes in able], wanted)
    short = [place for place, part in enumerate(parts) if part < settings.n_way and settings.regime != "merged"]
    if short and settings.regime != "pseudo":
        raise ValueError(
            f"training.budget.classes: {wanted} leave domain {domains[short[0]].name!r} {parts[short[0]]} classes for "
            f"{settings.n_way}-way episodes; raise it, or take fewer domains or ways"
        )
    cut = []
    for number, (domain, kept) in enumerate(zip(domains, keep, strict=True)):
        lot = uniform(key(seed, CLASSES, number), len(able[number])).argsort().numpy()
        chosen = able[number][lot[: parts[number]]]
        cut.append(kept & torch.isin(domain.class_N, torch.from_numpy(chosen)))
    return cut


def _cut_images(domains: Sequence[DomainTensors], keep: Sequence[Tensor], wanted: int, seed: int) -> list[Tensor]:
    sizes = [
        np.bincount(domain.class_N[kept].numpy(), minlength=len(domain.classes))
        for domain, kept in zip(domains, keep, strict=True)
    ]
    found = int(sum(size.sum() for size in sizes))
    if found < wanted:
        raise ValueError(f"training.budget.images: expected no more than the train domains have, {found}, found {wanted}")
    parts = even_parts([int(size) for size_C in sizes for size in size_C], wanted)
    cut, start = [], 0
    for number, (domain, kept) in enumerate(zip(domains, keep, strict=True)):
        allowed_C = np.array(parts[start : start + len(domain.classes)], dtype=np.int64)
        start += len(domain.classes)
        lot_N = uniform(key(seed, IMAGES, number), len(kept)).numpy()
        cut.append(torch.from_numpy(_first_of_each(domain, kept.numpy(), allowed_C, lot_N)))
    return cut


def _first_of_each(
    domain: DomainTensors, kept_N: npt.NDArray[np.bool_], allowed_C: Numbers, lot_N: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Which images stay, bool [N]: of each class as many as allowed, by lot, units met for the first time before others."""
    rows = np.flatnonzero(kept_N)
    rows = rows[np.argsort(lot_N[rows], kind="stable")]
    class_N, unit_N = domain.class_N.numpy()[rows], domain.unit_N.numpy()[rows]
    nth_N = _counted(class_N * (int(unit_N.max(initial=0)) + 1) + unit_N)
    order = np.lexsort((nth_N, class_N))  # stable: the lot decides between equals
    place_N = _counted(class_N[order])
    stays = np.zeros(len(kept_N), dtype=np.bool_)
    stays[rows[order[place_N < allowed_C[class_N[order]]]]] = True
    return stays


def _counted(group_N: Numbers) -> Numbers:
    """How many of its group came before each, [N]."""
    order = np.argsort(group_N, kind="stable")
    of_group = group_N[order]
    first = np.concatenate([[True], of_group[1:] != of_group[:-1]])[: len(order)]
    starts = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    counted = np.empty(len(order), dtype=np.int64)
    counted[order] = np.arange(len(order)) - starts
    return counted
