"""Which classical rule the project's own learner is like, on episodes of real domains: predictions and sensitivities.

Scores of different rules have scales of their own, so they are compared as directions: scores and sensitivities less their mean
over ways, by their cosine; and as probabilities, the rule's at the temperature at which they come nearest to the learner's.

Shape letters: B episodes, S supports, Q queries, W ways, D features.
"""

import copy
from dataclasses import dataclass
from functools import partial
from math import exp

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cosine_similarity, one_hot, softmax

from training.baselines import class_mean, ridge
from training.episodes import Episodes
from training.evaluate import Scorer
from training.learner import MOVES, Learner

STEPS = (1, 5, 25)  # of gradient descent
MEASURES = ("same_label", "score_cosine", "sensitivity_cosine", "prediction_difference")
CHUNK = 20  # episodes at once
SEARCHED = 500  # episodes that a rate is searched on
WIDEST = 12.0  # factors of e to either side, of the search for a temperature


@dataclass(frozen=True)
class Scored:
    """Scores of the queries, and d score / d query, both less their means over ways."""

    score_BQW: Tensor
    sensitivity_BQWD: Tensor


def gradient_steps(support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int, *, steps: int, rate: float) -> Tensor:
    """scores_BQW after steps of gradient descent from zero on the squared error of the labels, centred as ridge centres.

    The rate is a share of the inverse of the largest curvature, so that episodes of any scale are alike.
    """
    centre_B1D = support_BSD.mean(dim=1, keepdim=True)
    support_BSD, query_BQD = support_BSD - centre_B1D, query_BQD - centre_B1D
    target_BSW = one_hot(label_BS, n_way).to(support_BSD.dtype)
    target_BSW = target_BSW - target_BSW.mean(dim=1, keepdim=True)
    kernel_BSS = support_BSD @ support_BSD.mT
    largest_B11 = torch.linalg.matrix_norm(kernel_BSS, ord=2)[:, None, None].clamp(min=1e-12)
    dual_BSW = torch.zeros_like(target_BSW)  # the weights are sums of supports, so the supports' shares are enough
    for _ in range(steps):
        dual_BSW = dual_BSW + rate / largest_B11 * (target_BSW - kernel_BSS @ dual_BSW)
    return query_BQD @ support_BSD.mT @ dual_BSW


def unmoved(learner: Learner) -> Learner | None:
    """The same learner with its metric and its transformer's steps at zero: its read-out alone. None where it moves nothing."""
    if learner.shape.readout not in MOVES:
        return None
    bare = copy.deepcopy(learner)
    with torch.no_grad():
        for weights in (bare.metric, bare.head.weight, bare.head.bias):
            weights.zero_()
    return bare


def rules(learner: Learner, features_ND: Tensor, episodes: Episodes) -> dict[str, Scorer]:
    """What the learner is compared with, by name; gradient descent takes the rates that serve these very queries best."""
    found: dict[str, Scorer] = {"class_mean": class_mean}
    for steps in STEPS:
        found[f"gd_{steps}"] = partial(gradient_steps, steps=steps, rate=best_rate(features_ND, episodes, steps))
    found["ridge"] = ridge
    bare = unmoved(learner)
    return found if bare is None else found | {"readout": bare}


def best_rate(features_ND: Tensor, episodes: Episodes, steps: int) -> float:
    """The rate with the least squared error on the queries' labels, by a line search; beyond 2 descent would diverge."""
    episodes = episodes.part(0, SEARCHED)
    target_BQW = one_hot(episodes.query_label_BQ, episodes.n_way).float() - 1 / episodes.n_way
    given = (features_ND[episodes.support_BS], episodes.support_label_BS, features_ND[episodes.query_BQ], episodes.n_way)

    def loss(rate: float) -> float:
        return float((gradient_steps(*given, steps=steps, rate=rate) - target_BQW).square().mean())

    return float(minimize_scalar(loss, bounds=(0.0, 2.0), method="bounded").x)


def scored(scorer: Scorer, features_ND: Tensor, episodes: Episodes) -> Scored:
    """Scores and sensitivities of all queries."""
    query_BQD = features_ND[episodes.query_BQ].requires_grad_()
    with torch.enable_grad():
        score_BQW = scorer(features_ND[episodes.support_BS], episodes.support_label_BS, query_BQD, episodes.n_way)
        sums_W = score_BQW.sum(dim=(0, 1))  # no query sees another
        slopes = [torch.autograd.grad(each, query_BQD, retain_graph=True)[0] for each in sums_W]
    score_BQW, slope_BQWD = score_BQW.detach().float(), torch.stack(slopes, dim=2)
    return Scored(score_BQW - score_BQW.mean(-1, keepdim=True), slope_BQWD - slope_BQWD.mean(2, keepdim=True))


def likenesses(learner: Learner, features_ND: Tensor, episodes: Episodes) -> dict[str, dict[str, Tensor]]:
    """How like the learner each rule is: by rule and measure a mean over each episode's queries, [B].

    How often both choose the same label, cosines of scores and of sensitivities, and the distance of the probabilities.
    Sensitivities are large, so they are compared a chunk of episodes at a time.
    """
    others = rules(learner, features_ND, episodes)
    own: list[Tensor] = []
    found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in others}  # scores, cosines of the sensitivities
    for start in range(0, len(episodes), CHUNK):
        part = episodes.part(start, start + CHUNK)
        one = scored(learner, features_ND, part)
        own.append(one.score_BQW)
        for name, rule in others.items():
            other = scored(rule, features_ND, part)
            alike_BQ = cosine_similarity(one.sensitivity_BQWD.flatten(2), other.sensitivity_BQWD.flatten(2), dim=-1)
            found[name].append((other.score_BQW, alike_BQ))
    weight_BQ, own_BQW = episodes.weight_BQ, torch.cat(own)
    table = {}
    for name, parts in found.items():
        score_BQW, alike_BQ = (torch.cat([part[which] for part in parts]) for which in (0, 1))
        each = compare(own_BQW, score_BQW) | {"sensitivity_cosine": alike_BQ}
        table[name] = {measure: (each[measure] * weight_BQ).sum(1) / weight_BQ.sum(1) for measure in MEASURES}
    return table


def compare(own_BQW: Tensor, score_BQW: Tensor) -> dict[str, Tensor]:
    """Of the scores alone, for each query, [B, Q]."""
    share_BQW = softmax(own_BQW, dim=-1)
    nearest = nearest_scale(share_BQW, score_BQW)
    return {
        "same_label": (own_BQW.argmax(-1) == score_BQW.argmax(-1)).float(),
        "score_cosine": cosine_similarity(own_BQW, score_BQW, dim=-1),
        "prediction_difference": (share_BQW - softmax(nearest * score_BQW, dim=-1)).norm(dim=-1),
    }


def nearest_scale(own_BQW: Tensor, score_BQW: Tensor) -> float:
    """The factor of the scores at which their probabilities come nearest to `own_BQW`, by cross-entropy."""
    size = float(score_BQW.std().clamp(min=1e-12))

    def loss(log_scale: float) -> float:
        return -float((own_BQW * torch.log_softmax(score_BQW * (exp(log_scale) / size), dim=-1)).sum(-1).mean())

    found: float = minimize_scalar(loss, bounds=(-WIDEST, WIDEST), method="bounded").x
    return exp(found) / size
