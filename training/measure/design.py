"""Which subsets of a collection are trained: each design asks for some, and what two designs ask for is trained once.

A subset is a choice of train and spare domains. Every measure is a difference between subsets (contrasts.py).
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.params import Design

EXACT = 10  # train domains up to which design `shapley` asks for all subsets
Subset = tuple[str, ...]  # in the order of `Company.ordered`


@dataclass(frozen=True)
class Company:
    """The domains that subsets are made of, in the order of params.yaml."""

    train: Subset
    spares: Subset = ()

    def __post_init__(self) -> None:
        if not self.train:
            raise ValueError("measurement: expected at least one train domain, found none")
        if both := sorted(set(self.train) & set(self.spares)):
            raise ValueError(f"measurement: domain {both[0]!r} is both train and spare")

    def ordered(self, names: Collection[str]) -> Subset:
        """These domains in the one order that they have, whatever design asks for them.

        A spare takes the first place that a train domain left free, so that a replacement keeps the others where they were.
        """
        spares = [spare for spare in self.spares if spare in names]
        places = [name if name in names else (spares.pop(0) if spares else None) for name in self.train]
        return (*(name for name in places if name is not None), *spares)

    def without(self, *names: str) -> Subset:
        """The train domains less these."""
        return tuple(name for name in self.train if name not in names)

    def replaced(self, name: str, spare: str) -> Subset:
        """The train domains with a spare in the place of one."""
        return tuple(spare if each == name else each for each in self.train)


def subsets(company: Company, designs: Iterable[Design], *, random_subsets: int, seed: int) -> dict[str, list[Subset]]:
    """What each design trains, by its name; `full`, the whole collection, comes first and is always there.

    - `removal`: less each train domain. `replacement`: each train domain replaced by each spare. `pairs`: less each two.
    - `addition`: and each spare more. `single`: each domain alone, spares among them.
    - `shapley`: all subsets of the train domains, the empty one (a learner before its first step) among them; of more than
      ten domains those that `random_subsets` random orders pass through, each order and its reverse.
    - `datamodel`: `random_subsets` random halves of train and spare domains together.
    """
    found: dict[str, list[Subset]] = {"full": [company.train]}
    for design in designs:
        if design == "sequence":  # is of orders, not of subsets: sequence.py
            continue
        draw = generator(design, seed)
        asked = [company.ordered(subset) for subset in MAKERS[design](company, random_subsets, draw)]
        found[design] = list(dict.fromkeys(asked))
    return found


def generator(design: Design, seed: int) -> np.random.Generator:
    """The randomness of one design, whatever others are asked for."""
    return np.random.default_rng([seed, sorted(MAKERS).index(design)])


def unique(found: dict[str, list[Subset]]) -> list[Subset]:
    """Every subset once, in the order of the designs."""
    return list(dict.fromkeys(subset for asked in found.values() for subset in asked))


def _removal(company: Company, *_: Any) -> list[Subset]:
    return [company.without(name) for name in company.train] if len(company.train) > 1 else []


def _replacement(company: Company, *_: Any) -> list[Subset]:
    return [company.replaced(name, spare) for name in company.train for spare in company.spares]


def _pairs(company: Company, *_: Any) -> list[Subset]:
    two = list(combinations(company.train, 2)) if len(company.train) > 2 else []
    return _removal(company) + [company.without(*names) for names in two]


def _addition(company: Company, *_: Any) -> list[Subset]:
    return [(*company.train, spare) for spare in company.spares]


def _single(company: Company, *_: Any) -> list[Subset]:
    return [(name,) for name in (*company.train, *company.spares)]


def _shapley(company: Company, orders: int, draw: np.random.Generator) -> list[Subset]:
    if len(company.train) <= EXACT:
        return [chosen for size in range(len(company.train) + 1) for chosen in combinations(company.train, size)]
    found: list[Subset] = [()]
    for order in random_orders(len(company.train), orders, draw):
        for size in range(1, len(order)):
            inside = set(order[:size].tolist())
            found.append(tuple(name for at, name in enumerate(company.train) if at in inside))
    return list(dict.fromkeys(found))


def random_orders(domains: int, orders: int, draw: np.random.Generator) -> list[NDArray[np.int64]]:
    """Random orders of so many domains, each beside its reverse: domains that come early in one come late in the other."""
    found = [draw.permutation(domains) for _ in range(-(-orders // 2))]
    return [each for order in found for each in (order, order[::-1])][:orders]


def _datamodel(company: Company, count: int, draw: np.random.Generator) -> list[Subset]:
    both = (*company.train, *company.spares)
    if 2 ** len(both) <= count:
        return [chosen for size in range(1, len(both) + 1) for chosen in combinations(both, size)]
    found: dict[Subset, None] = {}
    while len(found) < count:
        inside = draw.random(len(both)) < 0.5
        if inside.any():
            found[tuple(name for name, chosen in zip(both, inside, strict=True) if chosen)] = None
    return list(found)


MAKERS: dict[Design, Callable[[Company, int, np.random.Generator], list[Subset]]] = {
    "removal": _removal,
    "replacement": _replacement,
    "pairs": _pairs,
    "addition": _addition,
    "single": _single,
    "shapley": _shapley,
    "datamodel": _datamodel,
}
