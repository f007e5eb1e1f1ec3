"""Which phase a training is in, read off its accuracy.

Minegishi et al. (2025, arXiv 2505.16694) name three plateaus: what the asked item alone allows, what the labels of
the context add to it, and all. A phase begins half way between the exact accuracy of the one before and its own
(training/phases/known.py); that line is ours.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from training.phases.known import Known

Phase = Literal["untrained", "non_context", "semi_context", "full_context"]
PHASES: dict[Phase, str] = {
    "untrained": "no learning",
    "non_context": "non-context",
    "semi_context": "semi-context",
    "full_context": "full-context",
}


def begins(known: Known) -> dict[Phase, float]:
    """The accuracy that each phase begins at."""
    levels = (known.chance, known.non_context, known.semi_context, known.full_context)
    halves = [(low + high) / 2 for low, high in pairwise(levels)]
    return dict(zip(PHASES, (0.0, *halves), strict=True))


def phase_of(accuracy: float, known: Known) -> Phase:
    """The last phase that has begun at this accuracy."""
    return [phase for phase, least in begins(known).items() if accuracy >= least][-1]


def entered(accuracies: Sequence[float], steps: Sequence[int], known: Known) -> dict[Phase, int | None]:
    """The first look from which on accuracy stays where a phase begins, or beyond; None where that never comes."""
    found: dict[Phase, int | None] = {}
    for phase, least in begins(known).items():
        lasting = [step for place, step in enumerate(steps) if all(value >= least for value in accuracies[place:])]
        found[phase] = lasting[0] if lasting else None
    return found
