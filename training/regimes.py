"""Regimes: which pools of classes episodes are drawn from, and how likely each is as training goes on (GEOM, arXiv 2507.05019).

- `mixture` (GEOM): a pool a domain, drawn by its weight in every step.
- `merged` (GEOM-M): the classes of all domains in one pool. Classes of one name in two domains stay two.
- `sequence` (GEOM-S): one domain after another, each for an equal share of the steps, in an order; `replay` is the share of the
  episodes that come from the domains before, each of these equally often.
- `pseudo` (GEOM-U): a pool a domain as in `mixture`, of images without labels (pseudo.py).
- `single`: one domain.

Shape letters: P phases, G pools.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pipelines.training_settings import Training
from training.baselines import ridge
from training.budget import within_budget
from training.collection import DomainTensors
from training.episodes import evaluation_episodes
from training.evaluate import episode_accuracies
from training.noise import key, uniform
from training.pool import Pools, Units, pools_of, units_of
from training.sampler import Schedule

ORDER = 41  # keeps the noise of the random order apart
DIFFICULTY_EPISODES = 100
DIFFICULTY_SHOTS = 5


@dataclass(frozen=True)
class Regime:
    """What a training draws from: domains in the order of their rows, pools, and the schedule."""

    domains: tuple[DomainTensors, ...]
    pools: Pools
    schedule: Schedule


def regime_of(domains: Sequence[DomainTensors], settings: Training, seed: int, steps: int) -> Regime:
    """The regime that these settings ask for, on split train within the budget. Raises ValueError (one line)."""
    if not domains:
        raise ValueError("no domain to draw episodes from: expected at least one")
    if settings.regime == "single":
        domains = [single_domain(domains, settings)]
    kept = within_budget(domains, settings, seed)
    if settings.regime == "sequence":
        by_name = {domain.name: (domain, keep) for domain, keep in zip(domains, kept, strict=True)}
        ordered = [by_name[name] for name in domain_order(domains, settings, seed)]
        domains, kept = [domain for domain, _ in ordered], [keep for _, keep in ordered]
    if not any(keep.any() for keep in kept):
        names = ", ".join(repr(domain.name) for domain in domains)
        raise ValueError(f"no image in split train of domain {names}; expected at least one to draw episodes from")
    labels = settings.regime != "pseudo"
    units = [units_of(domain, keep, labels=labels) for domain, keep in zip(domains, kept, strict=True)]
    offsets = np.cumsum([0, *(len(domain.class_N) for domain in domains)]).tolist()[:-1]
    if settings.regime == "merged":
        units = [named(part, domain) for part, domain in zip(units, domains, strict=True)]
        pools = pools_of(units, [f"the {len(domains)} merged domains"], offsets, [0] * len(domains))
        return Regime(tuple(domains), pools, Schedule(torch.ones(1, 1), steps))
    pools = pools_of(units, [f"domain {domain.name!r}" for domain in domains], offsets, list(range(len(domains))))
    if settings.regime == "sequence":
        share_PG = sequence_shares(len(domains), settings.replay)
    else:
        share_PG = torch.tensor([domain_shares([int(keep.sum()) for keep in kept], settings)], dtype=torch.float64)
    return Regime(tuple(domains), pools, Schedule(share_PG, steps))


def named(units: Units, domain: DomainTensors) -> Units:
    """The same units of classes that are called after their domain too."""
    return replace(units, classes=tuple(f"{domain.name}/{label}" for label in units.classes))


def sequence_shares(domains: int, replay: float) -> torch.Tensor:
    """Chance of each domain in each phase, [G, G]: the phase's own, and `replay` spread evenly over those before."""
    share_PG = torch.eye(domains, dtype=torch.float64)
    for phase in range(1, domains):
        share_PG[phase, phase] = 1.0 - replay
        share_PG[phase, :phase] = replay / phase
    return share_PG


def single_domain(domains: Sequence[DomainTensors], settings: Training) -> DomainTensors:
    """The one domain of regime single: `settings.single`, or the one with most images in split train.

    Raises ValueError (one line) if no train domain has that name.
    """
    if settings.single is None:
        return max(domains, key=lambda domain: domain.split_N.count("train"))
    found = [domain for domain in domains if domain.name == settings.single]
    if not found:
        names = ", ".join(domain.name for domain in domains)
        raise ValueError(f"training.single: expected a train domain ({names}), found {settings.single!r}")
    return found[0]


def domain_order(domains: Sequence[DomainTensors], settings: Training, seed: int) -> list[str]:
    """Names in the order in which regime sequence meets them; equals keep the given order.

    Raises ValueError (one line) for the order by_subject if a domain has no subject.
    """
    names = [domain.name for domain in domains]
    if settings.order == "given":
        return names
    if settings.order == "random":
        return [names[place] for place in uniform(key(seed, ORDER), len(names)).argsort().tolist()]
    if settings.order == "by_subject":
        for domain in domains:
            if not domain.subject:
                raise ValueError(f"domain {domain.name!r}: training.order by_subject needs a subject on its card, found none")
        return [domain.name for domain in sorted(domains, key=lambda domain: domain.subject)]
    sign = -1 if settings.order == "easy_to_hard" else 1
    return [domain.name for domain in sorted(domains, key=lambda domain: sign * baseline_accuracy(domain, settings, seed))]


def baseline_accuracy(domain: DomainTensors, settings: Training, seed: int) -> float:
    """How easy a domain is: the mean accuracy of ridge regression on episodes of its own split train.

    On its features, or on its pixels as they are: before training there is no backbone to ask. At 5 shots, or at
    `settings.max_shot` where that is less, for its classes need not have more images.
    """
    part = domain.in_splits("train")
    n_shot = min(DIFFICULTY_SHOTS, settings.max_shot)
    if settings.shots == "varied":
        n_shot = settings.min_shot
    drawn = evaluation_episodes(part, settings.n_way, n_shot, settings.n_query, DIFFICULTY_EPISODES, seed)

    def scorer(support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int) -> Tensor:
        return ridge(support_BSD.float(), label_BS, query_BQD.float(), n_way)

    return float(episode_accuracies(scorer, part.features_ND, drawn).mean())


def domain_shares(images: Sequence[int], settings: Training) -> list[float]:
    """Chance of each domain, adding up to 1: p_i ~ n_i^(1/T) of the n_i images that training sees of it.

    `proportional` is T = 1, `temperature` takes `settings.temperature` (as multilingual models sample languages; Arivazhagan et
    al. 2019, arXiv 1907.05019), `uniform` is the limit of a large T.
    """
    power = {"uniform": 0.0, "proportional": 1.0, "temperature": 1.0 / settings.temperature}[settings.domain_weights]
    weights = [count**power for count in images]
    return [weight / sum(weights) for weight in weights]
