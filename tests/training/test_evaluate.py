"""Accuracies and their intervals."""

import numpy as np
import pytest
import torch

from training.collection import DomainTensors
from training.episodes import evaluation_episodes
from training.evaluate import episode_accuracies, interval, mean_interval, paired_interval


def test_accuracy_is_the_share_of_queries_with_their_own_label() -> None:
    class_N = torch.arange(4).repeat_interleave(10)
    features_ND = torch.nn.functional.one_hot(class_N, 4).float()
    domain = DomainTensors("d", features_ND, class_N, torch.arange(40), ("train",) * 40, ("a", "b", "c", "e"))
    episodes = evaluation_episodes(domain, 4, 2, 3, 25, 0)

    def perfect(support_BSD: torch.Tensor, label_BS: torch.Tensor, query_BQD: torch.Tensor, n_way: int) -> torch.Tensor:
        return query_BQD @ support_BSD.mT @ torch.nn.functional.one_hot(label_BS, n_way).float()

    assert episode_accuracies(perfect, features_ND, episodes, chunk=7).tolist() == [1.0] * 25
    first = episode_accuracies(lambda s, y, q, w: torch.eye(4)[torch.zeros(q.shape[:2]).long()], features_ND, episodes)
    np.testing.assert_allclose(first, np.full(25, 0.25))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = paired = grouped = 0
    for _ in range(1000):
        values = rng.binomial(75, 0.6, size=100) / 75
        _, low, high = interval(values)
        covered += low <= 0.6 <= high
        other = values - 0.1 + rng.normal(0, 0.05, size=100)
        _, low, high = paired_interval(values, other)
        paired += low <= 0.1 <= high
        _, low, high = mean_interval([values, rng.binomial(75, 0.8, size=50) / 75])
        grouped += low <= 0.7 <= high
    assert 925 <= covered <= 970
    assert 925 <= paired <= 970
    assert 925 <= grouped <= 970


def test_pairing_narrows_the_interval() -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(0.6, 0.1, size=200)
    _, low, high = paired_interval(one, one - 0.02 + rng.normal(0, 0.01, size=200))
    assert low > 0
    assert high - low < 0.01


def test_what_cannot_have_an_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 episodes, found 1"):
        interval([0.5])
    with pytest.raises(ValueError, match="same episodes, found 3 and 2"):
        paired_interval([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="found none"):
        mean_interval([])
