"""A causal transformer of attention alone, whose weights of attention and hidden states can be looked at.

GPICL's transformers (training/gpicl/transformer.py) read an item and a label in one token, and have an MLP in each block: there
a label cannot attend to its item, and a circuit of attention could hide in an MLP. So items and labels are tokens in turn here,
as in the paper (Minegishi et al. 2025, arXiv 2505.16694, section 3.2): content and a one-hot place side by side, layers of
attention with nothing between, and a read-out of two hidden layers on the last token.

Shape letters: B contexts, N pairs, D numbers of an item, T = 2 N + 1 tokens, E = D + T width, H heads, K = E / H, L labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipelines.phases_settings import Phases
from training.attention import HIDDEN
from training.episodes import generator_for
from training.phases.tasks import STREAM, WEIGHTS


@dataclass(frozen=True)
class Seen:
    """Scores of the asked labels, attention of each layer [B, H, T, T], and the asked token's state after each part [B, E]:
    as it came in, after each layer, and in each hidden layer of the read-out."""

    scores_BL: Tensor
    attention: list[Tensor]
    states: dict[str, Tensor]


class Attention(nn.Module):
    """One layer: heads side by side, each writing its own K numbers of the token, added to what is there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)

    def forward(self, token_BTE: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens in, tokens out, and how much each attends to each [B, H, T, T]."""
        contexts, tokens, width = token_BTE.shape
        parts = self.query_key_value(token_BTE).view(contexts, tokens, 3, self.heads, -1)
        query_BHTK, key_BHTK, value_BHTK = parts.permute(2, 0, 3, 1, 4)
        later_TT = torch.ones(tokens, tokens, dtype=torch.bool, device=token_BTE.device).triu(1)
        logits_BHTT = (query_BHTK @ key_BHTK.mT) * query_BHTK.shape[-1] ** -0.5
        share_BHTT = logits_BHTT.masked_fill(later_TT, HIDDEN).softmax(dim=-1)
        return token_BTE + (share_BHTT @ value_BHTK).transpose(1, 2).reshape(contexts, tokens, width), share_BHTT


class AttentionOnly(nn.Module):
    """The transformer, with weights drawn from the seed."""

    def __init__(self, settings: Phases, seed: int) -> None:
        super().__init__()
        width = settings.width
        self.label = nn.Embedding(settings.labels, settings.dimensions)
        self.layers = nn.ModuleList(Attention(width, settings.heads) for _ in range(settings.layers))
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.head = nn.Linear(width, settings.labels)
        generator = generator_for(seed, STREAM, WEIGHTS)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Embedding | nn.Linear):
                    module.weight.normal_(0.0, module.weight.shape[1] ** -0.5, generator=generator)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    module.bias.zero_()

    def forward(self, item_BND: Tensor, label_BN: Tensor) -> Seen:
        """What is made of N pairs and an item; the last of the N + 1 labels is never read."""
        token_BTE = self.tokens(item_BND, label_BN)
        states, attention = {"input": token_BTE[:, -1]}, []
        for number, layer in enumerate(self.layers, 1):
            token_BTE, share_BHTT = layer(token_BTE)
            attention.append(share_BHTT)
            states[f"layer_{number}"] = token_BTE[:, -1]
        state_BE = token_BTE[:, -1]
        for number, hidden in enumerate(self.hidden, 1):
            state_BE = hidden(state_BE).relu()
            states[f"readout_{number}"] = state_BE
        return Seen(self.head(state_BE), attention, states)

    def tokens(self, item_BND: Tensor, label_BN: Tensor) -> Tensor:
        """Items and labels in turn, [B, T, E]: content, then the place as one-hot."""
        contexts, items, width = item_BND.shape
        content_BTD = item_BND.new_empty(contexts, 2 * items - 1, width)
        content_BTD[:, 0::2] = item_BND
        content_BTD[:, 1::2] = self.label(label_BN[:, :-1])
        place_TT = torch.eye(2 * items - 1, device=item_BND.device)
        return torch.cat([content_BTD, place_TT.expand(contexts, -1, -1)], dim=2)
