"""Small domains for tests."""

import torch

from pipelines.training_settings import Training
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
