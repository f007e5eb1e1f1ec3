"""Clusters of copies from pairs: what hangs together and agrees with its keeper.

So a chain of small changes never merges its ends.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from pipelines.copies.turns import INVERSE, TURNS, turned


class Near(NamedTuple):
    """How a copy lies to its keeper."""

    transform: str  # what turns the keeper into it
    agreement: float  # 0 to 1
    direct: bool  # whether the pair itself was found; else it was compared because copies of it hang together


Links = dict[str, dict[str, Near]]
Compare = Callable[[Sequence[tuple[str, str, str]]], list[float]]  # (key, other key, transform): how well they agree


def links(evidence: pl.DataFrame) -> Links:
    """key -> other key -> how the key's picture becomes the other's, both ways, of the near pairs that count."""
    found: Links = {}
    rows = evidence.filter((pl.col("step") == "near") & pl.col("copies"))
    for a, b, turn, agreement in rows.select("key_a", "key_b", "transform", "agreement").iter_rows():
        found.setdefault(a, {})[b] = Near(turn, agreement, True)
        found.setdefault(b, {})[a] = Near(INVERSE.get(turn, turn), agreement, True)
    return found


def clusters(ranked: Mapping[str, tuple[int, int]], linked: Links, compare: Compare, least: float) -> Iterator[dict[str, Near]]:
    """Clusters of copies: each as its keeper's key first, with no change, then its members and how they lie to the keeper.

    `ranked` runs from the best copy to the worst and tells of each its goodness (the smaller the better, equal where only the
    name decides) and how many records have its pixels. The best of a connected part is its keeper; members that are not linked
    to it are compared with it, turned as the way to them says, and stay only if they agree by `least`. What does not stay is
    clustered again without those that did. Pictures without a copy are left out.
    """
    free = dict.fromkeys(key for key in ranked if key in linked)
    while free:
        keeper = next(iter(free))
        members = _cluster(keeper, free, linked, compare, least)
        for key in members:
            del free[key]
        if len(members) > 1:
            yield as_most_lie(members, ranked)


def _cluster(keeper: str, free: Mapping[str, None], linked: Links, compare: Compare, least: float) -> dict[str, Near]:
    turns = _reached(keeper, free, linked)
    direct = linked[keeper]
    asked = [(keeper, key, turn) for key, turn in turns.items() if key not in direct]
    scores = dict(zip((key for _, key, _ in asked), compare(asked), strict=True)) if asked else {}
    members = {keeper: Near("none", 1.0, True)}
    for key in free:  # in the order of their rank
        if key in direct:
            members[key] = direct[key]
        elif scores.get(key, 0.0) >= least:
            members[key] = Near(turns[key], scores[key], False)
    return members


def as_most_lie(members: dict[str, Near], ranked: Mapping[str, tuple[int, int]]) -> dict[str, Near]:
    """The same cluster under a keeper that lies as most of its records do, if there is one as good as the first."""
    keeper = next(iter(members))
    votes: Counter[str] = Counter()
    for key, near in members.items():
        votes[near.transform] += ranked[key][1]
    as_good = [key for key in members if ranked[key][0] == ranked[keeper][0]]
    best = max(as_good, key=lambda key: votes[members[key].transform])  # the first of those with most votes
    if votes[members[best].transform] == votes["none"]:
        return members
    chosen = members[best]
    back = INVERSE.get(chosen.transform, chosen.transform)
    others = {
        key: Near(composed(back, near.transform), min(chosen.agreement, near.agreement), False)
        for key, near in members.items()
        if key != best
    }
    return {best: Near("none", 1.0, True), **others}


def _reached(keeper: str, free: Mapping[str, None], linked: Links) -> dict[str, str]:
    """Every free picture that hangs together with the keeper, nearest first, and the turn that leads to it."""
    turns: dict[str, str] = {}
    ahead = [(keeper, "none")]
    seen = {keeper}
    for key, turn in ahead:
        for other in sorted(linked[key]):
            if other in free and other not in seen:
                seen.add(other)
                turns[other] = composed(turn, linked[key][other].transform)
                ahead.append((other, turns[other]))
    return turns


def composed(first: str, then: str) -> str:
    """The turn that does one after the other."""
    return _COMPOSED[first, then]


def _compositions() -> dict[tuple[str, str], str]:
    square = np.arange(4).reshape(1, 2, 2)
    named = {turned(square, name).tobytes(): name for name in TURNS}
    return {(one, two): named[turned(turned(square, one), two).tobytes()] for one in TURNS for two in TURNS}


_COMPOSED = _compositions()
