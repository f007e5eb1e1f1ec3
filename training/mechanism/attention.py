"""Self-attention and nothing else: what is trained on regression in context, linear or with softmax.

A layer adds to each token what its heads read of the context: e <- e + sum_h P_h V_h K_h^T q_h (arXiv 2212.07677, eq. 4). The
query's token is read by none, as in the code of the paper. The prediction is minus the last token's y.

Shape letters: B tasks, T = N + 1 tokens, E = D + 1 numbers in a token, L sets of weights, H heads.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from training.mechanism.tasks import Tasks, tokens

# Variance of the weights times their width and the layers. Linear: the paper's code. Softmax: from that little, two of three
# trainings stay at a loss of .39; from 1 all of three pass it (docs/in_context_learning.md).
INIT = {"linear": 0.002, "softmax": 1.0}


@dataclass(frozen=True)
class Shape:
    """A stack of layers; where weights are `tied`, all layers have the same ones (the paper's recurrent transformer)."""

    width: int
    layers: int = 1
    heads: int = 1
    tied: bool = True
    kind: Literal["linear", "softmax"] = "linear"


class SelfAttention(nn.Module):
    """Weights query, key, value and out, [L, H, E, E], by which rows are multiplied from the right."""

    def __init__(self, shape: Shape, generator: torch.Generator | None = None) -> None:
        """Weights are drawn from `generator`; without one they are zero."""
        super().__init__()
        self.shape = shape
        size = (1 if shape.tied else shape.layers, shape.heads, shape.width, shape.width)
        spread = (INIT[shape.kind] / shape.layers / shape.width) ** 0.5

        def weights() -> nn.Parameter:
            drawn = torch.zeros(size) if generator is None else torch.randn(size, generator=generator) * spread
            return nn.Parameter(drawn)

        self.query, self.key, self.value, self.out = weights(), weights(), weights(), weights()

    def forward(self, tasks: Tasks, start_D: Tensor | None = None) -> Tensor:
        """prediction_B of the queries. `start_D`: weights of the regression to start from, which hand-built layers may know."""
        token_BTE = tokens(tasks, start_D)
        for layer in range(self.shape.layers):
            last = layer == self.shape.layers - 1
            token_BTE = self._layer(token_BTE, 0 if self.shape.tied else layer, query_alone=last)
        return -token_BTE[:, -1, -1]

    def _layer(self, token_BTE: Tensor, at: int, *, query_alone: bool) -> Tensor:
        """All tokens moved, or the query's alone, [B, 1, E], where nobody reads the others any more."""
        context_BNE = token_BTE[:, :-1]
        asking_BTE = token_BTE[:, -1:] if query_alone else token_BTE
        moved_BTE = asking_BTE
        for head in range(self.shape.heads):
            q_BTE, k_BNE = asking_BTE @ self.query[at, head], context_BNE @ self.key[at, head]
            v_BNE = context_BNE @ self.value[at, head]
            if self.shape.kind == "linear":
                read_BTE = q_BTE @ (k_BNE.mT @ v_BNE)
            else:
                read_BTE = torch.softmax(q_BTE @ k_BNE.mT * self.shape.width**-0.5, dim=-1) @ v_BNE
            moved_BTE = moved_BTE + read_BTE @ self.out[at, head]
        return moved_BTE
