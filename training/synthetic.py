"""Tasks without images: Gaussian classes in random bases, and the random rotations that make domains look alike.

Classes differ along directions whose variance falls off as a power law, and so do images within a class; exponents,
bases and the ratio of the two scales are drawn afresh. Such tasks teach how to learn, not what pictures look like
(GPICL, arXiv 2212.04458).
"""

import torch
from torch import Tensor

from training.batch import Batch


def rotation(dimensions: int, generator: torch.Generator) -> Tensor:
    """A random orthogonal matrix [D, D], uniform over rotations and reflections (Mezzadri 2007, arXiv math-ph/0609050)."""
    q_DD, r_DD = torch.linalg.qr(torch.randn((dimensions, dimensions), generator=generator))
    rotation_DD: Tensor = q_DD * r_DD.diagonal().sign()
    return rotation_DD


def spectrum(episodes: int, dimensions: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Standard deviations [B, 1, 1, D] that fall off as k ** -a, a drawn from low to high, with the sum of squares 1."""
    exponent_B1 = low + (high - low) * torch.rand((episodes, 1), generator=generator)
    deviation_BD = torch.arange(1, dimensions + 1).float() ** -exponent_B1
    unit_BD: Tensor = deviation_BD / deviation_BD.norm(dim=1, keepdim=True)
    return unit_BD.view(episodes, 1, 1, dimensions)


def synthetic_batch(episodes: int, dimensions: int, n_way: int, n_shot: int, n_query: int, generator: torch.Generator) -> Batch:
    """Draw Gaussian tasks; rows have unit length like those of images."""
    between_B11D = spectrum(episodes, dimensions, 0.1, 1.2, generator)
    within_B11D = spectrum(episodes, dimensions, 0.1, 1.2, generator)
    ratio_B111 = torch.exp(0.2 + 0.9 * torch.rand((episodes, 1, 1, 1), generator=generator))
    mean_BW1D = torch.randn((episodes, n_way, 1, dimensions), generator=generator) * between_B11D
    noise_BWKD = torch.randn((episodes, n_way, n_shot + n_query, dimensions), generator=generator) * within_B11D * ratio_B111
    signs_BD = torch.randint(2, (episodes, dimensions), generator=generator).float() * 2 - 1
    noise_BWKD = (noise_BWKD * signs_BD.view(episodes, 1, 1, -1)) @ rotation(dimensions, generator)
    feature_BWKD = (mean_BW1D + noise_BWKD) @ rotation(dimensions, generator)
    feature_BWKD = torch.nn.functional.normalize(feature_BWKD, dim=-1)
    label_BWK = torch.arange(n_way).view(1, n_way, 1).expand(episodes, n_way, n_shot + n_query)
    return Batch(
        feature_BWKD[:, :, :n_shot].flatten(1, 2),
        label_BWK[..., :n_shot].flatten(1),
        feature_BWKD[:, :, n_shot:].flatten(1, 2),
        label_BWK[..., n_shot:].flatten(1),
        torch.ones(episodes, n_way * n_query),
        n_way,
    )
