"""How many supports each class of an episode has, where they differ: Meta-Dataset's draw (arXiv 1903.03096, section 3.2).

Whole numbers only, so that two devices agree to the last bit.

Shape letters: B episodes, W ways, S supports with padding.
"""

import torch
from torch import Tensor

from training.noise import shifted

MOST_SUPPORTS = 500  # of an episode
PARTS = 1 << 10  # a weight's resolution


def weight_table(device: torch.device) -> Tensor:
    """exp(a) for a from log 0.5 to log 2 in equal steps, as whole numbers."""
    exponent = torch.linspace(-1.0, 1.0, PARTS, dtype=torch.float64)
    return (2.0**exponent * PARTS).round().long().to(device)


def varied_shots(hash_BW: Tensor, hash_B: Tensor, size_BW: Tensor, least: int, most: int, weights: Tensor) -> Tensor:
    """Supports of each class, int64 [B, W], from `least` to `most` and no more than `size_BW`, its images without the queries.

    beta is uniform in (0, 1]; the episode has |S| = min(500, sum over its classes of ceil(beta min(most, size_c))) supports;
    class c gets its share by size times exp(a_c), a_c uniform in [log 0.5, log 2): floor(R_c (|S| - W)) + 1. Meta-Dataset has
    100 in the place of `most` and 1 in that of `least`.
    """
    n_way = size_BW.shape[1]
    room_BW = size_BW.clamp(max=most)
    beta_B1 = (shifted(hash_B, 48) + 1).unsqueeze(1)  # 16 bits
    total_B1 = ((room_BW * beta_B1 + 0xFFFF) >> 16).sum(dim=1, keepdim=True).clamp(max=MOST_SUPPORTS)
    weight_BW = weights[shifted(hash_BW, 54)] * size_BW.clamp(max=2**30)
    share_BW = weight_BW * (total_B1 - n_way).clamp(min=0) // weight_BW.sum(dim=1, keepdim=True)
    return torch.minimum((share_BW + 1).clamp(min=least), room_BW)
