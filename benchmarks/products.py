"""The matrix products of a training step, as bare calls of torch: what the hardware could do.

Shape letters: B episodes, S supports, Q queries, T tokens, E width, H heads, K = E / H, D features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from training.learner import MOVES
from training.shape import Shape


@dataclass(frozen=True)
class Product:
    """[rows, inner] @ [inner, columns], `batches` times at once, `count` times in a step.

    `backward` is how many products as large its gradients take.
    """

    rows: int
    inner: int
    columns: int
    batches: int = 1
    count: int = 1
    backward: int = 2

    @property
    def flops(self) -> int:
        """Of the forward and the backward pass."""
        return 2 * self.rows * self.inner * self.columns * self.batches * self.count * (1 + self.backward)


def products(shape: Shape, episodes: int, supports: int, queries: int, *, rotate: bool = True) -> list[Product]:
    """Those of the transformer, its ends, the metric and the rotations.

    What a read-out factorises, or compares by distance, is not among them.
    """
    moves = shape.readout in MOVES
    full = shape.attention == "full"
    episodes, queries = (episodes * queries, 1) if full else (episodes, queries)
    width, tokens = shape.width, episodes * (supports + queries)
    found = [Product(tokens, shape.dimensions, width, backward=2 if moves else 1)]
    found += [Product(tokens, width, columns, count=shape.layers) for columns in (3 * width, width, shape.mlp)]
    found.append(Product(tokens, shape.mlp, width, count=shape.layers))
    heads, key = episodes * shape.heads, width // shape.heads
    seen = supports + queries if full else supports
    for rows in [seen] if full else [supports, queries]:
        found += [Product(rows, key, seen, heads, shape.layers), Product(rows, seen, key, heads, shape.layers)]
    if moves:
        found.append(Product(tokens, width, shape.dimensions))
        found.append(Product(tokens, shape.dimensions, shape.dimensions, backward=1))  # features as given need no gradient
    else:
        found.append(Product(episodes * queries, width, shape.max_way if shape.readout == "linear" else width))
    if rotate:  # what is turned needs a gradient where the metric made it; what is turned back always
        found.append(Product(tokens, shape.dimensions, shape.dimensions, count=1 + moves, backward=1 if moves else 0))
    return found


def bare_step(wanted: list[Product], device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """A call that makes all of these products and their gradients', each into memory that is there already."""
    generator = torch.Generator().manual_seed(0)

    def made(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator).to(device, dtype)

    work = []
    for each in wanted:
        left, right = made(each.batches, each.rows, each.inner), made(each.batches, each.inner, each.columns)
        if each.batches == 1:
            left, right = left[0], right[0]
        out = left @ right
        pairs = [(left, right, out), (out, right.mT, torch.empty_like(left)), (left.mT, out, torch.empty_like(right))]
        work.append((pairs[: 1 + each.backward], each.count))

    def step() -> None:
        for pairs, count in work:
            for _ in range(count):
                for one, other, into in pairs:
                    torch.matmul(one, other, out=into)

    return step
