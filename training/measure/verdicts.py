"""Whether a domain can be replaced, by an equivalence test, and what it would take to tell.

A replacement wins `effect` = V(replaced) - V(full), known with a standard error and degrees of freedom (bootstrap.py). Against
a margin m two one-sided t-tests are made (Schuirmann 1987): effect > -m, the spare loses less than m, and effect < m, it wins
less than m. Not being significantly worse is no evidence of being as good; only the first test is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from training.measure.variance import Parts

LEVEL = 0.05  # of each one-sided test
MOST = 1000  # seeds, or times as many episodes, that are worth naming
Verdict = Literal["replaceable", "not_replaceable", "cannot_tell_yet"]
Side = Literal["equal", "better", "not worse", "worse", "unknown"]


@dataclass(frozen=True)
class Judgement:
    """What the tests say of one replacement; p-values are corrected for the number of replacements (Holm 1979)."""

    verdict: Verdict
    side: Side  # equal: within the margin both ways; not worse: equal or better
    p_loses_less: float  # of "it loses the margin or more"
    p_loses_more: float  # of "it loses the margin or less"
    p_wins_less: float  # of "it wins the margin or more"


def one_sided(effect: float, error: float, degrees: float, bound: float) -> tuple[float, float]:
    """p-values for effect > bound and for effect < bound. Without any error both are 0 or 1."""
    if error == 0:
        return float(effect <= bound), float(effect >= bound)
    statistic = (effect - bound) / error
    return float(stats.t.sf(statistic, degrees)), float(stats.t.cdf(statistic, degrees))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that all together err with the probability of one (Holm 1979)."""
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    found = np.ones(count)
    largest = 0.0
    for place, at in enumerate(order):
        largest = max(largest, min(1.0, (count - place) * p_values[at]))
        found[at] = largest
    return [float(value) for value in found]


def judge(
    effects: Sequence[float], errors: Sequence[float], degrees: Sequence[float], seeds: Sequence[int], margin: float
) -> list[Judgement]:
    """A judgement for each replacement of a table.

    With one seed the error holds the chance of episodes alone, so the verdict is `cannot_tell_yet` whatever the p-values are.
    """
    rows = list(zip(effects, errors, degrees, strict=True))
    below = [one_sided(*row, -margin) for row in rows]
    above = [one_sided(*row, margin) for row in rows]
    less, more = holm([p for p, _ in below]), holm([p for _, p in below])
    within, beyond = holm([p for _, p in above]), holm([p for p, _ in above])
    found = []
    for at, count in enumerate(seeds):
        verdict, side = verdict_of(less[at], more[at], within[at], beyond[at]) if count > 1 else ("cannot_tell_yet", "unknown")
        found.append(Judgement(verdict, side, less[at], more[at], within[at]))
    return found


def verdict_of(less: float, more: float, within: float, beyond: float) -> tuple[Verdict, Side]:
    """Verdict and side from corrected p-values of: loses less than the margin, loses more, wins less, wins more."""
    if less < LEVEL:
        return "replaceable", "equal" if within < LEVEL else "better" if beyond < LEVEL else "not worse"
    if more < LEVEL:
        return "not_replaceable", "worse"
    return "cannot_tell_yet", "unknown"


def needed(parts: Parts, contrast: int, group: int, margin: float, tests: int) -> str:
    """How many seeds or episodes would settle an open verdict, if effect and spreads are as they were found.

    Takes the largest correction, that of the first of so many `tests`.
    """
    seeds = int(parts.seeds_M[contrast])
    if seeds < 2:
        return "at least one more seed: one tells nothing of what another training would give"
    gap = abs(float(parts.mean_MG[contrast, group]) + margin)
    rest = float(parts.rest_MG[contrast, group])
    by_seed = max(float(parts.seed_MG[contrast, group]) - rest, 0.0)
    by_episode = max(float(parts.episode_MG[contrast, group]) - rest, 0.0)
    for more_episodes in (1, 4, 16, 64):
        for count in range(seeds, MOST + 1):
            error = np.sqrt(by_seed * seeds / count + by_episode / more_episodes + rest * seeds / count / more_episodes)
            if gap > stats.t.isf(LEVEL / tests, max(count - 1, 1)) * error and (count, more_episodes) != (seeds, 1):
                if more_episodes == 1:
                    return f"about {count} seeds"
                return (
                    f"about {count} seeds and {more_episodes} times the episodes"
                    if count > seeds
                    else (f"about {more_episodes} times the episodes")
                )
    return f"more than {MOST} seeds: it lies at the margin"
