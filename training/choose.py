"""Drawing without replacement, for many rows at once and at a cost that does not depend on how much there is to draw from."""

import torch
from torch import Tensor


def distinct(noise_XK: Tensor, size_X: Tensor) -> Tensor:
    """K different numbers below `size_X` in random order for each row, int64 [..., K], from uniform noise in [0, 1).

    The first K steps of a Fisher-Yates shuffle (Durstenfeld 1964, doi 10.1145/364520.364540): step j swaps place j with a place
    r_j >= j. All steps at once: what a place holds is found by following, through halving, who last wrote to it; so neither
    the size nor a table of it is walked over. Fewer draws of the same noise are the first of more. Where a row has fewer than
    K numbers, what lies beyond them is its last number again.
    """
    draws = noise_XK.shape[-1]
    step_K = torch.arange(draws, device=noise_XK.device)
    left_XK = (size_X.unsqueeze(-1) - step_K).clamp(min=1)
    place_XK = step_K + (noise_XK * left_XK).long()
    # sorted by place, then by step: neighbours of one place are its writers, one after the other
    digits = max(1, (draws - 1).bit_length())  # bits for the step: shifts are cheaper than divisions
    steps = (1 << digits) - 1
    writer_XK, order_XK = ((place_XK << digits) + step_K).sort(dim=-1)
    writer_place_XK, writer_step_XK = writer_XK >> digits, writer_XK & steps
    same_XK = torch.zeros_like(writer_XK, dtype=torch.bool)
    same_XK[..., 1:] = writer_place_XK[..., 1:] == writer_place_XK[..., :-1]
    before_XK = torch.where(same_XK, writer_step_XK.roll(1, -1), -1)
    earlier_XK = torch.empty_like(before_XK).scatter_(-1, order_XK, before_XK)  # who wrote to place r_j before step j, or -1
    # who wrote last to place j before step j: the greatest writer below (j, j)
    wanted_XK = ((step_K << digits) + step_K).expand(writer_XK.shape).contiguous()
    last_XK = writer_XK.gather(-1, (torch.searchsorted(writer_XK, wanted_XK) - 1).clamp(min=0))
    written_XK = (last_XK < wanted_XK) & (last_XK >> digits == step_K)
    source_XK = torch.where(written_XK, last_XK & steps, step_K)  # place j holds what place source_j held at its step
    for _ in range(digits):
        source_XK = source_XK.gather(-1, source_XK)
    held_XK = source_XK.gather(-1, earlier_XK.clamp(min=0))
    chosen_XK = torch.where(earlier_XK >= 0, held_XK, place_XK)
    return torch.minimum(chosen_XK, (size_X - 1).clamp(min=0).unsqueeze(-1))
