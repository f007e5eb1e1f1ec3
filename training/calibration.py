"""How far a learner's scores are probabilities: temperature scaling (Guo et al. 2017, arXiv 1706.04599).

Shape letters: B episodes, Q queries, W ways, N queries of all episodes together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softmax

from pipelines.training_settings import Training
from training.collection import DomainTensors
from training.episodes import evaluation_episodes
from training.learner import Learner
from training.seen import features_of

EPISODES = 60  # of a domain and a number of shots
SEED = 7_919  # keeps these episodes apart from those that are looked at during training
BINS = 15
HALVINGS = 50
COLDEST, HOTTEST = 1e-3, 1e3


@dataclass(frozen=True)
class Calibration:
    """A temperature for episodes of this form, and the expected calibration error on episodes that it was not fitted on."""

    n_way: int
    n_shot: int
    temperature: float  # scores are divided by it
    episodes: int  # that it was fitted on
    error_before: float  # at temperature 1, on as many other episodes
    error: float  # at the temperature, on the same ones


def calibrate(learner: Learner, domains: Sequence[DomainTensors], settings: Training) -> list[Calibration]:
    """A temperature for the fewest and the most shots, from episodes of the train domains' validation images.

    Every second episode is fitted on, the others are judged on. A domain too small for such episodes is passed over; where
    all are, nothing is returned.
    """
    found = []
    for n_shot in sorted({settings.min_shot, settings.max_shot}):
        halves = [half for number, domain in enumerate(domains) for half in _scored(learner, domain, settings, n_shot, number)]
        fitted, judged = halves[::2], halves[1::2]
        if not fitted:
            continue
        temperature = fit_temperature(*_joined(fitted))
        scores_NW, label_N = _joined(judged)
        errors = [calibration_error(softmax(scores_NW / by, dim=-1), label_N) for by in (1.0, temperature)]
        count = EPISODES // 2 * len(fitted)
        found.append(Calibration(settings.n_way, n_shot, temperature, count, *errors))
    return found


def _scored(
    learner: Learner, domain: DomainTensors, settings: Training, n_shot: int, number: int
) -> list[tuple[Tensor, Tensor]]:
    """Scores [N, W] and labels [N] of the even and of the odd episodes of a domain; none where it is too small."""
    part = domain.in_splits("validation")
    try:
        drawn = evaluation_episodes(part, settings.n_way, n_shot, settings.n_query, EPISODES, settings.seed + SEED + number)
    except ValueError:
        return []
    features_ND = features_of(learner, part.features_ND)
    with torch.inference_mode():
        scores_BQW = learner(features_ND[drawn.support_BS], drawn.support_label_BS, features_ND[drawn.query_BQ], drawn.n_way)
    counts_BQ = drawn.weight_BQ > 0
    return [(scores_BQW[half::2][counts_BQ[half::2]], drawn.query_label_BQ[half::2][counts_BQ[half::2]]) for half in (0, 1)]


def _joined(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([scores_NW for scores_NW, _ in parts]), torch.cat([label_N for _, label_N in parts])


def fit_temperature(scores_NW: Tensor, label_N: Tensor) -> float:
    """The temperature at which the cross-entropy is least, between .001 and 1000.

    In the inverse temperature it is convex, so the zero of its slope, mean(sum_w p_w s_w - s_label), is
    found by halving.
    """
    scores_NW = scores_NW.double()
    own_N = scores_NW.gather(1, label_N.unsqueeze(1)).squeeze(1)
    low, high = -math.log(HOTTEST), -math.log(COLDEST)  # of the inverse temperature's logarithm
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        share_NW = softmax(scores_NW * math.exp(middle), dim=-1)
        slope = float(((share_NW * scores_NW).sum(dim=-1) - own_N).mean())
        low, high = (low, middle) if slope > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def calibration_error(share_NW: Tensor, label_N: Tensor) -> float:
    """Expected calibration error: over 15 bins of equal width of the largest probability, the mean difference between how
    often that label is right and the probability itself, weighted by how many queries a bin holds. 0 to 1.
    """
    confidence_N, chosen_N = share_NW.double().max(dim=-1)
    bin_N = (confidence_N * BINS).ceil().long().clamp(1, BINS) - 1
    gap_N = (chosen_N == label_N).double() - confidence_N
    return float((one_hot(bin_N, BINS).double().T @ gap_N).abs().sum() / len(label_N))


def nearest(calibrations: Sequence[Calibration], n_shot: float) -> Calibration | None:
    """The calibration whose number of shots is nearest as a ratio, or None where there is none."""
    return min(calibrations, key=lambda found: max(found.n_shot / n_shot, n_shot / found.n_shot), default=None)
