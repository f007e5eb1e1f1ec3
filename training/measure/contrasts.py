"""Every measure that is a difference of accuracies, as weights of subsets: one estimator then serves all (bootstrap.py).

Letters: M contrasts, U subsets (values.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from training.measure.design import Company
from training.measure.values import Floats, Subset, Values


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of V over subsets. `names` are the domains that it is about."""

    names: tuple[str, ...]
    weights: dict[Subset, float]


def removals(company: Company) -> list[Contrast]:
    """V(all) - V(all but i): what is lost without i (leave-one-out). None for a domain alone, which leaves nothing."""
    if len(company.train) < 2:
        return []
    full = frozenset(company.train)
    return [Contrast((name,), {full: 1.0, full - {name}: -1.0}) for name in company.train]


def replacements(company: Company) -> list[Contrast]:
    """V(all but i, with k) - V(all): what the spare k wins in the place of i."""
    full = frozenset(company.train)
    return [
        Contrast((name, spare), {full - {name} | {spare}: 1.0, full: -1.0})
        for name in company.train
        for spare in company.spares
    ]


def additions(company: Company) -> list[Contrast]:
    """V(all and k) - V(all): what the spare k adds."""
    full = frozenset(company.train)
    return [Contrast((spare,), {full | {spare}: 1.0, full: -1.0}) for spare in company.spares]


def interactions(company: Company) -> list[Contrast]:
    """V(all) - V(all but i) - V(all but j) + V(all but i and j): above 0 where i and j need each other, below 0 where one
    does for the other, 0 where what they bring adds up."""
    full = frozenset(company.train)
    if len(full) < 3:
        return []
    return [
        Contrast((a, b), {full: 1.0, full - {a}: -1.0, full - {b}: -1.0, full - {a, b}: 1.0})
        for a, b in combinations(company.train, 2)
    ]


def shares(company: Company) -> list[tuple[Contrast, Contrast]]:
    """Numerator and denominator of the share of what i brought that k brings back."""
    full = frozenset(company.train)
    if len(full) < 2:
        return []
    return [
        (
            Contrast((name, spare), {full - {name} | {spare}: 1.0, full - {name}: -1.0}),
            Contrast((name,), {full: 1.0, full - {name}: -1.0}),
        )
        for name in company.train
        for spare in company.spares
    ]


def shapley(company: Company) -> list[Contrast]:
    """The Shapley value of each domain, exact: the mean of V(S with i) - V(S) over the orders in which domains come in
    (Shapley 1953; Ghorbani & Zou 2019 for data). It needs every subset, the empty one among them."""
    n = len(company.train)
    found = []
    for name in company.train:
        others = [other for other in company.train if other != name]
        weights: dict[Subset, float] = {}
        for size in range(n):
            weight = 1 / (n * comb(n - 1, size))
            for chosen in map(frozenset, combinations(others, size)):
                weights[chosen | {name}], weights[chosen] = weight, -weight
        found.append(Contrast((name,), weights))
    return found


def shapley_by_orders(company: Company, orders: Sequence[Sequence[int]]) -> list[list[Contrast]]:
    """For each order of the domains (their places), what each brings when it comes in: the Shapley value is the mean over
    orders (Castro, Gomez & Tejada 2009)."""
    found = []
    for order in orders:
        before: Subset = frozenset()
        row: dict[str, Contrast] = {}
        for place in order:
            name = company.train[place]
            row[name] = Contrast((name,), {before | {name}: 1.0, before: -1.0})
            before |= {name}
        found.append([row[name] for name in company.train])
    return found


def measured(values: Values, contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Those whose subsets were all trained with a seed in common."""
    place = {subset: at for at, subset in enumerate(values.subsets)}
    return [
        contrast
        for contrast in contrasts
        if all(subset in place for subset in contrast.weights)
        and values.trained_US[[place[subset] for subset in contrast.weights]].all(axis=0).any()
    ]


def weights(values: Values, contrasts: Sequence[Contrast]) -> Floats:
    """Their weights, [M, U]. All of their subsets must stand in `values`."""
    place = {subset: at for at, subset in enumerate(values.subsets)}
    rows = np.zeros((len(contrasts), len(values.subsets)))
    for row, contrast in zip(rows, contrasts, strict=True):
        for subset, weight in contrast.weights.items():
            row[place[subset]] += weight
    return rows
