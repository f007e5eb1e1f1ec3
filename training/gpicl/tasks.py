"""Tasks: a domain, some of its classes, a projection A of inputs and a permutation rho of labels, each a function of a key.

x becomes A x with A_ij ~ N(0, 1/N_x), y becomes rho(y) (GPICL, arXiv 2212.04458, section 3). Nothing is stored: task i of 2^20
is made when it is needed and is the same whenever that is.

Shape letters: B tasks, W ways, X numbers of an input, P numbers of a projected one, G domains, C classes.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.gpicl_settings import Gpicl
from training.noise import below, bits, key, normal, uniform
from training.pool import Pools

SEEN, UNSEEN = 1, 2  # streams of tasks
DOMAIN, CLASSES, PROJECTION, PERMUTATION = 3, 4, 5, 6  # streams of one task
CHUNK = 1 << 14  # candidates looked at together


@dataclass(frozen=True)
class Tasks:
    """Some tasks. class_BW are classes of the pools, ascending; label_BW is what each of them is called, 0 to W - 1.

    projection_BXP is None where inputs stay as they are.
    """

    class_BW: Tensor
    label_BW: Tensor
    projection_BXP: Tensor | None


class TaskSpace:
    """The tasks that some domains offer. `able_G`: how many classes of each domain are large enough for the context."""

    def __init__(self, pools: Pools, able_G: Tensor, settings: Gpicl, seed: int) -> None:
        """Raises ValueError (one line) if fewer distinct tasks than asked for, and one unseen, can be made."""
        self.pools, self.able_G, self.settings, self.seed = pools, able_G, settings, seed
        self._candidates: Tensor | None = None
        if settings.projection is None:
            asked = self._trained
            if asked >= self.distinct:
                raise ValueError(
                    f"gpicl.log2_tasks: {asked} tasks asked for, but without a projection these domains give "
                    f"{self.distinct} distinct ones, of which one must stay unseen; ask for fewer, or set gpicl.projection"
                )
            self._candidates = self._distinct_candidates(min(self.distinct, asked + settings.sequences))

    @property
    def _trained(self) -> int:
        """The most tasks that any training is given."""
        return 1 << max([self.settings.log2_tasks, *self.settings.diagram.log2_tasks])

    @property
    def distinct(self) -> int:
        """How many tasks differ by domain, classes and permutation alone."""
        chosen = math.perm if self.settings.permute else math.comb
        return sum(chosen(able, self.settings.n_way) for able in self.able_G.tolist())

    def seen(self, number_B: Tensor) -> Tasks:
        """The tasks of these numbers, 0 to 2^log2_tasks - 1: those that are trained on."""
        return self._of(self._numbered(number_B))

    def unseen(self, number_B: Tensor) -> Tasks:
        """Other tasks of the same domains, none of which is among those trained on."""
        if self._candidates is None:
            return self._of(key(self.seed, UNSEEN, number_B))
        first = self._trained
        return self._of(self._numbered(first + number_B % (len(self._candidates) - first)))

    def _numbered(self, number_B: Tensor) -> Tensor:
        if self._candidates is not None:
            number_B = self._candidates.to(number_B.device)[number_B]
        return key(self.seed, SEEN, number_B)

    def _of(self, key_B: Tensor) -> Tasks:
        asked = self.settings
        projection_BXP = None
        if asked.projection is not None:
            projection_BXP = normal(key(key_B, PROJECTION), asked.inputs, asked.projection) * asked.inputs**-0.5
        return Tasks(self._classes(key_B), self._labels(key_B), projection_BXP)

    def _classes(self, key_B: Tensor) -> Tensor:
        domain_B = below(key(key_B, DOMAIN), len(self.able_G))
        able_B1 = self.able_G[domain_B].unsqueeze(1)
        noise_BC = uniform(key(key_B, CLASSES), int(self.able_G.max()))
        place_C = torch.arange(noise_BC.shape[1], device=key_B.device)
        chosen_BW = noise_BC.masked_fill(place_C >= able_B1, 2.0).argsort(dim=1)[:, : self.settings.n_way]
        ordered_BW: Tensor = self.pools.first_G[domain_B].unsqueeze(1) + chosen_BW.sort(dim=1).values
        return ordered_BW

    def _labels(self, key_B: Tensor) -> Tensor:
        n_way = self.settings.n_way
        if not self.settings.permute:
            return torch.arange(n_way, device=key_B.device).expand(len(key_B), n_way)
        return bits(key(key_B, PERMUTATION), n_way).argsort(dim=1)

    def _distinct_candidates(self, wanted: int) -> Tensor:
        """The first `wanted` candidates whose classes and permutation were not there before."""
        seen: set[tuple[int, ...]] = set()
        found: list[int] = []
        start = 0
        while len(found) < wanted:
            candidate_B = torch.arange(start, start + CHUNK, device=self.able_G.device)
            key_B = key(self.seed, SEEN, candidate_B)
            both_BX = torch.cat([self._classes(key_B), self._labels(key_B)], dim=1)
            for number, row in enumerate(both_BX.tolist(), start):
                if (one := tuple(row)) not in seen:
                    seen.add(one)
                    found.append(number)
            start += CHUNK
        return torch.tensor(found[:wanted], device=self.able_G.device)
