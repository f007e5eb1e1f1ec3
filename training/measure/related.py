"""What domains have to do with each other: how far one alone carries to another, and whether likeness says what a swap does."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from training.measure.bootstrap import estimate
from training.measure.similarity import DISTANCES, distance_of, rank_correlation
from training.measure.worth import MEAN, Interval, interval, values_of


def transfer(results: pl.DataFrame, n_shot: int, domains: Sequence[str]) -> dict[str, dict[str, Interval]]:
    """transfer.<domain>.<judged on>: accuracy, with its interval, of learners trained on one domain alone (design `single`)."""
    alone = results.filter(pl.col("subset").list.len() == 1)
    tables: dict[str, dict[str, Interval]] = {}
    for judged in alone["domain"].unique(maintain_order=True):
        values = values_of(alone, n_shot, [judged])
        if values is None:
            continue
        one_UU = [[float(row == at) for at in range(len(values.subsets))] for row in range(len(values.subsets))]
        known = estimate(values, pl.DataFrame(one_UU).to_numpy(), values.groups_GH[-1:])
        for at, subset in enumerate(values.subsets):
            tables.setdefault(next(iter(subset)), {})[judged] = _of_share(interval(known, at, 0))
    return {name: tables[name] for name in domains if name in tables}


def _of_share(value: Interval) -> Interval:
    """An accuracy's interval ends where accuracies do: seeds that differ much stretch it beyond."""
    return {**value, "low": max(0.0, value["low"]), "high": min(1.0, value["high"])}


def locality(removal: Mapping[str, Mapping[str, Mapping[str, float]]], table: pl.DataFrame) -> dict[str, Any]:
    """locality.<distance>: rank correlation of the loss without a domain with its distance from the domain judged on.

    Below 0: what is lost is lost on domains like the one taken out. Over all pairs of both.
    """
    pairs = [
        (frozenset((name, place)), value["mean"])
        for name, row in removal.items()
        for place, value in row.items()
        if place != MEAN
    ]
    return _ranks(pairs, table)


def foretold(replacement: Mapping[str, Mapping[str, Mapping[str, float]]], table: pl.DataFrame) -> dict[str, Any]:
    """similarity.<distance>: rank correlation of a replacement's effect with the distance of spare and replaced domain.

    Below 0: the closer the spare, the less a swap costs.
    """
    return _ranks([(frozenset((one, spare)), v["mean"]) for one, row in replacement.items() for spare, v in row.items()], table)


def _ranks(pairs: Sequence[tuple[frozenset[str], float]], table: pl.DataFrame) -> dict[str, Any]:
    found = {}
    for distance in DISTANCES:
        known = distance_of(table, distance)
        both = [(known[pair], effect) for pair, effect in pairs if pair in known]
        ranks = rank_correlation([one for one, _ in both], [effect for _, effect in both])
        if ranks:
            found[distance] = ranks
    return found
