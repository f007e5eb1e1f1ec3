"""Tasks without images: Gaussian classes in random bases, and the random rotations that make domains look alike.

Classes differ along directions whose variance falls off as a power law, and so do images within a class; exponents,
bases and the ratio of the two scales are drawn afresh. Such tasks teach how to learn, not what pictures look like
(GPICL, arXiv 2212.04458).
"""

import torch
from torch import Tensor

from training.batch import Batch
from training.noise import bits, key, normal, signs, uniform

SCALES, MEANS, IMAGES, SIGNS, ORDER = 21, 22, 23, 24, 25  # keep an episode's streams of noise apart


def rotation(dimensions: int, generator: torch.Generator) -> Tensor:
    """A random orthogonal matrix [D, D], uniform over rotations and reflections (Mezzadri 2007, arXiv math-ph/0609050)."""
    q_DD, r_DD = torch.linalg.qr(torch.randn((dimensions, dimensions), generator=generator))
    rotation_DD: Tensor = q_DD * r_DD.diagonal().sign()
    return rotation_DD


def spectrum(exponent_B: Tensor, dimensions: int) -> Tensor:
    """Standard deviations [B, 1, 1, D] that fall off as k ** -a, with the sum of squares 1."""
    place_D = torch.arange(1, dimensions + 1, device=exponent_B.device).float()
    deviation_BD = place_D ** -exponent_B.unsqueeze(1)
    unit_BD: Tensor = deviation_BD / deviation_BD.norm(dim=1, keepdim=True)
    return unit_BD.view(-1, 1, 1, dimensions)


def synthetic_batch(key_B: Tensor, matrix_2DD: Tensor, n_way: int, n_shot: int, n_query: int) -> Batch:
    """The Gaussian task of each key; rows have unit length like those of images.

    `matrix_2DD` holds the bases of what differs within a class and between classes; all tasks share them, and each task's
    signs make them its own.
    """
    dimensions = matrix_2DD.shape[-1]
    scale_B3 = uniform(key(key_B, SCALES), 3).float()
    between_B11D = spectrum(0.1 + 1.1 * scale_B3[:, 0], dimensions)
    within_B11D = spectrum(0.1 + 1.1 * scale_B3[:, 1], dimensions)
    ratio_B111 = torch.exp(0.2 + 0.9 * scale_B3[:, 2]).view(-1, 1, 1, 1)
    mean_BW1D = normal(key(key_B, MEANS), n_way, 1, dimensions) * between_B11D
    noise_BWKD = normal(key(key_B, IMAGES), n_way, n_shot + n_query, dimensions) * within_B11D * ratio_B111
    signs_B2D = signs(key(key_B, SIGNS), 2, dimensions)
    noise_BWKD = (noise_BWKD * signs_B2D[:, 0].view(-1, 1, 1, dimensions)) @ matrix_2DD[0]
    mean_BW1D = (mean_BW1D * signs_B2D[:, 1].view(-1, 1, 1, dimensions)) @ matrix_2DD[1]
    feature_BWKD = torch.nn.functional.normalize(mean_BW1D + noise_BWKD, dim=-1)
    label_BWK = torch.arange(n_way, device=key_B.device).view(1, n_way, 1).expand(len(key_B), n_way, n_shot + n_query)
    order_BT = bits(key(key_B, ORDER), n_way * (n_shot + n_query))
    support_BSD, support_label_BS = in_order(
        feature_BWKD[:, :, :n_shot], label_BWK[..., :n_shot], order_BT[:, : n_way * n_shot]
    )
    query_BQD, query_label_BQ = in_order(feature_BWKD[:, :, n_shot:], label_BWK[..., n_shot:], order_BT[:, n_way * n_shot :])
    weight_BQ = torch.ones_like(query_label_BQ, dtype=torch.float32)
    return Batch(support_BSD, support_label_BS, query_BQD, query_label_BQ, weight_BQ, n_way)


def in_order(feature_BWKD: Tensor, label_BWK: Tensor, noise_BX: Tensor) -> tuple[Tensor, Tensor]:
    """Features and labels in one row an episode, in the order of the noise."""
    order_BX = noise_BX.argsort(dim=1)
    flat_BXD = feature_BWKD.flatten(1, 2)
    ordered_BXD = flat_BXD.gather(1, order_BX.unsqueeze(-1).expand_as(flat_BXD))
    return ordered_BXD, label_BWK.flatten(1).gather(1, order_BX)
