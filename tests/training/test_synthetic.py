"""Synthetic tasks: balanced, each of its own key, with the spectra they are said to have."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.noise import keys
from training.synthetic import in_order, rotation, spectrum, synthetic_batch
from training.turns import Turns

D = 16
TURNS = Turns(D, 0, torch.device("cpu"))
MATRIX_2DD = torch.stack([TURNS.matrix(0), TURNS.matrix(1)])


@given(
    n_way=st.integers(2, 6),
    n_shot=st.integers(1, 4),
    n_query=st.integers(1, 4),
    episodes=st.integers(2, 6),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=40, deadline=None)
def test_tasks_are_balanced_of_unit_length_and_independent_of_their_company(
    n_way: int, n_shot: int, n_query: int, episodes: int, seed: int
) -> None:
    key_B = keys(0, episodes, seed)
    batch = synthetic_batch(key_B, MATRIX_2DD, n_way, n_shot, n_query)
    for label_BX, images in ((batch.support_label_BS, n_shot), (batch.query_label_BQ, n_query)):
        assert all(torch.bincount(row, minlength=n_way).tolist() == [images] * n_way for row in label_BX)
    for feature_BXD in (batch.support_BSD, batch.query_BQD):
        torch.testing.assert_close(feature_BXD.norm(dim=-1), torch.ones(feature_BXD.shape[:2]))
        assert len(feature_BXD.flatten(0, 1).unique(dim=0)) == feature_BXD.shape[0] * feature_BXD.shape[1]
    assert float(batch.weight_BQ.min()) == 1.0
    alone = synthetic_batch(key_B[1:2], MATRIX_2DD, n_way, n_shot, n_query)
    assert torch.equal(alone.support_label_BS, batch.support_label_BS[1:2])
    torch.testing.assert_close(alone.query_BQD, batch.query_BQD[1:2], atol=1e-5, rtol=0)  # products round by their size


def test_images_stand_with_their_labels_in_an_order_of_their_own() -> None:
    batch = synthetic_batch(keys(0, 200, 4), MATRIX_2DD, 3, 4, 4)
    mean_BWD = torch.stack(
        [(batch.support_BSD * (batch.support_label_BS == label).unsqueeze(-1)).sum(1) for label in range(3)], 1
    )
    nearest_BQ = (batch.query_BQD @ mean_BWD.mT).argmax(-1)
    assert float((nearest_BQ == batch.query_label_BQ).float().mean()) > 0.45  # chance is a third
    assert len({tuple(row) for row in batch.query_label_BQ.tolist()}) > 190
    assert len({tuple(row) for row in batch.support_label_BS.tolist()}) > 190
    assert (batch.support_label_BS[:, 0] == batch.query_label_BQ[:, 0]).float().mean() < 0.5  # two orders, not one


def test_putting_in_order_moves_features_and_labels_alike() -> None:
    feature_BWKD = torch.arange(12.0).view(1, 2, 3, 2)
    label_BWK = torch.tensor([[[0, 0, 0], [1, 1, 1]]])
    ordered_BXD, label_BX = in_order(feature_BWKD, label_BWK, torch.tensor([[5, 1, 4, 0, 3, 2]]))
    assert ordered_BXD[0, :, 0].tolist() == [6.0, 2.0, 10.0, 8.0, 4.0, 0.0]
    assert label_BX.tolist() == [[1, 0, 1, 1, 0, 0]]


def test_a_spectrum_falls_as_its_power_and_has_length_one() -> None:
    found = spectrum(torch.tensor([0.0, 1.2]), D).view(2, D)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(found[0], torch.full((D,), D**-0.5))
    ratios = found[1, 1:] / found[1, 0]
    torch.testing.assert_close(ratios, torch.arange(2, D + 1).float() ** -1.2)


def test_rotations_are_uniform() -> None:
    """Every entry has mean 0 and variance 1 / D, and half of the matrices mirror: a bare QR has neither."""
    generator = torch.Generator().manual_seed(1)
    drawn = torch.stack([rotation(4, generator) for _ in range(1500)])
    assert float(drawn.mean(dim=0).abs().max()) < 4.5 * (1 / 4 / 1500) ** 0.5
    assert float((drawn.square().mean(dim=0) - 0.25).abs().max()) < 0.04
    assert float((torch.linalg.det(drawn) > 0).float().mean()) == pytest.approx(0.5, abs=0.06)
