"""What each step of a training is given: episodes of the domains, rotated, and synthetic tasks between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from pipelines.training_settings import Training
from training.batch import Batch, Turn
from training.collection import DomainTensors
from training.episodes import EpisodeSampler, generator_for
from training.shares import domain_shares
from training.synthetic import rotation, synthetic_batch

Draw = Callable[[int], Batch]


@dataclass(frozen=True)
class Streams:
    """Numbers that keep the random streams of one seed apart."""

    weights: int = 1
    rotations: int = 2
    synthetic: int = 3
    episodes: int = 4


STREAMS = Streams()


def draws(domains: Sequence[DomainTensors], settings: Training, seed: int, *, steps: int) -> Draw:
    """The batch of each step, a pure function of (seed, step), from the `train` split of these domains.

    Raises ValueError (one line) if a domain is too small for the episodes.
    """
    parts = [domain.in_splits("train") for domain in domains]
    shots = settings.min_shot, settings.max_shot
    shares = domain_shares(parts, settings)
    sampler = EpisodeSampler(parts, settings.n_way, *shots, settings.n_query, batch=settings.batch, seed=seed, shares=shares)
    return mixed_draws(sampler, settings, seed)


def synthetic_draws(settings: Training, dimensions: int, batch: int, seed: int) -> Draw:
    """Synthetic batches as a function of the step."""

    def at(step: int) -> Batch:
        generator = generator_for(seed, STREAMS.synthetic, step)
        n_shot = int(torch.randint(settings.min_shot, settings.max_shot + 1, (1,), generator=generator))
        return synthetic_batch(batch, dimensions, settings.n_way, n_shot, settings.n_query, generator)

    return at


def mixed_draws(sampler: EpisodeSampler, settings: Training, seed: int) -> Draw:
    """Batches of the domains' episodes, rotated; the share `synthetic_share` of the steps is synthetic instead."""
    dimensions = sampler.features_ND.shape[1]
    synthetic = synthetic_draws(settings, dimensions, settings.batch, seed)

    def at(step: int) -> Batch:
        generator = generator_for(seed, STREAMS.rotations, step)
        if float(torch.rand((), generator=generator)) < settings.synthetic_share:
            return synthetic(step)
        episodes = sampler(step)
        turn = None
        if settings.rotate:
            # one orthogonal matrix a step (its QR is dear), made another one for each episode by random signs
            sign_B1D = torch.randint(2, (len(episodes), 1, dimensions), generator=generator).float() * 2 - 1
            turn = Turn(sign_B1D, rotation(dimensions, generator))
        return Batch(
            sampler.features_ND[episodes.support_BS],
            episodes.support_label_BS,
            sampler.features_ND[episodes.query_BQ],
            episodes.query_label_BQ,
            episodes.weight_BQ,
            episodes.n_way,
            turn,
        )

    return at
