"""Attention against plain references, token by token."""

import pytest
import torch
from torch import Tensor

from training.attention import HIDDEN, Block, inline, visibility


def parts(tokens: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = torch.randn(3, 2, 3, tokens, 4, generator=torch.Generator().manual_seed(seed)).unbind(0)
    return query, key, value


def plain(query_K: Tensor, keys_NK: Tensor, values_NK: Tensor) -> Tensor:
    """One token over others, as the definition has it."""
    weights = [torch.exp((query_K * key_K).sum() / len(query_K) ** 0.5) for key_K in keys_NK]
    return sum((w * v for w, v in zip(weights, values_NK, strict=True)), torch.zeros(4)) / sum(weights)


@pytest.mark.parametrize(("supports", "queries"), [(1, 1), (5, 3), (4, 0), (2, 9)])
def test_inline_is_the_plain_reference(supports: int, queries: int) -> None:
    query, key, value = parts(supports + queries)
    found = inline(query, key, value, supports, None)
    for b in range(2):
        for h in range(3):
            for t in range(supports + queries):
                seen = list(range(supports)) + ([t] if t >= supports else [])
                expected = plain(query[b, h, t], key[b, h, seen], value[b, h, seen])
                torch.testing.assert_close(found[b, h, t], expected, rtol=0, atol=1e-5)


def test_inline_is_attention_under_its_mask() -> None:
    query, key, value = parts(9)
    masked = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=visibility(5, 4))
    torch.testing.assert_close(inline(query, key, value, 5, None), masked, rtol=0, atol=1e-5)
    assert visibility(2, 2).int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]


def test_hidden_supports_are_as_if_absent() -> None:
    query, key, value = parts(8)
    hidden = torch.tensor([0.0, HIDDEN, 0.0, 0.0, HIDDEN]).expand(2, 1, 1, 5)
    there = [0, 2, 3, 5, 6, 7]
    expected = inline(query[:, :, there], key[:, :, there], value[:, :, there], 3, None)
    torch.testing.assert_close(inline(query, key, value, 5, hidden)[:, :, there], expected, rtol=0, atol=1e-5)


def test_a_block_is_torchs_own_layer_where_all_see_all() -> None:
    block = Block(16, 4, 24)
    layer = torch.nn.TransformerEncoderLayer(16, 4, 24, 0.0, "gelu", batch_first=True, norm_first=True)
    with torch.no_grad():
        attention = layer.self_attn
        attention.in_proj_weight.copy_(block.query_key_value.weight)
        attention.in_proj_bias.copy_(block.query_key_value.bias)
        attention.out_proj.load_state_dict(block.out.state_dict())
        layer.linear1.load_state_dict(block.mlp[0].state_dict())
        layer.linear2.load_state_dict(block.mlp[2].state_dict())
    token_BTE = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(block(token_BTE, 7), layer(token_BTE), rtol=0, atol=1e-5)
