"""Baselines against plain loops and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from training.baselines import class_mean, knn, ridge


def episode(n_shot: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    label_BS = torch.stack([torch.randperm(4 * n_shot, generator=generator) % 4 for _ in range(6)])
    centre = torch.randn(6, 4, 10, generator=generator)
    support_BSD = centre.gather(1, label_BS.unsqueeze(-1).expand(-1, -1, 10)) + torch.randn(
        6, 4 * n_shot, 10, generator=generator
    )
    query_BQD = torch.randn(6, 30, 10, generator=generator) * 1.5
    return support_BSD, label_BS, query_BQD


@pytest.mark.filterwarnings("ignore:invalid value")  # scikit-learn divides by zero at one shot
def test_class_mean_is_the_nearest_centroid() -> None:
    for n_shot in (1, 5):
        support_BSD, label_BS, query_BQD = episode(n_shot)
        found = class_mean(support_BSD, label_BS, query_BQD, 4).argmax(-1)
        for b in range(6):
            expected = NearestCentroid().fit(support_BSD[b].numpy(), label_BS[b].numpy()).predict(query_BQD[b].numpy())
            assert found[b].tolist() == expected.tolist()


def test_ridge_is_scikit_learns() -> None:
    support_BSD, label_BS, query_BQD = episode(5)
    scores = ridge(support_BSD, label_BS, query_BQD, 4, strength=0.7)
    for b in range(6):
        x, y = support_BSD[b].double().numpy(), np.eye(4)[label_BS[b].numpy()]
        alpha = 0.7 / 5 * ((x - x.mean(0)) ** 2).sum(1).mean()
        expected = Ridge(alpha=alpha).fit(x, y).predict(query_BQD[b].double().numpy())
        np.testing.assert_allclose(scores[b].numpy(), expected, atol=1e-4)


def test_ridge_does_not_depend_on_scale_place_or_rotation() -> None:
    support_BSD, label_BS, query_BQD = (t.double() if t.is_floating_point() else t for t in episode(3))
    turn = torch.linalg.qr(torch.randn(10, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).Q
    before = ridge(support_BSD, label_BS, query_BQD, 4)
    after = ridge(7 * support_BSD @ turn + 3, label_BS, 7 * query_BQD @ turn + 3, 4)
    torch.testing.assert_close(before, after)


def test_knn_is_scikit_learns_where_votes_do_not_tie() -> None:
    support_BSD, label_BS, query_BQD = episode(5)
    scores = knn(support_BSD, label_BS, query_BQD, 4, neighbours=3)
    compared = 0
    for b in range(6):
        fitted = KNeighborsClassifier(3).fit(support_BSD[b].numpy(), label_BS[b].numpy())
        votes = fitted.predict_proba(query_BQD[b].numpy())
        clear = votes.max(1) > 0.5
        compared += int(clear.sum())
        assert scores[b].argmax(-1).numpy()[clear].tolist() == votes.argmax(1)[clear].tolist()
    assert compared > 100


def test_knn_settles_ties_for_the_nearest_and_uses_one_neighbour_for_one_shot() -> None:
    support = torch.tensor([[[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0], [8.0]]])
    label = torch.tensor([[0, 1, 2, 0, 1, 2, 0, 1, 2]])
    assert knn(support, label, torch.tensor([[[3.9]]]), 3, neighbours=3).argmax().item() == 1
    single = knn(torch.tensor([[[0.0], [1.0], [1.1]]]), torch.tensor([[0, 1, 2]]), torch.tensor([[[0.1]]]), 3)
    assert single.argmax().item() == 0
    assert int((single >= 1).sum()) == 1
