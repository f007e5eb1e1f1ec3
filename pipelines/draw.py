"""Seeded draws that depend on names alone, so a record's luck never depends on its neighbours or on row order."""

import hashlib

import polars as pl


def lots(names: pl.Series, seed: int) -> pl.Series:
    """One unsigned 64-bit lot a name, uniform and fixed by (seed, name)."""

    def lot(name: str) -> int:
        return int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "big")

    return pl.Series("lot", [lot(name) for name in names], dtype=pl.UInt64)
