"""What each step of a training is given: episodes of its regime, rotated, and synthetic tasks between them."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from pipelines.training_settings import Training
from training.batch import Batch
from training.collection import DomainTensors
from training.noise import key, key_int, keys
from training.pseudo import PseudoSampler, views_of
from training.regimes import Regime, regime_of
from training.sampler import CPU, EpisodeSampler, ways_and_shots
from training.store import FeatureStore
from training.synthetic import synthetic_batch
from training.turns import Turns

Draw = Callable[[int], Batch]
Part = Callable[[int, int, int], Batch]  # a step's episodes from one number to before another


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
    if pseudo:
        part: Part = PseudoSampler(regime, settings, seed, store, device=here)
    else:
        part = labelled(regime, settings, seed, store, here, pixels=domains[0].pixels)
    part = turned_and_mixed(part, settings, seed, domains[0].dimensions, device)
    start, stop = rank * settings.batch // ranks, (rank + 1) * settings.batch // ranks

    def at(step: int) -> Batch:
        return part(step, start, stop)

    return at if store.resident else Ahead(at)


def features(domain: DomainTensors, *, views: bool) -> torch.Tensor:
    """The rows that are drawn from: a domain's features, or its images' views one image after the other."""
    if not views:
        return domain.features_ND
    assert domain.views_NVD is not None
    return domain.views_NVD.flatten(0, 1)


def labelled(regime: Regime, settings: Training, seed: int, store: FeatureStore, here: torch.device, *, pixels: bool) -> Part:
    """Batches of labelled episodes; those of `pixels` say which image is where."""
    sampler = EpisodeSampler(regime.pools, settings, regime.schedule, seed, device=here)

    def part(step: int, start: int, stop: int) -> Batch:
        episodes = sampler(step, start, stop)
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

    return part


def turned_and_mixed(real: Part, settings: Training, seed: int, dimensions: int, device: torch.device) -> Part:
    """`real` rotated; the share `synthetic_share` of the steps is synthetic instead. Both get seeds for label codes.

    Both happen in the `dimensions` of features: what turns pixels' features comes after the backbone, and synthetic tasks pass
    it by.
    """
    turns = Turns(dimensions, seed, device) if settings.rotate or settings.synthetic_share else None

    def synthetic(step: int, key_B: torch.Tensor) -> Batch:
        assert turns is not None
        matrix_2DD = torch.stack([turns.matrix(step, stream) for stream in (STREAMS.between, STREAMS.within)])
        return synthetic_batch(key_B, matrix_2DD, *ways_and_shots(settings, seed, step), settings.n_query)

    def part(step: int, start: int, stop: int) -> Batch:
        key_B = keys(start, stop, seed, STREAMS.episodes, step, device=device)
        codes_B = key(key_B, STREAMS.codes)
        if is_synthetic(step, settings, seed):
            return replace(synthetic(step, key_B), seed_B=codes_B)
        turn = turns(key_B, step) if turns and settings.rotate else None
        return replace(real(step, start, stop), turn=turn, seed_B=codes_B)

    return part


def is_synthetic(step: int, settings: Training, seed: int) -> bool:
    """Whether all of a step's tasks are synthetic."""
    return (key_int(seed, STREAMS.kind, step) & 0xFFFFFFFF) / 2**32 < settings.synthetic_share


class Ahead:
    """Draws the next step in a thread while this one is worked on: for features that come from a disk."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="episodes")
        self._waiting: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        """The batch of the step; what was drawn ahead for another one is dropped."""
        waiting, self._waiting = self._waiting, {}
        found = waiting.pop(step).result() if step in waiting else self._draw(step)
        self._waiting[step + 1] = self._thread.submit(self._draw, step + 1)
        return found
