"""Rotations of feature space, another one for each episode, without a factorisation in each step.

A bank of a few orthogonal matrices is drawn once. A step takes one of them, its rows and columns permuted and its columns
signed at random; each episode puts its own signs before it. Every product of these is orthogonal.

Shape letters: B episodes, D features.
"""

import torch
from torch import Tensor

from training.batch import Turn
from training.noise import as_int, bits, key, key_int, signs
from training.synthetic import rotation

BANK = 4
MATRIX, EPISODE = 11, 12  # keep the noise of the matrix and of the episodes' signs apart


class Turns:
    """Turns as a function of a number and the episodes' keys; equal on two devices, whose matrices come from one bank."""

    def __init__(self, dimensions: int, seed: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(as_int(key(seed, MATRIX)))
        self.bank_XDD = torch.stack([rotation(dimensions, generator) for _ in range(BANK)]).to(device)
        self.seed = seed

    def matrix(self, *path: int) -> Tensor:
        """An orthogonal matrix [D, D] for (seed, path)."""
        dimensions, device = self.bank_XDD.shape[-1], self.bank_XDD.device
        own = key_int(self.seed, MATRIX, *path)
        order_2D = bits(torch.tensor(key_int(own, 0), device=device), 2, dimensions).argsort(dim=1)
        turned_DD = self.bank_XDD[own % BANK].index_select(0, order_2D[0]).index_select(1, order_2D[1])
        return turned_DD.mul_(signs(torch.tensor(key_int(own, 1), device=device), dimensions))

    def __call__(self, key_B: Tensor, *path: int) -> Turn:
        """A turn for the episodes with these keys, in the step that `path` names."""
        dimensions = self.bank_XDD.shape[-1]
        return Turn(signs(key(key_B, EPISODE), 1, dimensions), self.matrix(*path))
