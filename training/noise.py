"""Noise as a function of numbers: the same on every device, for any batch size and whatever was drawn before.

Each number is a hash of a key and a counter, in whole-number arithmetic that CPU and GPU do alike (SplitMix64: Steele, Lea &
Flood 2014, doi 10.1145/2660193.2660195). Keys are int64 tensors; `key` makes them from a seed and a path of numbers.
"""

import torch
from torch import Tensor

GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number, as are the two below
FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
SECOND = -7723592293110705685  # 0x94D049BB133111EB
DIGITS = 53  # of a double


def mixed(number: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64, a bijection whose every output bit depends on every input bit."""
    number = (number ^ shifted(number, 30)) * FIRST
    number = (number ^ shifted(number, 27)) * SECOND
    return number ^ shifted(number, 31)


def shifted(number: Tensor, bits: int) -> Tensor:
    """The bits moved right with zeros coming in: torch's own shift of signed numbers brings the sign in."""
    return (number >> bits) & ((1 << (64 - bits)) - 1)


def key(seed: int | Tensor, *path: int | Tensor, device: torch.device | None = None) -> Tensor:
    """An int64 key for (seed, path), near paths giving unrelated ones; broadcasts where numbers are tensors."""
    found = mixed(torch.as_tensor(seed, dtype=torch.int64, device=device) + GOLDEN)
    for number in path:
        found = mixed(found ^ mixed(torch.as_tensor(number, dtype=torch.int64, device=found.device) + GOLDEN))
    return found


def bits(keys: Tensor, *shape: int) -> Tensor:
    """Hashes, int64 over the whole range, [*keys.shape, *shape]."""
    count = 1
    for side in shape:
        count *= side
    counter = (torch.arange(1, count + 1, device=keys.device) * GOLDEN).view(shape)
    return mixed(keys.view(keys.shape + (1,) * len(shape)) + counter)


def uniform(keys: Tensor, *shape: int) -> Tensor:
    """Doubles in [0, 1), [*keys.shape, *shape]."""
    return shifted(bits(keys, *shape), 64 - DIGITS).double() * 2.0**-DIGITS


def below(keys: Tensor, limit: Tensor | int, *shape: int) -> Tensor:
    """Whole numbers from 0 to limit - 1, [*keys.shape, *shape]; `limit` broadcasts against that."""
    return (uniform(keys, *shape) * limit).long()


def normal(keys: Tensor, *shape: int) -> Tensor:
    """Gaussian float32 numbers of mean 0 and deviation 1, [*keys.shape, *shape]; equal on two devices to rounding."""
    flat = uniform(keys, 2, *shape)
    radius, angle = flat.select(keys.dim(), 0), flat.select(keys.dim(), 1)
    return ((-2.0 * torch.log1p(-radius)).sqrt() * torch.cos(2 * torch.pi * angle)).float()


def as_int(number: Tensor) -> int:
    """A key as a seed for torch.Generator, 0 to 2^63 - 1."""
    return int(number) & (2**63 - 1)
