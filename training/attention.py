"""Attention among the tokens of an episode, without positions and without a causal mask.

Inline (TAIL, arXiv 2602.14761): supports see supports; a query sees the supports and itself. One pass serves all queries, and
none of them influences another. Full (CAMeLU, arXiv 2405.16124): one sequence a query in which everything sees everything, so
the supports see the query as well and are worked again for each.

Shape letters: B episodes, S supports, Q queries, T = S + Q tokens with supports first, E width, H heads, K = E / H.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

HIDDEN = -1e9  # a logit that the softmax turns into 0, finite so that a row of nothing else stays a number


class Block(nn.Module):
    """A pre-LN transformer block."""

    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp), nn.GELU(), nn.Linear(mlp, width))

    def forward(self, token_BTE: Tensor, supports: int, hidden_B11S: Tensor | None = None) -> Tensor:
        """Tokens in, tokens out. `hidden_B11S` is `HIDDEN` where a support is padding, else 0."""
        episodes, tokens, width = token_BTE.shape
        seen_BTE = self.attention_norm(token_BTE)
        parts = self.query_key_value(seen_BTE).view(episodes, tokens, 3, self.heads, -1)
        query_BHTK, key_BHTK, value_BHTK = parts.permute(2, 0, 3, 1, 4)
        mixed_BHTK = self.mix(seen_BTE, query_BHTK, key_BHTK, value_BHTK, supports, hidden_B11S)
        token_BTE = token_BTE + self.out(mixed_BHTK.transpose(1, 2).reshape(episodes, tokens, width))
        out_BTE: Tensor = token_BTE + self.mlp(self.mlp_norm(token_BTE))
        return out_BTE

    def mix(
        self,
        seen_BTE: Tensor,
        query_BHTK: Tensor,
        key_BHTK: Tensor,
        value_BHTK: Tensor,
        supports: int,
        hidden_B11S: Tensor | None,
    ) -> Tensor:
        """What each token takes from the others, [B, H, T, K]; `seen_BTE` is what queries, keys and values are made of."""
        return inline(query_BHTK, key_BHTK, value_BHTK, supports, hidden_B11S)


def inline(query_BHTK: Tensor, key_BHTK: Tensor, value_BHTK: Tensor, supports: int, hidden_B11S: Tensor | None) -> Tensor:
    """Every token over the supports, a query over itself as well; [B, H, T, K].

    The products of queries with queries, of which only the diagonal counts, are never made.
    """
    key_BHSK, value_BHSK = key_BHTK[:, :, :supports], value_BHTK[:, :, :supports]
    mixed_BHSK = scaled_dot_product_attention(query_BHTK[:, :, :supports], key_BHSK, value_BHSK, attn_mask=hidden_B11S)
    if query_BHTK.shape[2] == supports:
        return mixed_BHSK
    query_BHQK = query_BHTK[:, :, supports:] * query_BHTK.shape[-1] ** -0.5
    seen_BHQS = query_BHQK @ key_BHSK.mT
    if hidden_B11S is not None:
        seen_BHQS = seen_BHQS + hidden_B11S
    own_BHQ1 = (query_BHQK * key_BHTK[:, :, supports:]).sum(-1, keepdim=True)
    share_BHQT = torch.cat([seen_BHQS, own_BHQ1], dim=-1).softmax(-1)
    own_BHQK = share_BHQT[..., -1:] * value_BHTK[:, :, supports:]
    mixed_BHQK = share_BHQT[..., :-1] @ value_BHSK + own_BHQK
    return torch.cat([mixed_BHSK, mixed_BHQK], dim=2)


def visibility(supports: int, queries: int) -> Tensor:
    """[T, T] bool, true where inline lets the row's token see the column's: every support, and itself."""
    tokens = supports + queries
    return (torch.arange(tokens) < supports).expand(tokens, tokens) | torch.eye(tokens, dtype=torch.bool)
