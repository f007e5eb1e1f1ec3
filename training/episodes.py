"""Episodes: few-shot tasks drawn from domains, as a pure function of (seed, step).

An episode has `n_way` classes of one domain, `n_shot` labelled supports and `n_query` queries of each. Copies of one
picture, and images of one group, form a unit; of each unit at most one image enters an episode, so a copy of a support, or
another frame of its video, is never a query. Labels are a random permutation.

Shape letters: B episodes, G domains, C classes, M units in the largest class, K units, W ways, S = W * n_shot supports,
Q = W * n_query queries, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.collection import DomainTensors

Numbers = npt.NDArray[np.int64]
MOST_LEFT_OUT = 0.2  # share of a domain's classes that may be too small for an episode's shape before its queries are reduced


@dataclass(frozen=True)
class Episodes:
    """Rows of a feature matrix and their labels, 0 to W-1. `weight_BQ` is 0 for padding, where a domain has fewer queries."""

    support_BS: Tensor
    support_label_BS: Tensor
    query_BQ: Tensor
    query_label_BQ: Tensor
    weight_BQ: Tensor
    n_way: int

    def __len__(self) -> int:
        return len(self.support_BS)

    def part(self, start: int, stop: int) -> "Episodes":
        """Episodes `start` to `stop`."""
        return Episodes(
            self.support_BS[start:stop],
            self.support_label_BS[start:stop],
            self.query_BQ[start:stop],
            self.query_label_BQ[start:stop],
            self.weight_BQ[start:stop],
            self.n_way,
        )


@dataclass(frozen=True)
class Pool:
    """Who can be drawn: the units of each class and the images of each unit.

    unit_CM: numbers of units, padded; size_C: units of each class; first_K, images_K: a unit's part of
    rows_N, which are rows of the feature matrix.
    """

    unit_CM: Tensor
    size_C: Tensor
    first_K: Tensor
    images_K: Tensor
    rows_N: Tensor


def generator_for(seed: int, *path: int) -> torch.Generator:
    """A generator that depends on all of `seed` and `path`; near numbers give unrelated streams."""
    state = np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


def build_pool(domain: DomainTensors) -> Pool:
    """Sort a domain's images into units. A unit that spans classes counts for one: that with the fewest units so far."""
    unit_N, class_N = domain.unit_N.numpy(), domain.class_N.numpy()
    _, first, inverse = np.unique(unit_N, return_index=True, return_inverse=True)
    own_class_K = _own_classes(inverse, class_N, class_N[first], len(domain.classes))
    rows = np.flatnonzero(own_class_K[inverse] == class_N)
    rows = rows[np.argsort(inverse[rows], kind="stable")]
    images_K = np.bincount(inverse[rows], minlength=len(first))
    size_C = np.bincount(own_class_K, minlength=len(domain.classes))
    unit_CM = np.zeros((len(size_C), max(size_C.max(initial=0), 1)), dtype=np.int64)
    order = np.argsort(own_class_K, kind="stable")
    starts = np.cumsum(size_C) - size_C
    unit_CM[own_class_K[order], np.arange(len(order)) - starts[own_class_K[order]]] = order
    return Pool(*(torch.from_numpy(a) for a in (unit_CM, size_C, np.cumsum(images_K) - images_K, images_K, rows)))


def _own_classes(unit_N: Numbers, class_N: Numbers, first_K: Numbers, classes: int) -> Numbers:
    """The class that each unit counts for. Its only one, mostly; the rest are dealt out so that small classes gain."""
    pairs = np.unique(unit_N * classes + class_N)
    spanned_K = np.bincount(pairs // classes, minlength=len(first_K))
    starts_K = np.cumsum(spanned_K) - spanned_K
    own_K = first_K.copy()
    size_C = np.bincount(first_K[spanned_K == 1], minlength=classes)
    for unit in np.flatnonzero(spanned_K > 1):
        options = pairs[starts_K[unit] : starts_K[unit] + spanned_K[unit]] % classes
        own_K[unit] = chosen = options[np.argmin(size_C[options])]
        size_C[chosen] += 1
    return own_K


def feasible_queries(domain: DomainTensors, pool: Pool, n_way: int, n_shot: int, n_query: int) -> int:
    """Queries a class that this domain's episodes get: `n_query`, or the largest smaller number that leaves out at most a fifth
    of the classes. Where even one query would leave out more, one query.

    Raises ValueError (one line) if fewer than `n_way` classes have `n_shot` + 1 images.
    """
    sizes = sorted((int(size) for size in pool.size_C if size > 0), reverse=True)  # a class may lie whole in another split
    able = sum(size > n_shot for size in sizes)
    if able < n_way:
        smallest = domain.classes[pool.size_C.tolist().index(sizes[-1])] if sizes else ""
        example = f" (class {smallest!r} has {sizes[-1]})" if able < len(sizes) else ""
        raise ValueError(
            f"domain {domain.name!r}: {n_way}-way {n_shot}-shot episodes need {n_way} classes with {n_shot + 1} or more "
            f"different images, found {able} of {len(sizes)}{example}; use another domain, fewer ways or fewer shots"
        )
    needed = max(n_way, int(np.ceil((1 - MOST_LEFT_OUT) * len(sizes))))
    return max(1, min(n_query, sizes[needed - 1] - n_shot))


def draw(
    pool: Pool, able_BC: Tensor, n_way: int, n_shot: int, queries_B: Tensor, n_query: int, generator: torch.Generator
) -> Episodes:
    """Draw one episode for each row of `able_BC` (bool: classes that may take part), all at once."""
    episodes = len(able_BC)
    noise_BC = torch.rand(able_BC.shape, generator=generator).masked_fill(~able_BC, -1.0)
    class_BW = noise_BC.topk(n_way, dim=1).indices  # sorted by noise: the position is the label, a random permutation
    size_BW1 = pool.size_C[class_BW].unsqueeze(-1)
    slots = pool.unit_CM.shape[1]
    noise_BWM = torch.rand((episodes, n_way, slots), generator=generator)
    noise_BWM.masked_fill_(torch.arange(slots) >= size_BW1, -1.0)
    wanted = n_shot + n_query
    slot_BWK = noise_BWM.topk(min(wanted, slots), dim=2).indices
    slot_BWK = torch.nn.functional.pad(slot_BWK, (0, wanted - slot_BWK.shape[2]))  # padding has weight 0
    unit_BWK = pool.unit_CM[class_BW.unsqueeze(-1), slot_BWK]
    which_BWK = torch.rand(unit_BWK.shape, generator=generator) * pool.images_K[unit_BWK]
    row_BWK = pool.rows_N[pool.first_K[unit_BWK] + which_BWK.long()]
    label_BWK = torch.arange(n_way).view(1, n_way, 1).expand_as(row_BWK)
    weight_BWK = (torch.arange(n_query) < queries_B.view(-1, 1, 1)).float().expand(episodes, n_way, n_query)
    order_BQ = torch.rand((episodes, n_way * n_query), generator=generator).argsort(dim=1)
    return Episodes(
        row_BWK[..., :n_shot].flatten(1),
        label_BWK[..., :n_shot].flatten(1),
        row_BWK[..., n_shot:].flatten(1).gather(1, order_BQ),
        label_BWK[..., n_shot:].flatten(1).gather(1, order_BQ),
        weight_BWK.flatten(1).gather(1, order_BQ),
        n_way,
    )


class EpisodeSampler:
    """Draws batches of episodes from several domains, each with the same probability or with its share of `shares`.

    Rows refer to `features_ND`, the domains' features one below another. Raises ValueError (one line: domain, class,
    images, need) at construction if a domain cannot fill an episode of the largest shot.
    """

    def __init__(
        self,
        domains: Sequence[DomainTensors],
        n_way: int,
        min_shot: int,
        max_shot: int,
        n_query: int,
        *,
        batch: int,
        seed: int,
        shares: Sequence[float] | None = None,
    ) -> None:
        if not domains:
            raise ValueError("no domain to draw episodes from: expected at least one")
        assert shares is None or len(shares) == len(domains)
        self.shares_G = None if shares is None else torch.tensor(shares, dtype=torch.float64)
        pools = [build_pool(domain) for domain in domains]
        self.n_way, self.n_query, self.batch, self.seed = n_way, n_query, batch, seed
        self.shots = range(min_shot, max_shot + 1)
        self.features_ND = torch.cat([domain.features_ND for domain in domains])
        self.queries = {
            shot: torch.tensor([feasible_queries(d, p, n_way, shot, n_query) for d, p in zip(domains, pools, strict=True)])
            for shot in self.shots
        }
        self.pool = join_pools(pools, [len(domain.features_ND) for domain in domains])
        self.domain_C = torch.repeat_interleave(torch.arange(len(pools)), torch.tensor([len(p.size_C) for p in pools]))

    def __call__(self, step: int) -> Episodes:
        """The batch of this step: the same for the same seed and step, whatever was drawn before."""
        generator = generator_for(self.seed, step)
        n_shot = self.shots[int(torch.randint(len(self.shots), (1,), generator=generator))]
        queries_G = self.queries[n_shot]
        domain_B = self._domains(len(queries_G), generator)
        enough_C = self.pool.size_C >= n_shot + queries_G[self.domain_C]
        able_BC = enough_C & (self.domain_C == domain_B.unsqueeze(1))
        return draw(self.pool, able_BC, self.n_way, n_shot, queries_G[domain_B], int(queries_G.max()), generator)

    def _domains(self, count: int, generator: torch.Generator) -> Tensor:
        """Domain of each episode of a batch."""
        if self.shares_G is None:
            return torch.randint(count, (self.batch,), generator=generator)
        return torch.multinomial(self.shares_G, self.batch, replacement=True, generator=generator)


def join_pools(pools: Sequence[Pool], images: Sequence[int]) -> Pool:
    """Pools of several domains as one whose rows, units and classes follow each other."""
    slots = max(pool.unit_CM.shape[1] for pool in pools)
    units, firsts, rows = [], [], []
    unit_offset = place_offset = row_offset = 0
    for pool, count in zip(pools, images, strict=True):
        padding = (0, slots - pool.unit_CM.shape[1])
        units.append(torch.nn.functional.pad(pool.unit_CM, padding) + unit_offset)
        firsts.append(pool.first_K + place_offset)
        rows.append(pool.rows_N + row_offset)
        unit_offset += len(pool.first_K)
        place_offset += len(pool.rows_N)
        row_offset += count
    sizes, counts = torch.cat([pool.size_C for pool in pools]), torch.cat([pool.images_K for pool in pools])
    return Pool(torch.cat(units), sizes, torch.cat(firsts), counts, torch.cat(rows))


def evaluation_episodes(domain: DomainTensors, n_way: int, n_shot: int, n_query: int, episodes: int, seed: int) -> Episodes:
    """Episodes of one domain, drawn once and given to every learner, so that accuracies are paired.

    A domain with small classes has fewer queries, by the rule of `feasible_queries`. Raises ValueError as it does.
    """
    pool = build_pool(domain)
    queries = feasible_queries(domain, pool, n_way, n_shot, n_query)
    able_BC = (pool.size_C >= n_shot + queries).expand(episodes, -1)
    return draw(pool, able_BC, n_way, n_shot, torch.full((episodes,), queries), queries, generator_for(seed, n_way, n_shot))
