"""The processes of one training as torchrun's environment names them. Imports no torch where there is one process alone."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

    from training.ranks import Ranks

GREETING = timedelta(minutes=5)
LOOPBACK = ("lo", "lo0")
NUMBERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
VARIABLES = (*NUMBERS, "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def launched() -> Iterator["Ranks | None"]:
    """The processes that torchrun started, by its environment; None where it started none.

    What goes wrong is told by one of them: the first to fail raises, the others leave with status 2.
    """
    if int(_number("WORLD_SIZE", "1")) == 1:
        yield None
        return
    ranks = _connected()
    assert ranks.store is not None
    try:
        yield ranks
    except KeyboardInterrupt:
        if ranks.leads:
            raise
        raise SystemExit(130) from None
    except Exception:
        if _is_first(ranks.store):
            raise
        raise SystemExit(2) from None


def _connected() -> "Ranks":
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise ValueError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {missing[0]} is not set; start with torchrun, or unset it"
        )
    rank, size, local = (int(_number(name)) for name in NUMBERS)
    from torch.distributed import PrefixStore, rendezvous  # type: ignore[attr-defined]

    from training.ranks import PATIENCE, Ranks

    if int(_number("LOCAL_WORLD_SIZE", "0")) == size:  # all on this machine: nobody else need hear
        loopback = next((name for _, name in socket.if_nameindex() if name in LOOPBACK), None)
        if loopback:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    try:
        store, _, _ = next(rendezvous("env://", rank, size, timeout=GREETING))
        store.set_timeout(PATIENCE)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ValueError(f"{where}: process {rank} of {size} does not reach the others ({error})") from None
    return Ranks(rank, size, local, PrefixStore("tessera", store))


def _number(name: str, otherwise: str = "") -> str:
    found = os.environ.get(name) or otherwise
    if not found.isdecimal():
        raise ValueError(f"{name}: expected a whole number, as torchrun sets it, found {found!r}")
    return found


def _is_first(store: "Store") -> bool:
    """Whether no other process has failed before."""
    try:
        return bool(store.add("failed", 1) == 1)
    except RuntimeError:  # the store went with who kept it, and that one has spoken
        return False
