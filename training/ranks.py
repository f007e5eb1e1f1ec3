"""Several processes that train one learner, as torchrun starts them: which of them this is, and sums over all.

Each works its own part of a step's episodes; gradients, loss and accuracy are added up, so that all take the step of one.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from training.device import Place

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

PATIENCE = timedelta(hours=1)  # for one another; who ends takes the others along at once
LOOK_AGAIN = 0.5  # s


@dataclass(frozen=True)
class Ranks:
    """Which of `size` processes this is, of the world and on this machine. Alone, there is nothing to add up or to agree on."""

    rank: int = 0
    size: int = 1
    local: int = 0
    store: "Store | None" = None

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def own(self, place: Place) -> Place:
        """The same place on this process's own CUDA device. Raises ValueError (one line) where there are too few."""
        if self.size == 1 or place.device.type != "cuda":
            return place
        there = torch.cuda.device_count()
        if self.local >= there:
            raise ValueError(
                f"training: expected a CUDA device for each process on a machine, found {there}; start as many processes, or "
                "say training.device: cpu"
            )
        torch.cuda.set_device(self.local)
        return replace(place, device=torch.device("cuda", self.local))

    @contextmanager
    def joined(self, place: Place) -> Iterator[None]:
        """Have the processes in one group: over NCCL on CUDA, else over gloo."""
        if self.size == 1:
            yield
            return
        assert self.store is not None
        self.store.set("training", "begun")
        on_cuda = place.device.type == "cuda"
        with self._told():
            dist.init_process_group(
                "nccl" if on_cuda else "gloo",
                store=self.store,
                rank=self.rank,
                world_size=self.size,
                timeout=PATIENCE,
                device_id=place.device if on_cuda else None,
            )
        yield
        with self._told():
            dist.barrier()
        dist.destroy_process_group()  # not after an error: it may wait for those who are gone

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in one exchange for all."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with self._told():
            dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, summed in zip(tensors, parts, strict=True):
            tensor.copy_(summed.view_as(tensor))

    def agree(self, subject: str, found: Mapping[str, Any]) -> None:
        """Make sure that all processes found the same. Raises ValueError (one line) with the names of what they did not.

        A subject is agreed on once in a training.
        """
        if self.size == 1:
            return
        assert self.store is not None
        with self._told():
            self.store.set(f"{subject} of {self.rank}", json.dumps(found))
            first: dict[str, Any] = json.loads(self.store.get(f"{subject} of 0"))
        names = found.keys() | first.keys()
        differ = sorted(name for name in names if found.get(name) != first.get(name))
        if differ:
            what = f"{', '.join(differ[:3])}{' and more' if differ[3:] else ''}"
            raise ValueError(f"training: process {self.rank} of {self.size} and the first one differ in {what}")

    def wait_for_training(self) -> bool:
        """Wait until the first process comes to train; false if it ends without, because the learner is there already."""
        assert self.store is not None
        with self._told():
            while not self.store.check(["training"]):
                if self.store.check(["over"]):
                    return False
                time.sleep(LOOK_AGAIN)
        return True

    def end(self) -> None:
        """Tell those who wait that no training comes any more."""
        if self.store is not None:
            self.store.set("over", "yes")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what torch says of a process that is gone into a line."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # torch.distributed's own errors among them
            said = str(error).strip().splitlines()[0]
            raise ValueError(f"training: process {self.rank} of {self.size} lost another one ({said})") from None


ALONE = Ranks()
