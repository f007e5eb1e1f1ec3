"""How often an episode comes from each domain, for the reader of a report."""

from collections.abc import Sequence

import torch

from pipelines.training_settings import Training
from training.collection import DomainTensors
from training.pool import limits_of
from training.regimes import regime_of


def named_shares(domains: Sequence[DomainTensors], settings: Training) -> dict[str, float]:
    """Share of the episodes by domain, over the whole training; in regime merged of the classes of an episode.

    Raises ValueError (one line) as a training with these settings does.
    """
    regime = regime_of(domains, settings, settings.seed, settings.steps)
    share_G = regime.schedule.share_PG.mean(dim=0)
    if settings.regime == "merged":
        n_shot = settings.min_shot if settings.shots == "varied" else settings.max_shot
        able = int(limits_of(regime.pools, settings.n_way, n_shot, settings.n_query).able_G)
        share_G = torch.bincount(regime.pools.domain_C[:able], minlength=len(domains)) / able
    found = {domain.name: float(share) for domain, share in zip(regime.domains, share_G, strict=True)}
    return {domain.name: round(found.get(domain.name, 0.0), 6) for domain in domains}
