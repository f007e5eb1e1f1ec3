"""A read-out that weighs the parts of a feature by what the episode shows: kernel ridge regression under many metrics, mixed.

An encoder's feature falls into parts (texture, gradients, colour; all over or by place), and which of them tells an episode's
classes apart differs from domain to domain and from episode to episode. So every candidate favours one part or two by a factor
of ten, and reads the episode by kernel ridge regression in closed form. Candidates are mixed by two kinds of evidence:
the likelihood of each support when it is left out (free in kernel ridge regression; Rasmussen & Williams 2006, 5.4.2), and how
near the query comes to a support where supports are far from each other, which is all there is to go by at one shot.
What is learned over domains is few numbers: each part's scale and the trust in either evidence. They start at a good learner.

Shape letters: B episodes, S supports, Q queries, D features, E of them in some part, G parts, M candidates, W ways.
weight_BS is 1, or 0 for a support that is padding.
"""

from collections.abc import Sequence
from itertools import combinations
from math import log
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.baselines import members

FAVOUR = 10.0  # by how much a candidate weighs the squared distances in its favoured parts
WIDTH = 1.0  # of the Gaussian kernel: distances are in units of the supports' mean squared distance
STRENGTH = 2.0  # regularisation of one shot as a share of the supports' spread; k shots take a k-th of it, as `ridge`
SHARPNESS = 5.0  # of the left-out supports' scores: the cross-entropy of ridge is least near 5 at 1 to 5 shots
NEARNESS = 1.5  # trust in nearness before training
LEAST = 1e-4  # nearness below this is that of a copy


def candidates(parts: int) -> Tensor:
    """Log weights [M, G] of the parts: all alike, each one favoured, each two favoured."""
    favoured: list[tuple[int, ...]] = [()]
    if parts > 1:  # one part favoured alone is all of them alike
        favoured += [(part,) for part in range(parts)]
    if parts > 2:
        favoured += list(combinations(range(parts), 2))
    rows = torch.zeros(len(favoured), parts)
    for row, which in zip(rows, favoured, strict=True):
        row[list(which)] = log(FAVOUR)
    return rows


def squared_distances(first_BND: Tensor, second_BMD: Tensor) -> Tensor:
    """[B, N, M], by one matrix product; never negative."""
    lengths_BNM = first_BND.square().sum(-1).unsqueeze(2) + second_BMD.square().sum(-1).unsqueeze(1)
    return (lengths_BNM - 2 * first_BND @ second_BMD.mT).clamp(min=0.0)


def double_centred(kernel_BMSS: Tensor, kernel_BMQS: Tensor, weight_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Both kernels as seen from the supports' mean in the kernel's feature space; 0 for padding."""
    weight_B11S = weight_BS[:, None, None, :]
    share_B11S = weight_B11S / weight_B11S.sum(-1, keepdim=True)
    row_BMS1 = (kernel_BMSS * share_B11S).sum(-1, keepdim=True)
    all_BM11 = (row_BMS1.mT * share_B11S).sum(-1, keepdim=True)
    query_BMQS = kernel_BMQS - (kernel_BMQS * share_B11S).sum(-1, keepdim=True) - row_BMS1.mT + all_BM11
    support_BMSS = kernel_BMSS - row_BMS1 - row_BMS1.mT + all_BM11
    return support_BMSS * weight_B11S * weight_B11S.mT, query_BMQS * weight_B11S


def kernel_ridge(
    kernel_BMSS: Tensor, kernel_BMQS: Tensor, target_BSW: Tensor, weight_BS: Tensor, strength_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Scores of the queries [B, M, Q, W] and of each support when it is left out [B, M, S, W]; kernels are centred.

    `strength_B` is added to a kernel scaled to a mean diagonal of 1.
    """
    count_B111 = weight_BS.sum(-1).view(-1, 1, 1, 1)
    scale_BM11 = (kernel_BMSS.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] / count_B111).clamp(min=1e-8)
    identity_SS = torch.eye(kernel_BMSS.shape[-1], dtype=kernel_BMSS.dtype, device=kernel_BMSS.device)
    system_BMSS = kernel_BMSS / scale_BM11 + strength_B.view(-1, 1, 1, 1) * identity_SS
    inverse_BMSS = torch.cholesky_inverse(torch.linalg.cholesky(system_BMSS))
    target_B1SW = target_BSW.unsqueeze(1)
    mean_B11W = target_B1SW.sum(-2, keepdim=True) / count_B111
    dual_BMSW = inverse_BMSS @ (target_B1SW - mean_B11W * weight_BS[:, None, :, None])
    left_out_BMSW = target_B1SW - dual_BMSW / inverse_BMSS.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
    return kernel_BMQS / scale_BM11 @ dual_BMSW + mean_B11W, left_out_BMSW


class Parts(NamedTuple):
    """The parts of a feature: orthonormal columns, those of a part beside each other, and how many each part has."""

    basis_DE: Tensor
    sizes: tuple[int, ...]


class PartsReadout(nn.Module):
    """See the module. Scores are those of regression onto one-hot labels: multiply them by a temperature before a softmax.

    Supports come in any order and number; queries do not see each other.
    """

    basis_DE: Tensor
    log_weight_MG: Tensor

    def __init__(self, basis_DE: Tensor, sizes: Sequence[int]) -> None:
        """`basis_DE`: orthonormal columns, those of a part beside each other; `sizes`: columns of each part, E together."""
        super().__init__()
        assert sum(sizes) == basis_DE.shape[1]
        assert min(sizes) > 0
        self.sizes = list(sizes)
        self.register_buffer("basis_DE", basis_DE)
        self.register_buffer("log_weight_MG", candidates(len(sizes)), persistent=False)
        # each of two rows: at one shot, and what a factor of e in shots adds
        self.log_scale_2G = nn.Parameter(torch.zeros(2, len(sizes)))
        self.log_trust_2 = nn.Parameter(torch.zeros(2))
        self.nearness_2 = nn.Parameter(torch.tensor([NEARNESS, 0.0]))

    def forward(
        self, support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int, weight_BS: Tensor | None = None
    ) -> Tensor:
        """Scores [B, Q, W], larger is likelier."""
        weight_BS = torch.ones_like(support_BSD[..., 0]) if weight_BS is None else weight_BS.to(support_BSD.dtype)
        shots_B = weight_BS.sum(-1) / n_way
        shots_B2 = torch.stack([torch.ones_like(shots_B), shots_B.log()], -1)
        near_BMSS, near_BMQS = self._distances(support_BSD, query_BQD, weight_BS, shots_B2)
        kernel_BMSS, kernel_BMQS = double_centred((-WIDTH * near_BMSS).exp(), (-WIDTH * near_BMQS).exp(), weight_BS)
        target_BSW = members(support_BSD, label_BS, n_way, weight_BS)
        scores_BMQW, left_out_BMSW = kernel_ridge(kernel_BMSS, kernel_BMQS, target_BSW, weight_BS, STRENGTH / shots_B)
        trust_B11 = (shots_B2 @ self.log_trust_2).exp().view(-1, 1, 1)
        nearness_B11 = (shots_B2 @ self.nearness_2).view(-1, 1, 1)
        evidence_BM1 = trust_B11 * left_out_likelihood(left_out_BMSW, label_BS, target_BSW).unsqueeze(-1)
        there_BMQS = near_BMQS.masked_fill(weight_BS[:, None, None, :] == 0, torch.inf)
        evidence_BMQ = evidence_BM1 - nearness_B11 * there_BMQS.amin(-1).clamp(min=LEAST).log()
        mixed_BQW: Tensor = (evidence_BMQ.softmax(1).unsqueeze(-1) * scores_BMQW).sum(1)
        return mixed_BQW

    def _distances(self, support_BSD: Tensor, query_BQD: Tensor, weight_BS: Tensor, shots_B2: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances under each candidate, in units of the supports' mean one: [B, M, S, S] and [B, M, Q, S]."""
        count_B11 = weight_BS.sum(-1).view(-1, 1, 1)
        centre_B1D = (support_BSD * weight_BS.unsqueeze(-1)).sum(1, keepdim=True) / count_B11  # more digits near the origin
        support_BSE, query_BQE = (support_BSD - centre_B1D) @ self.basis_DE, (query_BQD - centre_B1D) @ self.basis_DE
        pairs = zip(torch.split(support_BSE, self.sizes, -1), torch.split(query_BQE, self.sizes, -1), strict=True)
        parts = [(squared_distances(s, s), squared_distances(q, s)) for s, q in pairs]
        among_BGSS, across_BGQS = (torch.stack(kind, 1) for kind in zip(*parts, strict=True))
        weight_BMG = (self.log_weight_MG + (shots_B2 @ self.log_scale_2G).unsqueeze(1)).exp()
        among_BMSS = torch.einsum("bmg,bgij->bmij", weight_BMG, among_BGSS)
        across_BMQS = torch.einsum("bmg,bgij->bmij", weight_BMG, across_BGQS)
        both_B1SS = weight_BS[:, None, :, None] * weight_BS[:, None, None, :]
        pairs_B111 = (count_B11 * (count_B11 - 1)).clamp(min=1.0).unsqueeze(1)
        unit_BM11 = ((among_BMSS * both_B1SS).sum((-1, -2), keepdim=True) / pairs_B111).clamp(min=1e-8)
        return among_BMSS / unit_BM11, across_BMQS / unit_BM11


def left_out_likelihood(left_out_BMSW: Tensor, label_BS: Tensor, target_BSW: Tensor) -> Tensor:
    """Log likelihood [B, M] of the supports, each scored without itself; a class's only support and padding say nothing."""
    own_BMS = ((SHARPNESS * left_out_BMSW).log_softmax(-1) * target_BSW.unsqueeze(1)).sum(-1)
    shared_BS = target_BSW.sum(1).gather(1, label_BS) > 1
    return (own_BMS * shared_BS.unsqueeze(1)).sum(-1)
