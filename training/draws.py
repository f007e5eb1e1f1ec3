"""What each step of a training is given: episodes of its regime, rotated, and synthetic tasks between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from pipelines.training_settings import Training
from training.ahead import Ahead, Block
from training.batch import Batch
from training.collection import DomainTensors
from training.noise import key, key_int, keys_below
from training.pseudo import PseudoSampler, views_of
from training.regimes import Regime, regime_of
from training.sampler import CPU, EpisodeSampler, ways_and_shots
from training.store import FeatureStore
from training.synthetic import synthetic_batch
from training.turns import Turns

Draw = Callable[[int], Batch]
AT_ONCE = 512  # episodes that are drawn in one go


@dataclass(frozen=True)
class Streams:
    """Numbers that keep the random streams of one seed apart."""

    weights: int = 1
    synthetic: int = 51
    kind: int = 52
    codes: int = 53
    between: int = 54
    within: int = 55
    episodes: int = 56


STREAMS = Streams()


def draws(
    domains: Sequence[DomainTensors],
    settings: Training,
    seed: int,
    *,
    steps: int,
    device: torch.device = CPU,
    rank: int = 0,
    ranks: int = 1,
    resident: bool | None = None,
) -> Draw:
    """The batch of each step, a pure function of (seed, step), from the `train` split of these domains.

    Of the `settings.batch` episodes rank r of R gets the r-th part of R; the parts of all ranks are the batch of one. `steps`
    is how long the training is, which regime sequence divides. Features move to `device` once; where they do not fit
    (`resident` false, found out if None) they are read from where they are, and the next step is drawn while this one is
    worked on.

    Raises ValueError (one line) if a domain is too small for the episodes, if the budget, the order or the regime asks for
    what a domain does not have, or if the batch is no multiple of the ranks.
    """
    if settings.batch % ranks:
        raise ValueError(f"training.batch: expected a multiple of the {ranks} processes, found {settings.batch}")
    regime = regime_of(domains, settings, seed, steps)
    pseudo = settings.regime == "pseudo"
    if pseudo:
        views_of(regime, settings)
    store = FeatureStore([features(domain, views=pseudo) for domain in regime.domains], device, resident=resident)
    here = device if store.resident else CPU  # rows are drawn where they are looked up
    numbers = range(rank * settings.batch // ranks, (rank + 1) * settings.batch // ranks)
    if pseudo:
        pseudo_tasks = PseudoSampler(regime, settings, seed, store, device=here)
        real: Draw = lambda step: pseudo_tasks(step, numbers.start, numbers.stop)  # noqa: E731
    else:
        real = labelled(regime, settings, seed, store, here, numbers, pixels=domains[0].pixels)
    draw = turned_and_mixed(real, settings, seed, domains[0].dimensions, device, numbers)
    return draw if store.resident else Ahead(draw)


def features(domain: DomainTensors, *, views: bool) -> torch.Tensor:
    """The rows that are drawn from: a domain's features, or its images' views one image after the other."""
    if not views:
        return domain.features_ND
    assert domain.views_NVD is not None
    return domain.views_NVD.flatten(0, 1)


def labelled(
    regime: Regime, settings: Training, seed: int, store: FeatureStore, here: torch.device, numbers: range, *, pixels: bool
) -> Draw:
    """Batches of the labelled episodes with these numbers in their step; those of `pixels` say which image is where."""
    sampler = EpisodeSampler(regime.pools, settings, regime.schedule, seed, device=here)
    rows_at = Block(
        lambda steps: sampler.at_once(steps, numbers.start, numbers.stop),
        most_steps(numbers),
        lambda step: not is_synthetic(step, settings, seed),
    )

    def at(step: int) -> Batch:
        episodes = rows_at(step)
        weight_BS = episodes.support_weight_BS
        return Batch(
            store.gather(episodes.support_BS),
            episodes.support_label_BS.to(store.device),
            store.gather(episodes.query_BQ),
            episodes.query_label_BQ.to(store.device),
            episodes.weight_BQ.to(store.device),
            episodes.n_way,
            support_weight_BS=None if weight_BS is None else weight_BS.to(store.device),
            support_row_BS=episodes.support_BS.to(store.device) if pixels else None,
            query_row_BQ=episodes.query_BQ.to(store.device) if pixels else None,
        )

    return at


def turned_and_mixed(real: Draw, settings: Training, seed: int, dimensions: int, device: torch.device, numbers: range) -> Draw:
    """`real` rotated; the share `synthetic_share` of the steps is synthetic instead. Both get seeds for label codes.

    Both happen in the `dimensions` of features: what turns pixels' features comes after the backbone, and synthetic tasks pass
    it by.
    """
    turns = Turns(dimensions, seed, device) if settings.rotate or settings.synthetic_share else None

    def synthetic(step: int, key_B: torch.Tensor) -> Batch:
        assert turns is not None
        matrix_2DD = torch.stack([turns.matrix(step, stream) for stream in (STREAMS.between, STREAMS.within)])
        return synthetic_batch(key_B, matrix_2DD, *ways_and_shots(settings, seed, step), settings.n_query)

    def seeds(steps: Sequence[int]) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        parents = [key_int(seed, STREAMS.episodes, step) for step in steps]
        key_TB = keys_below(parents, numbers.start, numbers.stop, device=device)
        return dict(zip(steps, zip(key_TB, key(key_TB, STREAMS.codes), strict=True), strict=True))

    seeds_at = Block(seeds, most_steps(numbers))

    def at(step: int) -> Batch:
        key_B, codes_B = seeds_at(step)
        if is_synthetic(step, settings, seed):
            return replace(synthetic(step, key_B), seed_B=codes_B)
        turn = turns(key_B, step) if turns and settings.rotate else None
        return replace(real(step), turn=turn, seed_B=codes_B)

    return at


def most_steps(numbers: range) -> int:
    """Steps that are drawn in one go."""
    return max(1, AT_ONCE // len(numbers))


def is_synthetic(step: int, settings: Training, seed: int) -> bool:
    """Whether all of a step's tasks are synthetic."""
    return (key_int(seed, STREAMS.kind, step) & 0xFFFFFFFF) / 2**32 < settings.synthetic_share
