"""How well the task can be told from hidden states, and whether that goes with accuracy in context.

Task decodability (Han et al. 2025, arXiv 2412.12276): the accuracy of a vote of the k nearest neighbours among hidden states
whose task is known.

Shape letters: B contexts, E width.
"""

from collections.abc import Sequence

from scipy import stats
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor


def decodability(known_BE: Tensor, known_task_B: Tensor, state_BE: Tensor, task_B: Tensor, neighbours: int) -> float:
    """Share of the states, 0 to 1, whose task most of their nearest known neighbours have. Ties count for the lower task."""
    voters = KNeighborsClassifier(neighbours, algorithm="brute").fit(known_BE.numpy(), known_task_B.numpy())
    return float(voters.score(state_BE.numpy(), task_B.numpy()))


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's; None where one of both never changes."""
    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return float(stats.spearmanr(one, other).statistic)
