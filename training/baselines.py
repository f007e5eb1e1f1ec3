"""Baselines without training: nearest class mean, ridge regression and k nearest neighbours, batched over episodes.

They are also the learner's read-outs. Shapes: support_BSD, query_BQD float; label_BS int64 in 0 to W-1; weight_BS is 1, or 0
for a support that is padding, and None where none is. All return scores_BQW, larger is likelier.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

# Regularisation of one-shot ridge regression as a share of the supports' spread; k shots take a k-th of it (docs/learner.md).
RIDGE = 2.0
NEIGHBOURS = 3


def members(support_BSD: Tensor, label_BS: Tensor, n_way: int, weight_BS: Tensor | None) -> Tensor:
    """Which class each support is of, [B, S, W]: 1 and 0, all 0 for padding."""
    member_BSW = one_hot(label_BS, n_way).to(support_BSD.dtype)
    return member_BSW if weight_BS is None else member_BSW * weight_BS.unsqueeze(-1)


def class_means(support_BSD: Tensor, label_BS: Tensor, n_way: int, weight_BS: Tensor | None = None) -> Tensor:
    """Means of each class's supports, [B, W, D]."""
    member_BSW = members(support_BSD, label_BS, n_way, weight_BS)
    return member_BSW.mT @ support_BSD / member_BSW.sum(dim=1).unsqueeze(-1).clamp(min=1.0)


def class_mean(support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int, weight_BS: Tensor | None = None) -> Tensor:
    """Minus the squared Euclidean distance to each class mean (prototypical networks, Snell et al. 2017, arXiv 1703.05175)."""
    mean_BWD = class_means(support_BSD, label_BS, n_way, weight_BS)
    cross_BQW = query_BQD @ mean_BWD.mT
    return 2 * cross_BQW - mean_BWD.square().sum(-1).unsqueeze(1) - query_BQD.square().sum(-1, keepdim=True)


def ridge(
    support_BSD: Tensor,
    label_BS: Tensor,
    query_BQD: Tensor,
    n_way: int,
    weight_BS: Tensor | None = None,
    *,
    strength: float = RIDGE,
) -> Tensor:
    """Ridge regression of each episode onto one-hot labels, with an intercept, in closed form (arXiv 1805.08136).

    Solved in its kernel form, S x S. The regularisation is `strength` / shots times the mean squared distance of the
    supports from their mean: a change of the features' scale changes nothing, and fewer shots are trusted less.
    """
    weight_BS1 = torch.ones_like(support_BSD[..., :1]) if weight_BS is None else weight_BS.unsqueeze(-1).to(support_BSD.dtype)
    count_B11 = weight_BS1.sum(dim=1, keepdim=True)
    target_BSW = members(support_BSD, label_BS, n_way, weight_BS)
    target_mean_B1W = target_BSW.sum(dim=1, keepdim=True) / count_B11
    centre_B1D = (support_BSD * weight_BS1).sum(dim=1, keepdim=True) / count_B11
    support_BSD, query_BQD = (support_BSD - centre_B1D) * weight_BS1, query_BQD - centre_B1D
    kernel_BSS = support_BSD @ support_BSD.mT
    scale_B11 = (kernel_BSS.diagonal(dim1=1, dim2=2).sum(dim=1).view(-1, 1, 1) / count_B11).clamp(min=1e-8)
    identity_SS = torch.eye(label_BS.shape[1], dtype=kernel_BSS.dtype, device=kernel_BSS.device)
    factor_BSS = torch.linalg.cholesky(kernel_BSS + strength * n_way / count_B11 * scale_B11 * identity_SS)
    dual_BSW = torch.cholesky_solve(target_BSW - target_mean_B1W * weight_BS1, factor_BSS)
    return query_BQD @ support_BSD.mT @ dual_BSW + target_mean_B1W


def knn(
    support_BSD: Tensor,
    label_BS: Tensor,
    query_BQD: Tensor,
    n_way: int,
    weight_BS: Tensor | None = None,
    *,
    neighbours: int = NEIGHBOURS,
) -> Tensor:
    """Votes of the nearest supports, as many as there are shots but at most `neighbours`; ties go to the nearer voters.

    Shots are those of the class with most room: supports, padding included, over ways.
    """
    distance_BQS = torch.cdist(query_BQD, support_BSD)
    if weight_BS is not None:
        distance_BQS = distance_BQS.masked_fill(weight_BS.unsqueeze(1) == 0, torch.inf)
    nearest = distance_BQS.topk(min(neighbours, max(1, label_BS.shape[1] // n_way)), dim=2, largest=False)
    voter_BQK = label_BS.unsqueeze(1).expand(-1, query_BQD.shape[1], -1).gather(2, nearest.indices)
    nearness_BQK = 1.0 / (1.0 + nearest.values)  # at most 1: it orders ties and never outweighs a vote; 0 for padding
    vote_BQKW = one_hot(voter_BQK, n_way).to(query_BQD.dtype) * nearest.values.isfinite().unsqueeze(-1)
    tie_BQW = (vote_BQKW * nearness_BQK.unsqueeze(-1)).sum(2) / (1.0 + nearest.values.shape[-1])
    return vote_BQKW.sum(2) + tie_BQW


BASELINES = {"class_mean": class_mean, "ridge": ridge, "knn": knn}
