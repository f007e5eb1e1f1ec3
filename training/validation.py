"""Accuracy while a learner trains: on the train domains' validation images, and on spare domains, which it never trains on.

Held-out domains are not looked at: they judge the finished learner, and nothing is chosen by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.training_settings import Training
from training.collection import DomainTensors
from training.device import Place
from training.episodes import Episodes, evaluation_episodes
from training.evaluate import Scorer, episode_accuracies
from training.learner import Learner
from training.ranks import ALONE, Ranks
from training.seen import features_of

EPISODES = 60  # of a domain


@dataclass(frozen=True)
class DomainEpisodes:
    """The validation episodes of one domain, on rows_NP: features, or pixels. `role`: whether the learner trains on it."""

    domain: str
    role: str  # train or spare
    rows_NP: Tensor
    episodes: Episodes


@dataclass(frozen=True)
class Found:
    """Mean accuracy over a domain's validation episodes, 0 to 1."""

    domain: str
    role: str
    accuracy: float


Validation = Sequence[DomainEpisodes]


def validation_episodes(
    domains: Sequence[DomainTensors], settings: Training, spare: Sequence[DomainTensors] = ()
) -> list[DomainEpisodes]:
    """Episodes of the train domains' validation images, and of all images of spare domains.

    Domains that are too small for any are passed over.
    """
    parts = [("train", domain.in_splits("validation")) for domain in domains] + [("spare", domain) for domain in spare]
    found = []
    for number, (role, part) in enumerate(parts):
        try:
            drawn = evaluation_episodes(
                part, settings.n_way, settings.max_shot, settings.n_query, EPISODES, settings.seed + number
            )
        except ValueError:
            continue
        found.append(DomainEpisodes(part.name, role, part.features_ND, drawn))
    return found


def passed_over(domains: Sequence[DomainTensors], validation: Validation) -> list[str]:
    """Names of the domains that are too small for validation episodes."""
    there = {found.domain for found in validation}
    return [domain.name for domain in domains if domain.name not in there]


def validate(learner: Learner, validation: Validation, place: Place, ranks: Ranks = ALONE) -> list[Found]:
    """Accuracy of the learner as it now is, in each domain. Ranks share the domains out, and all get all of them."""
    scorer = scorer_of(learner, place)
    learner.eval()
    mean_V = torch.zeros(len(validation), dtype=torch.float64)
    for number in range(ranks.rank, len(validation), ranks.size):
        with place.autocast():
            features_ND = features_of(learner, validation[number].rows_NP)
        mean_V[number] = float(episode_accuracies(scorer, features_ND, validation[number].episodes).mean())
    mean_V = mean_V.to(place.device)
    if validation:
        ranks.add_up([mean_V])
    learner.train()
    return [Found(given.domain, given.role, mean) for given, mean in zip(validation, mean_V.tolist(), strict=True)]


def scorer_of(learner: Learner, place: Place) -> Scorer:
    """The learner where it is, for episodes on the CPU."""

    def scorer(support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int) -> Tensor:
        with place.autocast():
            scores_BQW: Tensor = learner(*(given.to(place.device) for given in (support_BSD, label_BS, query_BQD)), n_way)
        return scores_BQW.float().cpu()

    return scorer
