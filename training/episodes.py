"""Episodes: few-shot tasks drawn from pools of classes, as a pure function of (seed, step, number in the step's batch).

An episode has `n_way` classes of one pool, labelled supports and `n_query` queries of each. Of each unit (copies of one
picture, images of one group) at most one image enters an episode, so a copy of a support, or another frame of its video, is
never a query. Labels and order are random permutations. Every number comes from noise.py, whose hashes are the same on every
device, so a rank draws only its own episodes and none depends on its company.

Shape letters: B episodes, G pools, W ways, K images of a class in an episode, S supports, Q queries.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from training.choose import distinct
from training.collection import DomainTensors
from training.noise import as_uniform, bits, keys
from training.pool import Pools, limits_of, pools_of, units_of
from training.shots import varied_shots, weight_table

EVALUATION = 2  # keeps its noise apart from that of training steps


@dataclass(frozen=True)
class Episodes:
    """Rows of a feature matrix and their labels, 0 to W-1.

    `weight_BQ` is 0 for padding, where a domain has fewer queries; `support_weight_BS` is 0 for padding, where classes have
    different numbers of supports, and None where none is padding.
    """

    support_BS: Tensor
    support_label_BS: Tensor
    query_BQ: Tensor
    query_label_BQ: Tensor
    weight_BQ: Tensor
    n_way: int
    support_weight_BS: Tensor | None = None

    def __len__(self) -> int:
        return len(self.support_BS)

    def part(self, start: int, stop: int) -> "Episodes":
        """Episodes `start` to `stop`."""
        names = ("support_BS", "support_label_BS", "query_BQ", "query_label_BQ", "weight_BQ")
        weight_BS = self.support_weight_BS
        cut = {name: getattr(self, name)[start:stop] for name in names}
        return replace(self, **cut, support_weight_BS=None if weight_BS is None else weight_BS[start:stop])


@dataclass(frozen=True)
class Form:
    """The form of all episodes of a step: ways, shots of a class (where they vary, the most) and queries a class."""

    n_way: int
    n_shot: int
    n_query: int


class Noise:
    """Uniform noise and hashes of episodes, dealt out from one row of hashes an episode."""

    def __init__(self, key_B: Tensor, count: int) -> None:
        self._hashes, self._next = bits(key_B, count), 0

    def hashes(self, *shape: int) -> Tensor:
        """The next hashes, [B, *shape]."""
        count = int(np.prod(shape, dtype=np.int64))
        self._next += count
        assert self._next <= self._hashes.shape[1]
        return self._hashes[:, self._next - count : self._next].reshape(-1, *shape)

    def uniform(self, *shape: int) -> Tensor:
        """The next numbers in [0, 1), [B, *shape]."""
        return as_uniform(self.hashes(*shape))


def draw(
    pools: Pools, pool_B: Tensor, able_B: Tensor, queries_B: Tensor, form: Form, key_B: Tensor, *, least: int | None = None
) -> Episodes:
    """Draw an episode of `form` from each pool of `pool_B`, all at once, from the first `able_B` classes of the pool.

    `queries_B` says how many of the queries count. With `least` the shots of classes vary from there to `form.n_shot`.
    """
    n_way, n_shot, n_query = form.n_way, form.n_shot, form.n_query
    images = n_shot + n_query
    noise = Noise(key_B, 1 + n_way * (2 + 3 * images))
    # in random order: the position is the label, a random permutation
    class_BW = pools.first_G[pool_B].unsqueeze(1) + distinct(noise.uniform(n_way), able_B)
    size_BW = pools.size_C[class_BW]
    unit_BWK = pools.unit_C[class_BW].unsqueeze(-1) + distinct(noise.uniform(n_way, images), size_BW)
    which_BWK = (noise.uniform(n_way, images) * pools.images_K[unit_BWK]).long()
    row_BWK = pools.rows_N[pools.first_K[unit_BWK] + which_BWK]
    label_BWK = torch.arange(n_way, device=key_B.device).view(1, n_way, 1).expand_as(row_BWK)
    counts_BWQ = torch.arange(n_query, device=key_B.device) < queries_B.view(-1, 1, 1)
    weight_BWQ = counts_BWQ.float().expand(-1, n_way, -1)
    order_BT = noise.hashes(n_way * images)
    order_BS, order_BQ = order_BT[:, : n_way * n_shot].argsort(dim=1), order_BT[:, n_way * n_shot :].argsort(dim=1)
    support_weight_BS = None
    if least is not None:
        spare_BW = size_BW - queries_B.unsqueeze(1)
        shots_BW = varied_shots(noise.hashes(n_way), noise.hashes(1)[:, 0], spare_BW, least, n_shot, weight_table(key_B.device))
        # a class with room for fewer supports has its last ones for queries
        place_K = torch.arange(images, device=key_B.device)
        room_BW1 = spare_BW.clamp(max=n_shot).unsqueeze(-1)
        source_BWK = torch.where(place_K < n_shot, place_K, place_K - n_shot + room_BW1)
        row_BWK = row_BWK.gather(2, source_BWK)
        taken_BWS = place_K[:n_shot] < shots_BW.unsqueeze(-1)
        row_BWK[..., :n_shot] = torch.where(taken_BWS, row_BWK[..., :n_shot], row_BWK[..., :1])  # padding holds no query
        support_weight_BS = taken_BWS.float().flatten(1).gather(1, order_BS)
    return Episodes(
        row_BWK[..., :n_shot].flatten(1).gather(1, order_BS),
        label_BWK[..., :n_shot].flatten(1).gather(1, order_BS),
        row_BWK[..., n_shot:].flatten(1).gather(1, order_BQ),
        label_BWK[..., n_shot:].flatten(1).gather(1, order_BQ),
        weight_BWQ.flatten(1).gather(1, order_BQ),
        n_way,
        support_weight_BS,
    )


def evaluation_episodes(domain: DomainTensors, n_way: int, n_shot: int, n_query: int, episodes: int, seed: int) -> Episodes:
    """Episodes of one domain, drawn once and given to every learner, so that accuracies are paired.

    They depend on the domain, the seed and the form alone. A domain with small classes has fewer queries, by the rule of
    `feasible_queries`. Raises ValueError as it does.
    """
    pools = pools_of([units_of(domain)], [f"domain {domain.name!r}"], [0], [0])
    limits = limits_of(pools, n_way, n_shot, n_query)
    pool_B = torch.zeros(episodes, dtype=torch.int64)
    key_B = keys(0, episodes, seed, EVALUATION, n_way, n_shot)
    form = Form(n_way, n_shot, limits.most_queries)
    return draw(pools, pool_B, limits.able_G[pool_B], limits.queries_G[pool_B], form, key_B)


def generator_for(seed: int, *path: int) -> torch.Generator:
    """A generator that depends on all of `seed` and `path`; near numbers give unrelated streams."""
    state = np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))
