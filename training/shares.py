"""How often an episode comes from each domain: equally often, or by the number of its images, flattened by a temperature."""

from collections.abc import Sequence

from pipelines.training_settings import Training
from training.collection import DomainTensors


def domain_shares(domains: Sequence[DomainTensors], settings: Training) -> list[float] | None:
    """Chance of each domain, adding up to 1: p_i ~ n_i^(1/T) of its n_i images in split train, less those that are excluded.

    `proportional` is T = 1, `temperature` takes `settings.temperature` (as multilingual models sample languages; Arivazhagan et
    al. 2019, arXiv 1907.05019). None for `uniform`: no share has to be looked at.
    """
    if settings.domain_weights == "uniform":
        return None
    power = 1.0 if settings.domain_weights == "proportional" else 1.0 / settings.temperature
    weights = [domain.split_N.count("train") ** power for domain in domains]
    return [weight / sum(weights) for weight in weights]


def named_shares(domains: Sequence[DomainTensors], settings: Training) -> dict[str, float]:
    """The same by name, for reports."""
    shares = domain_shares(domains, settings) or [1 / len(domains)] * len(domains)
    return {domain.name: round(share, 6) for domain, share in zip(domains, shares, strict=True)}
