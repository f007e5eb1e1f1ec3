"""Where a training runs: device, precision, compilation, and what is said when its memory is full."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

from pipelines.training_settings import Training
from training.batch import Batch, Turn
from training.learner import Learner

FULL = ("not enough memory", "can't allocate memory")  # what torch's CPU allocator says, in a plain RuntimeError
Moved = TypeVar("Moved", Batch, Turn)


@dataclass(frozen=True)
class Place:
    """A device, the type that matrix products are cast to (None: float32 as it stands), and whether the learner is compiled."""

    device: torch.device
    dtype: torch.dtype | None
    compiled: bool

    def autocast(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device.type, self.dtype)

    @contextmanager
    def holding(self, learner: Learner) -> Iterator[None]:
        """Have the learner here, its blocks compiled where asked; afterwards it is on the CPU, and as it was.

        Blocks alone: they are nearly all of the work, are alike, and so are compiled once; the rest would take minutes.
        """
        learner.to(self.device)
        blocks = list(learner.blocks) if self.compiled else []
        for block in blocks:
            block.compile(dynamic=True)  # shots change from step to step
        try:
            yield
        finally:
            for block in blocks:
                block._compiled_call_impl = None
            learner.cpu()

    def __str__(self) -> str:
        precision = "float32" if self.dtype is None else str(self.dtype).removeprefix("torch.")
        return f"{self.device.type}, {precision}{', compiled' if self.compiled else ''}"


def choose(settings: Training) -> Place:
    """The place that `device`, `precision` and `compile` ask for. On CUDA float32 products are done in TF32.

    Raises ValueError (one line) for CUDA where there is none.
    """
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        raise ValueError("training.device: cuda, but torch finds no CUDA device here; say auto or cpu")
    on_cuda = there and settings.device != "cpu"
    if on_cuda:
        torch.set_float32_matmul_precision("high")
    low = settings.precision == "bfloat16" or (settings.precision == "auto" and on_cuda)
    compiled = settings.compile == "on" or (settings.compile == "auto" and on_cuda)
    return Place(torch.device("cuda" if on_cuda else "cpu"), torch.bfloat16 if low else None, compiled)


def to_device(moved: Moved, device: torch.device) -> Moved:
    """The same batch with its tensors on `device`; the batch itself where they are there already."""
    found: dict[str, Tensor | Turn] = {}
    for field in fields(moved):
        value = getattr(moved, field.name)
        if isinstance(value, Turn):
            turn = to_device(value, device)
            found |= {} if turn is value else {field.name: turn}
        elif isinstance(value, Tensor) and value.device.type != device.type:
            # from pinned memory the copy runs beside what the device is at
            found[field.name] = pinned(value).to(device, non_blocking=True) if device.type == "cuda" else value.to(device)
    return replace(moved, **found) if found else moved  # type: ignore[arg-type]


def pinned(tensor: Tensor) -> Tensor:
    """A copy in pinned memory, whole where the tensor shows one number in many places."""
    return tensor.contiguous().pin_memory()


@contextmanager
def told_in_a_line(place: Place) -> Iterator[None]:
    """Turn full memory, and a compiler that fails, into a ValueError of one line that names the dials."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _full(place, error) from None
    except RuntimeError as error:
        if any(words in str(error) for words in FULL):
            raise _full(place, error) from None
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"training.compile: torch cannot compile the learner here ({said}); say off") from None
        raise


def _full(place: Place, error: BaseException) -> ValueError:
    said = (str(error).strip() or "no more to be had").splitlines()[0].split(". ")[0]
    return ValueError(
        f"training: the memory of {place.device.type} is full ({said}); raise training.accumulate, or lower training.batch, "
        "training.size or training.n_query"
    )
