"""Ways to damage bytes, each drawn from a seeded generator."""

import struct
from collections.abc import Callable
from random import Random

NUMBERS = (
    0,
    1,
    127,
    128,
    255,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
)
SPICES = (
    b"\0",
    b"\n",
    b"\r\n",
    b'"',
    b"'",
    b",",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"../",
    b"\\",
    b"%",
    b"{",
    b"[",
    b"\xc3(",
    b"PK\5\6",
)


def _flip(rng: Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)


def _cut(rng: Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def _cut_front(rng: Random, data: bytearray) -> None:
    del data[: rng.randrange(len(data))]


def _remove(rng: Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 4, 30, 512))]


def _splice(rng: Random, data: bytearray) -> None:
    size = rng.choice((4, 30, 512, 2000))
    start, at = rng.randrange(len(data)), rng.randrange(len(data))
    data[at:at] = data[start : start + size]


def _overwrite(rng: Random, data: bytearray) -> None:
    size = rng.choice((4, 30, 512))
    start, at = rng.randrange(len(data)), rng.randrange(len(data))
    data[at : at + size] = data[start : start + size]


def _zero(rng: Random, data: bytearray) -> None:
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 4, 8, 64))
    data[at : at + size] = bytes(min(size, len(data) - at))


def _number(rng: Random, data: bytearray) -> None:
    form = rng.choice("BHIQ")
    value = rng.choice(NUMBERS) & ((1 << (8 * struct.calcsize(form))) - 1)
    packed = struct.pack(rng.choice("<>") + form, value)
    at = rng.randrange(len(data))
    data[at : at + len(packed)] = packed


def _spice(rng: Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(SPICES) * rng.choice((1, 1, 2, 300))


def _append(rng: Random, data: bytearray) -> None:
    data += rng.randbytes(rng.choice((1, 10, 600))) if rng.random() < 0.5 else bytes(data)


WAYS: tuple[Callable[[Random, bytearray], None], ...] = (
    _flip, _flip, _flip, _cut, _cut_front, _remove, _splice, _overwrite, _zero, _number, _number, _spice, _append,
)  # fmt: skip


def damaged(rng: Random, data: bytes) -> bytes:
    """The bytes after one to three damages, as a rule one."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if changed:
            rng.choice(WAYS)(rng, changed)
    return bytes(changed)


def head_damaged(rng: Random, data: bytes, size: int = 64) -> bytes:
    """Damaged within the first bytes alone, where headers are."""
    return damaged(rng, data[:size]) + data[size:]
