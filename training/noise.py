"""Noise as a function of numbers: the same on every device, for any batch size and whatever was drawn before.

Each number is a hash of a key and a counter, in whole-number arithmetic that CPU and GPU do alike (SplitMix64: Steele, Lea &
Flood 2014, doi 10.1145/2660193.2660195). Keys are int64 tensors; `key` makes them from a seed and a path of numbers.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number, as are the two below
FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
SECOND = -7723592293110705685  # 0x94D049BB133111EB
MASK = 2**64 - 1
DIGITS = 53  # of a double


def mixed(number: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64, a bijection whose every output bit depends on every input bit."""
    number = (number ^ shifted(number, 30)).mul_(FIRST)  # a tensor of our own from here on
    number.bitwise_xor_(shifted(number, 27)).mul_(SECOND)
    return number.bitwise_xor_(shifted(number, 31))


def mixed_int(number: int) -> int:
    """`mixed` of one number, without a tensor."""
    number &= MASK
    number = ((number ^ (number >> 30)) * FIRST) & MASK
    number = ((number ^ (number >> 27)) * SECOND) & MASK
    number ^= number >> 31
    return number - 2**64 if number >> 63 else number


def shifted(number: Tensor, bits: int) -> Tensor:
    """The bits moved right with zeros coming in: torch's own shift of signed numbers brings the sign in."""
    return (number >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def key_int(seed: int, *path: int) -> int:
    """`key` of plain numbers as a plain number, signed."""
    found = mixed_int(seed + GOLDEN)
    for number in path:
        found = mixed_int(found ^ mixed_int(number + GOLDEN))
    return found


def key(seed: int | Tensor, *path: int | Tensor, device: torch.device | None = None) -> Tensor:
    """An int64 key for (seed, path), near paths giving unrelated ones; broadcasts where numbers are tensors."""
    found = mixed(torch.as_tensor(seed, dtype=torch.int64, device=device) + GOLDEN)
    for number in path:
        other = mixed_int(number + GOLDEN) if isinstance(number, int) else mixed(number + GOLDEN)
        found = mixed(found ^ other)
    return found


def keys(start: int, stop: int, seed: int, *path: int, device: torch.device | None = None) -> Tensor:
    """The keys of (seed, path, i) for i from `start` to `stop` - 1: `key` with the numbers that all share hashed once."""
    return keys_below([key_int(seed, *path)], start, stop, device=device)[0]


def keys_below(parents: Sequence[int], start: int, stop: int, *, device: torch.device | None = None) -> Tensor:
    """The keys that go on from each of P parents (`key_int`) by i from `start` to `stop` - 1, [P, stop - start]."""
    parent_P1 = torch.tensor(parents, device=device).unsqueeze(1)
    return mixed(parent_P1 ^ mixed(torch.arange(start, stop, device=device) + GOLDEN))


def bits(keys: Tensor, *shape: int) -> Tensor:
    """Hashes, int64 over the whole range, [*keys.shape, *shape]."""
    counter = _counter(math.prod(shape), keys.device).view(shape)
    return mixed(keys.view(keys.shape + (1,) * len(shape)) + counter)


@lru_cache(maxsize=64)
def _counter(count: int, device: torch.device) -> Tensor:
    return torch.arange(1, count + 1, device=device) * GOLDEN


def uniform(keys: Tensor, *shape: int) -> Tensor:
    """Doubles in [0, 1), [*keys.shape, *shape]."""
    return as_uniform(bits(keys, *shape))


def as_uniform(hashes: Tensor) -> Tensor:
    """Doubles in [0, 1) of hashes."""
    return shifted(hashes, 64 - DIGITS).double() * 2.0**-DIGITS


def below(keys: Tensor, limit: Tensor | int, *shape: int) -> Tensor:
    """Whole numbers from 0 to limit - 1, [*keys.shape, *shape]; `limit` broadcasts against that."""
    return (uniform(keys, *shape) * limit).long()


def normal(keys: Tensor, *shape: int) -> Tensor:
    """Gaussian float32 numbers of mean 0 and deviation 1, [*keys.shape, *shape]; equal on two devices to rounding.

    Two of each hash, from its halves (Box & Muller 1958, doi 10.1214/aoms/1177706645).
    """
    count = math.prod(shape)
    hashes = bits(keys, -(-count // 2))
    high = shifted(hashes, 32).float() * 2.0**-32 + 2.0**-33  # never 0
    angle = (hashes & 0xFFFFFFFF).float() * (2 * torch.pi * 2.0**-32)
    radius = (-2.0 * high.log()).clamp_(min=0.0).sqrt()
    both = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)
    return both[..., :count].reshape(keys.shape + shape)


def signs(keys: Tensor, *shape: int) -> Tensor:
    """-1 and 1 as float32, equally likely, [*keys.shape, *shape]."""
    return (bits(keys, *shape) >> 63).float() * 2.0 + 1.0


def as_int(number: Tensor) -> int:
    """A key as a seed for torch.Generator, 0 to 2^63 - 1."""
    return int(number) & (2**63 - 1)
