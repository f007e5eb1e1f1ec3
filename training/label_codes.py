"""Label codes: the vector that tells a token its class.

`learnable`: a row of a table for each class (CAMeLU, arXiv 2405.16124); no more ways than rows. `elmes`: the vectors of an
equiangular simplex (CAML, arXiv 2310.10971), n_way of them drawn for each episode. `random`: Gaussian vectors drawn for each
episode (TAIL, arXiv 2602.14761). What is drawn anew in each episode of a training serves any number of ways up to the width.

Shape letters: B episodes, W ways, E width.
"""

import torch
from torch import Tensor, nn

from training.noise import normal, uniform
from training.shape import Shape

FIXED = 20  # seed of the codes outside of training


class LabelCodes(nn.Module):
    """The codes of an episode's classes, each entry about 1 in size, and the code of a query, which is learned."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.kind, self.width, self.max_way = shape.label_codes, shape.width, shape.max_way
        self.unknown_E = nn.Parameter(torch.zeros(shape.width))
        if self.kind == "learnable":
            self.table_WE = nn.Parameter(torch.zeros(shape.max_way, shape.width))
        else:
            self.project = nn.Linear(shape.width, shape.width, bias=False)

    def draw(self, generator: torch.Generator) -> None:
        """Start values."""
        with torch.no_grad():
            self.unknown_E.normal_(0.0, 1.0, generator=generator)
            if self.kind == "learnable":
                self.table_WE.normal_(0.0, 1.0, generator=generator)

    def forward(self, episodes: int, n_way: int, seed_B: Tensor | None = None) -> Tensor:
        """Codes [B, W, E] of the classes 0 to W-1; without seeds (int64) those of every episode are the same ones.

        Raises ValueError for more ways than the codes allow.
        """
        most, advice = self.width, "take a larger size"
        if self.kind == "learnable":
            most, advice = self.max_way, "train with more ways, or with label codes elmes or random"
        if n_way > most:
            raise ValueError(f"the learner's {self.kind} label codes are for {most} ways, found {n_way}-way episodes; {advice}")
        if self.kind == "learnable":
            return self.table_WE[:n_way].expand(episodes, n_way, self.width)
        device = self.unknown_E.device
        seed_B = torch.full((1,), FIXED, device=device) if seed_B is None else seed_B
        code_BWE = drawn_simplex(seed_B, n_way, self.width) if self.kind == "elmes" else normal(seed_B, n_way, self.width)
        out_BWE: Tensor = self.project(code_BWE)
        return out_BWE.expand(episodes, n_way, self.width)


def simplex(vectors: int, device: torch.device | None = None) -> Tensor:
    """An equal-length maximally equiangular set [V, V]: sqrt(V / (V-1)) (I - 11^T / V), rows of length 1 (CAML, eq. 2)."""
    identity = torch.eye(vectors, device=device)
    simplex_VV: Tensor = (vectors / (vectors - 1)) ** 0.5 * (identity - 1 / vectors)
    return simplex_VV


def drawn_simplex(seed_B: Tensor, n_way: int, width: int) -> Tensor:
    """For each episode n_way different vectors [B, W, E] of the simplex of `width` vectors, entries scaled to about 1."""
    chosen_BW = uniform(seed_B, 1, width).squeeze(1).topk(n_way, dim=1).indices
    code_BWE: Tensor = simplex(width, seed_B.device)[chosen_BW] * width**0.5
    return code_BWE
