"""Accuracy of learners and baselines over the same episodes, with 95 % intervals."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.episodes import Episodes

Scorer = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # support_BSD, label_BS, query_BQD, n_way -> scores_BQW
Z95 = 1.959964  # two-sided 95 % of the normal distribution


def episode_accuracies(scorer: Scorer, features_ND: Tensor, episodes: Episodes, *, chunk: int = 100) -> NDArray[np.float32]:
    """Share of each episode's queries that get their own label, [E], 0 to 1. Ties count for the lower label."""
    found = []
    with torch.no_grad():
        for start in range(0, len(episodes), chunk):
            part = episodes.part(start, start + chunk)
            support_BSD, query_BQD = features_ND[part.support_BS], features_ND[part.query_BQ]
            scores_BQW = scorer(support_BSD, part.support_label_BS, query_BQD, part.n_way)
            right_BQ = (scores_BQW.argmax(dim=-1) == part.query_label_BQ) * part.weight_BQ
            found.append(right_BQ.sum(dim=1) / part.weight_BQ.sum(dim=1))
    return torch.cat(found).numpy().astype(np.float32)


def interval(values: Sequence[float] | NDArray[np.floating]) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval over episodes, by the normal approximation (mean +- 1.96 standard errors).

    Raises ValueError for fewer than two values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        raise ValueError(f"an interval needs at least 2 episodes, found {array.size}")
    mean, half = float(array.mean()), Z95 * float(array.std(ddof=1)) / float(np.sqrt(array.size))
    return mean, mean - half, mean + half


def paired_interval(
    first: Sequence[float] | NDArray[np.floating], second: Sequence[float] | NDArray[np.floating]
) -> tuple[float, float, float]:
    """Interval of the mean difference first - second over the same episodes in the same order.

    Raises ValueError if their numbers differ.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise ValueError(f"paired values need the same episodes, found {one.size} and {other.size}")
    return interval(one - other)


def mean_interval(groups: Sequence[Sequence[float] | NDArray[np.floating]]) -> tuple[float, float, float]:
    """Interval of the plain mean of several domains' means: domains are fixed, episodes are drawn within each.

    Raises ValueError if there is no group or one has fewer than two values.
    """
    if not groups:
        raise ValueError("a mean over domains needs at least 1 domain, found none")
    parts = [interval(group) for group in groups]
    mean = float(np.mean([part[0] for part in parts]))
    half = float(np.sqrt(np.sum([(part[2] - part[0]) ** 2 for part in parts]))) / len(parts)
    return mean, mean - half, mean + half
