"""Causal transformers over the pairs of a sequence. Their blocks are those of the learner (training/attention.py).

Shape letters: B sequences, T places, P numbers of an input, W ways, E width, S tokens.
"""

import torch
from torch import Tensor, nn

from training.attention import HIDDEN, Block

MLP = 4  # times the width
POSITION = 0.02  # deviation of positions before training
LABEL = 0.5  # and of label codes


class CausalTransformer(nn.Module):
    """What both layouts share: codes of labels and places, the blocks, the read-out. Raises ValueError as `Block` does."""

    def __init__(self, inputs: int, n_way: int, length: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.n_way, self.length = n_way, length
        self.read_x = nn.Linear(inputs, width)
        self.label = nn.Embedding(n_way + 1, width)  # the last one: a label that is not shown
        self.position_TE = nn.Parameter(torch.zeros(length, width))
        self.blocks = nn.ModuleList(Block(width, heads, MLP * width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_way)

    def draw(self, generator: torch.Generator) -> None:
        """Weights of codes and positions; `sequence_model` draws the others."""
        self.label.weight.normal_(0.0, LABEL, generator=generator)
        self.position_TE.normal_(0.0, POSITION, generator=generator)

    @property
    def state(self) -> int:
        """Numbers that the prediction at the last place can rest on: keys and values of all before."""
        return 2 * self.length * self.head.in_features * len(self.blocks)

    def scored(self, token_BSE: Tensor, visible_SS: Tensor) -> Tensor:
        """Scores [B, S, W] of tokens that see what `visible_SS` (bool) allows."""
        hidden_SS = torch.zeros_like(visible_SS, dtype=token_BSE.dtype).masked_fill(~visible_SS, HIDDEN)
        for block in self.blocks:
            token_BSE = block(token_BSE, token_BSE.shape[1], hidden_SS)
        scores_BSW: Tensor = self.head(self.norm(token_BSE))
        return scores_BSW


class Shifted(CausalTransformer):
    """A token is an input and the label of the one before, (x_t, y_{t-1}), as in GPICL; it predicts y_t."""

    def forward(self, x_BTP: Tensor, y_BT: Tensor) -> Tensor:
        """Scores [B, T, W] of each label given all pairs before it and its own input."""
        length = x_BTP.shape[1]
        token_BTE = self.read_x(x_BTP) + self.label(before(y_BT, self.n_way)) + self.position_TE[:length]
        return self.scored(token_BTE, torch.ones(length, length, dtype=torch.bool, device=x_BTP.device).tril())


class Pairs(CausalTransformer):
    """Two tokens a place: the pair (x_t, y_t), and x_t without its label, which sees the pairs before it and predicts y_t.

    No layer is needed to bring an input and its label together; the learner's inline attention (TAIL, arXiv 2602.14761) made
    causal.
    """

    def forward(self, x_BTP: Tensor, y_BT: Tensor) -> Tensor:
        """As `Shifted`."""
        length = x_BTP.shape[1]
        place_BTE = self.read_x(x_BTP) + self.position_TE[:length]
        shown_BTE, asked_BTE = place_BTE + self.label(y_BT), place_BTE + self.label.weight[self.n_way]
        scores_BSW = self.scored(torch.cat([shown_BTE, asked_BTE], dim=1), pairs_visible(length).to(x_BTP.device))
        return scores_BSW[:, length:]


def pairs_visible(length: int) -> Tensor:
    """[2 T, 2 T] bool: a pair sees the pairs up to its own; an asked input sees the pairs before it, and itself."""
    upto_TT = torch.ones(length, length, dtype=torch.bool).tril()
    none_TT, own_TT = torch.zeros_like(upto_TT), torch.eye(length, dtype=torch.bool)
    return torch.cat([torch.cat([upto_TT, none_TT], dim=1), torch.cat([upto_TT & ~own_TT, own_TT], dim=1)])


def before(y_BT: Tensor, none: int) -> Tensor:
    """Labels moved one place on, with `none` at the first."""
    return torch.cat([torch.full_like(y_BT[:, :1], none), y_BT[:, :-1]], dim=1)
