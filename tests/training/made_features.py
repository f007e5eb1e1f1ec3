"""Small domains for tests."""

import torch

from pipelines.training_settings import Training
from training.backbone import SIDE
from training.collection import DomainTensors, unit_rows
from training.pool import Pools, pools_of, units_of
from training.sampler import EpisodeSampler, Schedule


def domain(name: str, sizes: list[int], units: list[int] | None = None, dimensions: int = 4) -> DomainTensors:
    """A domain whose features name their row: features_ND[i, 0] = i."""
    class_N = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    count = len(class_N)
    features_ND = torch.zeros(count, dimensions)
    features_ND[:, 0] = torch.arange(count)
    unit_N = torch.tensor(units) if units else torch.arange(count)
    return DomainTensors(name, features_ND, class_N, unit_N, ("train",) * count, tuple(f"c{i}" for i in range(len(sizes))))


def viewed(name: str, images: int, views: int, *, seed: int = 0, units: list[int] | None = None) -> DomainTensors:
    """A domain of one class with random views."""
    generator = torch.Generator().manual_seed(seed)
    views_NVD = unit_rows(torch.randn(images, views, 8, generator=generator))
    unit_N = torch.tensor(units) if units else torch.arange(images)
    return DomainTensors(
        name, views_NVD[:, 0], torch.zeros(images).long(), unit_N, ("train",) * images, ("c0",), views_NVD=views_NVD
    )


def separate_pools(domains: list[DomainTensors]) -> Pools:
    """A pool for each domain, rows of one below those of another."""
    offsets = [sum(len(before.class_N) for before in domains[:place]) for place in range(len(domains))]
    names = [f"domain {each.name!r}" for each in domains]
    return pools_of([units_of(each) for each in domains], names, offsets, list(range(len(domains))))


def sampler(
    domains: list[DomainTensors], *, seed: int = 0, shares: list[float] | None = None, **settings: object
) -> EpisodeSampler:
    """A sampler of eight 3-way episodes a step, each domain equally likely if `shares` says nothing else."""
    asked = Training(**{"n_way": 3, "max_shot": 3, "n_query": 2, "batch": 8} | settings)
    share_PG = torch.tensor([shares or [1.0] * len(domains)])
    return EpisodeSampler(separate_pools(domains), asked, Schedule(share_PG, 100), seed)


def pictured(name: str, seed: int, classes: int = 4, images: int = 9, views: int = 0) -> DomainTensors:
    """A domain of pixels: a class is a coarse pattern of its own, far weaker than the light and noise of each picture.

    Of each class six images are to train, the others to validate.
    """
    generator = torch.Generator().manual_seed(seed)
    pattern_C133X = torch.rand(classes, 1, 3, 4, 4, generator=generator).repeat_interleave(12, 3).repeat_interleave(12, 4)
    light_CN = torch.rand(classes, images, 3, 1, 1, generator=generator)
    count = classes * images

    def taken(*leading: int) -> torch.Tensor:
        noise = torch.rand(*leading, 3, SIDE, SIDE, generator=generator)
        shade = light_CN.view(count, *[1] * (len(leading) - 1), 3, 1, 1)
        pattern = pattern_C133X.expand(classes, images, 3, SIDE, SIDE).reshape(count, *[1] * (len(leading) - 1), 3, SIDE, SIDE)
        return (255 * (0.2 * pattern + 0.4 * shade + 0.4 * noise)).to(torch.uint8).flatten(-3)

    split_N = tuple("train" if row % images < 6 else "validation" for row in range(count))
    class_N = torch.arange(classes).repeat_interleave(images)
    names = tuple(f"c{number}" for number in range(classes))
    seen = taken(count, views) if views else None
    return DomainTensors(name, taken(count), class_N, torch.arange(count), split_N, names, views_NVD=seen)
