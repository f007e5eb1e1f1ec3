"""The read-out of parts: kernel ridge under many metrics, mixed by evidence; what it must not depend on."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor
from torch.nn.functional import one_hot

from pipelines.encoders import fit
from pipelines.encoders.parts import parts
from training.parts_readout import PartsReadout, candidates, double_centred, kernel_ridge, left_out_likelihood


def episode(n_way: int = 4, n_shot: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    label_BS = torch.stack([torch.randperm(n_way * n_shot, generator=generator) % n_way for _ in range(5)])
    centre_BWD = torch.randn(5, n_way, 10, generator=generator)
    noise_BSD = torch.randn(5, n_way * n_shot, 10, generator=generator)
    support_BSD = centre_BWD.gather(1, label_BS.unsqueeze(-1).expand(-1, -1, 10)) + noise_BSD
    return support_BSD, label_BS, torch.randn(5, 6, 10, generator=generator) * 1.5


def readout(sizes: tuple[int, ...] = (3, 2, 5)) -> PartsReadout:
    return PartsReadout(torch.eye(10), sizes)


def test_candidates_are_all_alike_one_favoured_and_two_favoured() -> None:
    assert candidates(1).tolist() == [[0.0]]
    assert len(candidates(2)) == 3
    favoured = candidates(6) > 0
    assert len(favoured) == 22
    assert sorted(favoured.sum(1).tolist()) == [0] + [1] * 6 + [2] * 15
    assert len(favoured.unique(dim=0)) == 22


def test_kernel_ridge_is_scikit_learns_and_leaves_out_what_it_says() -> None:
    generator = torch.Generator().manual_seed(1)
    support_SD, query_QD = torch.randn(9, 4, generator=generator).double(), torch.randn(5, 4, generator=generator).double()
    target_SW = one_hot(torch.arange(9) % 3, 3).double()
    kernel = RBF(1.3)
    among, across = (torch.from_numpy(kernel(a.numpy(), support_SD.numpy()))[None, None] for a in (support_SD, query_QD))
    weight_BS = torch.ones(1, 9).double()
    among, across = double_centred(among, across, weight_BS)
    scale = among[0, 0].diagonal().mean()
    found, left_out = kernel_ridge(among, across, target_SW[None], weight_BS, torch.tensor([0.4]).double())
    mean_W = target_SW.mean(0)
    model = KernelRidge(alpha=0.4, kernel="precomputed").fit((among[0, 0] / scale).numpy(), (target_SW - mean_W).numpy())
    np.testing.assert_allclose(found[0, 0].numpy(), model.predict((across[0, 0] / scale).numpy()) + mean_W.numpy(), atol=1e-9)
    for i in range(9):
        others = [j for j in range(9) if j != i]
        part = (among[0, 0] / scale)[others][:, others].numpy()
        refit = KernelRidge(alpha=0.4, kernel="precomputed").fit(part, (target_SW - mean_W)[others].numpy())
        expected = refit.predict((among[0, 0] / scale)[i : i + 1, others].numpy()) + mean_W.numpy()
        np.testing.assert_allclose(left_out[0, 0, i : i + 1].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("n_shot", [1, 4])
def test_neither_order_nor_scale_nor_place_nor_company_matter(n_shot: int) -> None:
    support_BSD, label_BS, query_BQD = (t.double() if t.is_floating_point() else t for t in episode(n_shot=n_shot))
    reader = readout().double()
    before = reader(support_BSD, label_BS, query_BQD, 4)
    order = torch.randperm(4 * n_shot, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(reader(support_BSD[:, order], label_BS[:, order], query_BQD, 4), before)
    torch.testing.assert_close(reader(7 * support_BSD + 3, label_BS, 7 * query_BQD + 3, 4), before)
    torch.testing.assert_close(reader(support_BSD, (label_BS + 1) % 4, query_BQD, 4), before.roll(1, -1))
    torch.testing.assert_close(reader(support_BSD[:2], label_BS[:2], query_BQD[:2, :1], 4), before[:2, :1])


def test_the_part_that_tells_classes_apart_is_found() -> None:
    """One part of three carries the classes, the others loud noise: candidates that favour it win at 5 shots."""
    generator = torch.Generator().manual_seed(2)
    label_BS = (torch.arange(20) % 4).expand(40, 20)
    features = 3 * torch.randn(40, 60, 10, generator=generator)
    which = torch.cat([label_BS, (torch.arange(40) % 4).expand(40, 40)], dim=1)
    features[..., 3:5] = torch.randn(40, 4, 2, generator=generator).gather(1, which.unsqueeze(-1).expand(-1, -1, 2)) * 2
    features[..., 3:5] += 0.3 * torch.randn(40, 60, 2, generator=generator)

    def accuracy(reader: PartsReadout) -> float:
        right = reader(features[:, :20], label_BS, features[:, 20:], 4).argmax(-1) == which[:, 20:]
        return float(right.float().mean())

    assert accuracy(readout()) > accuracy(readout((10,))) + 0.1


def test_a_lone_support_says_nothing_when_left_out() -> None:
    label_BS = torch.tensor([[0, 1, 1]])
    target_BSW = one_hot(label_BS, 2).float()
    scores = torch.zeros(1, 2, 3, 2)
    scores[:, 1, 0, 1] = 100.0  # only the lone support is misread under the second candidate
    found = left_out_likelihood(scores, label_BS, target_BSW)
    assert found[0, 0] == found[0, 1]
    assert float(found[0, 0]) == pytest.approx(2 * np.log(0.5), abs=1e-5)


def test_the_embedded_encoders_parts_are_orthonormal() -> None:
    encoder = fit(count=256)
    basis_DE, sizes = parts(encoder)
    assert len(sizes) == 6
    assert basis_DE.shape == (encoder.dimensions, sum(sizes))
    np.testing.assert_allclose(basis_DE.T @ basis_DE, np.eye(sum(sizes)), atol=1e-4)
    grey, red = np.full((2, 48, 48, 3), 90, np.uint8), np.full((2, 48, 48, 3), 90, np.uint8)
    red[1, ..., 0] = 200
    change = np.abs(np.diff(encoder.encode(red), axis=0)[0] @ basis_DE) ** 2
    shares = [part.sum() / change.sum() for part in np.split(change, np.cumsum(sizes)[:-1])]
    assert int(np.argmax(shares)) == 5, "another colour moves the colour's part most"
    assert np.allclose(np.diff(encoder.encode(grey), axis=0), 0, atol=1e-5)
