"""The episodes of each step of a training: which pool each is of, which form all have.

Shape letters: P phases, G pools, B episodes, T steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.training_settings import Training
from training.episodes import Episodes, Form, draw
from training.noise import key, key_int, keys_below, uniform
from training.pool import Limits, Pools, limits_of

CPU = torch.device("cpu")
STEP, POOL = 1, 3  # keep the noise of training steps and that of an episode's pool apart from other noise


@dataclass(frozen=True)
class Schedule:
    """How likely each pool is, by step: `share_PG` holds the chances in each of P phases, which take equal times of `steps`."""

    share_PG: Tensor
    steps: int

    def phase(self, step: int) -> int:
        """The phase of a step; the last one for steps beyond."""
        return min(step * len(self.share_PG) // self.steps, len(self.share_PG) - 1)

    def start(self, phase: int) -> int:
        """The first step of a phase."""
        return -(-phase * self.steps // len(self.share_PG))

    def cumulated(self) -> Tensor:
        """Chances added up from pool to pool, [P, G], exactly 1 from the last pool that has one."""
        total_PG = self.share_PG.double().cumsum(dim=1)
        return total_PG / total_PG[:, -1:]


def ways_and_shots(settings: Training, seed: int, step: int) -> tuple[int, int]:
    """Ways and shots of a step, drawn from the step alone, so that a step's tensors have one shape."""
    noise = key_int(seed, STEP, step)
    n_way = settings.fewest_ways + (noise >> 32) % (settings.n_way - settings.fewest_ways + 1)
    n_shot = settings.min_shot + (noise & 0xFFFFFFFF) % (settings.max_shot - settings.min_shot + 1)
    return n_way, n_shot


class EpisodeSampler:
    """Draws episodes of a step, each from a pool that is drawn first.

    Raises ValueError (one line: pool, class, images, need) at construction if a pool cannot fill an episode of the largest
    form.
    """

    def __init__(
        self,
        pools: Pools,
        settings: Training,
        schedule: Schedule,
        seed: int,
        *,
        device: torch.device = CPU,
    ) -> None:
        self.pools, self.settings, self.schedule, self.seed = pools, settings, schedule, seed
        self._here = pools.to(device)
        self._cumulated_PG = schedule.cumulated().to(device)
        self._limits: dict[int, Limits] = {}
        self._least = settings.min_shot if settings.shots == "varied" else None
        self.limits(settings.max_shot)  # what can hold the largest form can hold the others

    def form(self, step: int) -> Form:
        """The form of a step's episodes: the same for every rank."""
        n_way, n_shot = ways_and_shots(self.settings, self.seed, step)
        return Form(n_way, n_shot, self.limits(n_shot).most_queries)

    def limits(self, n_shot: int) -> Limits:
        """What can be asked of each pool at a number of shots; where shots vary a class needs the smallest number only."""
        n_shot = n_shot if self._least is None else self._least
        if n_shot not in self._limits:
            asked = self.settings
            self._limits[n_shot] = limits_of(self.pools, asked.n_way, n_shot, asked.n_query, self._here.size_C.device)
        return self._limits[n_shot]

    def __call__(self, step: int, start: int = 0, stop: int | None = None) -> Episodes:
        """The episodes of this step, or those from number `start` to `stop`: the same whatever else is drawn."""
        return self.at_once([step], start, self.settings.batch if stop is None else stop)[step]

    def at_once(self, steps: Sequence[int], start: int, stop: int) -> dict[int, Episodes]:
        """What a call gives for each of the steps, drawn together: those of one form cost little more than one alone."""
        of_form: dict[Form, list[int]] = {}
        for step in steps:
            of_form.setdefault(self.form(step), []).append(step)
        found: dict[int, Episodes] = {}
        for form, alike in of_form.items():
            drawn, size = self._drawn(form, alike, start, stop), stop - start
            found |= {step: drawn.part(place * size, (place + 1) * size) for place, step in enumerate(alike)}
        return found

    def _drawn(self, form: Form, steps: Sequence[int], start: int, stop: int) -> Episodes:
        """The episodes of steps of one form, those of one step after those of another."""
        limits, device = self.limits(form.n_shot), self._here.size_C.device
        key_TB = keys_below([key_int(self.seed, STEP, step) for step in steps], start, stop, device=device)
        cumulated_TG = self._cumulated_PG[[self.schedule.phase(step) for step in steps]]
        pool_B = torch.searchsorted(cumulated_TG, uniform(key(key_TB, POOL)), right=True).flatten()
        able_B, queries_B = limits.able_G[pool_B], limits.queries_G[pool_B]
        return draw(self._here, pool_B, able_B, queries_B, form, key_TB.flatten(), least=self._least)
