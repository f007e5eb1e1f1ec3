"""Where features live while episodes are drawn: on the device, or where they do not fit, memory-mapped on the CPU.

Shape letters: N rows, D features; X any shape of rows.
"""

from collections.abc import Sequence

import psutil
import torch
from torch import Tensor

SHARE = 0.5  # of the free memory that features may take: the rest is the learner's


class FeatureStore:
    """Features of several domains, addressed as if one below another.

    `resident` says whether they were moved to the device as one matrix; else each domain stays what it was (a memory-mapped
    file is read row by row) and what is gathered moves to the device.
    """

    def __init__(self, parts: Sequence[Tensor], device: torch.device, *, resident: bool | None = None) -> None:
        self.device = device
        self.offsets = [0]
        for part in parts:
            self.offsets.append(self.offsets[-1] + len(part))
        size = sum(part.numel() * part.element_size() for part in parts)
        self.resident = size <= SHARE * free_memory(device) if resident is None else resident
        self._parts = [joined(parts, device)] if self.resident else list(parts)

    @property
    def dimensions(self) -> int:
        return self._parts[0].shape[1]

    def gather(self, rows_X: Tensor) -> Tensor:
        """The rows' features, [..., D], on the device. Rows are on the device if the store is resident, else on the CPU."""
        flat = rows_X.flatten()
        if self.resident:
            found_XD = self._parts[0].index_select(0, flat)
        else:
            found_XD = self._gathered(flat)
            if self.device.type == "cuda":
                found_XD = found_XD.pin_memory().to(self.device, non_blocking=True)
        return found_XD.view(*rows_X.shape, self.dimensions)

    def _gathered(self, flat: Tensor) -> Tensor:
        starts = torch.tensor(self.offsets[1:])
        part_X = torch.searchsorted(starts, flat, right=True)
        found_XD = torch.empty(len(flat), self.dimensions, dtype=self._parts[0].dtype)
        for number in range(len(self._parts)):
            where = (part_X == number).nonzero().squeeze(1)
            if not len(where):
                continue
            found_XD[where] = self._parts[number].index_select(0, flat[where] - self.offsets[number])
        return found_XD


def joined(parts: Sequence[Tensor], device: torch.device) -> Tensor:
    """One matrix on the device."""
    return parts[0].to(device) if len(parts) == 1 else torch.cat([part.to(device) for part in parts])


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
