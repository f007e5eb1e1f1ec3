"""A memory that is written at test time, in the place of attention (Titans: Behrouz, Zhong & Mirrokni 2025, arXiv 2501.00663).

Each head has a memory M that maps keys to values. Supports are written into it one after another by gradient steps on
|M k - v|^2: the gradient G is the surprise, S its running sum (momentum), and M forgets a share of itself at each step:

    S_t = eta_t S_{t-1} - theta_t G_t          M_t = (1 - alpha_t) M_{t-1} + S_t          G_t = 2 (M k_t - v_t) k_t^T

with alpha, eta and theta read off each support's token. Then every token, support or query, reads M q. An episode begins with
an empty memory; nothing of it is kept for the next. Queries write nothing, so none influences another.

As in the paper, supports go in chunks, and gradients are taken at the memory before the chunk. M is a matrix, not the paper's
MLP: its gradients are then linear in M, so a whole chunk comes to one product with a K x K matrix that is made for all chunks
at once; an MLP would need a pass of each chunk through weights of each episode's own, one chunk after another, and holds more
numbers than an episode of 25 images could tell it. Left out: the convolution over neighbours, for supports have none.

A memory has an order and a support set has none: `in_order` makes one of the supports' content, so that the learner stays a
function of the set.

Shape letters: B episodes, S supports, T tokens with supports first, E width, H heads, K = E / H, J = 2 K, D features, C chunks
of L supports.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize, pad, silu

from training.attention import Block
from training.noise import GOLDEN, mixed

CHUNK = 16  # supports
FORGETS, MOMENTUM, STEP = (
    -6.0,
    0.0,
    2.0,
)  # the gates before the sigmoid where a token says nothing: alpha .002, eta .5, theta .9


class MemoryBlock(Block):
    """A block of the transformer whose tokens are mixed by memories, one a head."""

    def __init__(self, width: int, heads: int, mlp: int, chunk: int = CHUNK) -> None:
        super().__init__(width, heads, mlp)
        self.chunk = chunk
        self.gates = nn.Linear(width, 3 * heads)

    def mix(
        self,
        seen_BTE: Tensor,
        query_BHTK: Tensor,
        key_BHTK: Tensor,
        value_BHTK: Tensor,
        supports: int,
        hidden_B11S: Tensor | None,
    ) -> Tensor:
        """What each token reads of the memories that the supports wrote; [B, H, T, K]."""
        gate_3BHS = self.gates(seen_BTE[:, :supports]).view(len(seen_BTE), supports, 3, self.heads).permute(2, 0, 3, 1).float()
        with torch.autocast(seen_BTE.device.type, enabled=False):  # a recurrence needs its digits
            memory_BHKK: Tensor = write(
                unit(key_BHTK[:, :, :supports]),
                silu(value_BHTK[:, :, :supports].float()),
                gate_3BHS[0] + FORGETS,
                gate_3BHS[1] + MOMENTUM,
                gate_3BHS[2] + STEP,
                None if hidden_B11S is None else (hidden_B11S[:, 0] == 0).float(),
                self.chunk,
            )
            read_BHTK = unit(query_BHTK) @ memory_BHKK.mT
        return read_BHTK.to(value_BHTK.dtype)


def unit(token_BHTK: Tensor) -> Tensor:
    """Keys and queries as the paper has them: through SiLU, at unit length."""
    return normalize(silu(token_BHTK.float()), dim=-1)


@torch.compiler.disable  # type: ignore[untyped-decorator]  # it would be compiled anew for each number of chunks
def write(
    key_BHSK: Tensor,
    value_BHSK: Tensor,
    forget_BHS: Tensor,
    momentum_BHS: Tensor,
    step_BHS: Tensor,
    weight_B1S: Tensor | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    """The memories [B, H, K, K] after all supports, in their order. Gates come before the sigmoid.

    A step is divided by the chunk's length and by what momentum will make of it: where a chunk's keys are all the same, its
    steps together go no further than a stable one. `weight_B1S` is 0 for padding, which must come last; it leaves no trace.
    """
    supports = key_BHSK.shape[2]
    weight_BHS = torch.ones_like(step_BHS) if weight_B1S is None else weight_B1S.expand_as(step_BHS)
    spare = -supports % chunk
    weight_BHCL, forget_BHCL, momentum_BHCL, step_BHCL = (
        pad(gate_BHS, (0, spare)).view(*gate_BHS.shape[:2], -1, chunk)
        for gate_BHS in (weight_BHS, forget_BHS, momentum_BHS, step_BHS)
    )
    key_BHCLK, value_BHCLK = (
        pad(part_BHSK, (0, 0, 0, spare)).view(*part_BHSK.shape[:2], -1, chunk, part_BHSK.shape[-1])
        for part_BHSK in (key_BHSK, value_BHSK)
    )
    theta_BHCL = weight_BHCL * step_BHCL.sigmoid() * (-momentum_BHCL).sigmoid() / chunk
    to_memory_BHCL, to_surprise_BHCL, scale_BHC3 = _what_lasts(weight_BHCL, forget_BHCL, momentum_BHCL)
    # what steps of these weights come to: [v k^T] less M [k k^T], for M and for S beside each other
    steps_BHCL2 = 2 * theta_BHCL.unsqueeze(-1) * torch.stack([to_memory_BHCL, to_surprise_BHCL], dim=-1)
    weighed_BHCLJ = (steps_BHCL2.unsqueeze(-1) * key_BHCLK.unsqueeze(-2)).flatten(-2)
    adds_BHCKJ, takes_BHCKJ = value_BHCLK.mT @ weighed_BHCLJ, key_BHCLK.mT @ weighed_BHCLJ
    return _chunks_in_turn(adds_BHCKJ, takes_BHCKJ, scale_BHC3)


def _what_lasts(weight_BHCL: Tensor, forget_BHCL: Tensor, momentum_BHCL: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a step at each place gives M, and S, at its chunk's end, [B, H, C, L]; and of the M and S before the chunk what is
    left of M, what S gives M, and what is left of S, [B, H, C, 3]."""
    kept_BHCL = (weight_BHCL * logsigmoid(-forget_BHCL)).cumsum(-1)  # logarithm of what is left of M after each support
    fade_BHCL = (weight_BHCL * logsigmoid(momentum_BHCL)).cumsum(-1)  # and of S
    length = weight_BHCL.shape[-1]
    # of a step at t what there is in S at u, what S at u gives M at the chunk's end, and so what the step gives M
    earlier_LL = torch.ones(length, length, dtype=torch.bool, device=weight_BHCL.device).tril()
    lasts_BHCLL = (fade_BHCL.unsqueeze(-1) - fade_BHCL.unsqueeze(-2)).masked_fill(~earlier_LL, -torch.inf).exp()
    gives_BHCL = weight_BHCL * (kept_BHCL[..., -1:] - kept_BHCL).exp()
    to_memory_BHCL = (gives_BHCL.unsqueeze(-2) @ lasts_BHCLL).squeeze(-2)
    to_surprise_BHCL = lasts_BHCLL[..., -1, :]
    scales = (kept_BHCL[..., -1].exp(), (gives_BHCL * fade_BHCL.exp()).sum(-1), fade_BHCL[..., -1].exp())
    return to_memory_BHCL, to_surprise_BHCL, torch.stack(scales, dim=-1)


def _chunks_in_turn(adds_BHCKJ: Tensor, takes_BHCKJ: Tensor, scale_BHC3: Tensor) -> Tensor:
    """M and S from chunk to chunk. Of J columns the first K are for M, the others for S."""
    width = adds_BHCKJ.shape[-2]
    scale_BHC311 = scale_BHC3.unsqueeze(-1).unsqueeze(-1)
    memory_BHKK, surprise_BHKK = adds_BHCKJ[:, :, 0, :, :width], adds_BHCKJ[:, :, 0, :, width:]
    for adds_BHKJ, takes_BHKJ, scale_BH311 in zip(
        adds_BHCKJ.unbind(2)[1:], takes_BHCKJ.unbind(2)[1:], scale_BHC311.unbind(2)[1:], strict=True
    ):
        step_BHKJ = adds_BHKJ - memory_BHKK @ takes_BHKJ
        kept, carried, faded = scale_BH311.unbind(2)
        memory_BHKK = kept * memory_BHKK + carried * surprise_BHKK + step_BHKJ[..., :width]
        surprise_BHKK = faded * surprise_BHKK + step_BHKJ[..., width:]
    return memory_BHKK


def in_order(support_BSD: Tensor, label_BS: Tensor, support_weight_BS: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """The same supports in the order in which they are written: that of a hash of feature and label, padding last.

    It mixes the classes, as a lot would, and is the same in whatever order the supports are given.
    """
    bits_BSD = support_BSD.float().contiguous().view(torch.int32).long()
    place_D = torch.arange(1, support_BSD.shape[-1] + 1, device=support_BSD.device)
    hash_BS = mixed(mixed(bits_BSD + GOLDEN * place_D).sum(-1) + label_BS) >> 1  # whole numbers: a sum in any order is the same
    if support_weight_BS is not None:
        hash_BS = hash_BS.masked_fill(support_weight_BS == 0, torch.iinfo(torch.int64).max)
    order_BS = hash_BS.argsort(dim=1, stable=True)
    support_BSD = support_BSD.gather(1, order_BS.unsqueeze(-1).expand_as(support_BSD))
    weight_BS = None if support_weight_BS is None else support_weight_BS.gather(1, order_BS)
    return support_BSD, label_BS.gather(1, order_BS), weight_BS
