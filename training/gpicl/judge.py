"""Accuracy at each place of a sequence: on tasks that were trained on, on unseen tasks, and on unseen domains.

Shape letters: N sequences, T places, W ways.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.evaluate import interval
from training.gpicl.sequences import Sequences, Source
from training.noise import keys

JUDGED = 21  # a stream of sequences apart from those of training
CHUNK = 256  # sequences at one time
END_SHARE = 8  # the last eighth of the places is the end of a sequence
Interval = dict[str, float]
Right = NDArray[np.bool_]  # [N, T]
Scorer = Callable[[Tensor, Tensor], Tensor]  # x_BTP, y_BT -> scores_BTW


@dataclass(frozen=True)
class Field:
    """Where models are trained and judged: the train domains together, and each held-out domain by itself."""

    train: Source
    held_out: Mapping[str, Source]
    seed: int
    device: torch.device

    def sequences(self, kind: str, count: int, log2_tasks: int) -> Iterator[Sequences]:
        """Some sequences at a time: of tasks `seen` in training, with `new` images at both ends, `unseen`, or of a domain.

        The same for every model. Of tasks seen there are as many as there are.
        """
        source = self.held_out.get(kind, self.train)
        for start in range(0, count, CHUNK):
            number_B = torch.arange(start, min(count, start + CHUNK), device=self.device)
            key_B = keys(start, start + len(number_B), self.seed, JUDGED, device=self.device)
            if kind in ("seen", "new"):
                draw = source.draw if kind == "seen" else source.new_ends
                yield draw(source.tasks.seen(number_B % 2**log2_tasks), key_B)
            else:
                yield source.draw(source.tasks.unseen(number_B), key_B)


def right(scorer: Scorer, field: Field, kind: str, count: int, log2_tasks: int = 0) -> Right:
    """Whether each label was scored highest before it was shown."""
    found = []
    with torch.no_grad():
        for part in field.sequences(kind, count, log2_tasks):
            found.append((scorer(part.x_BTP, part.y_BT).argmax(dim=2) == part.y_BT).cpu().numpy())
    return np.concatenate(found)


def ends(length: int) -> slice:
    """The places at the end of a sequence."""
    return slice(length - max(1, length // END_SHARE), length)


def summary(right_NT: Right) -> dict[str, Any]:
    """Accuracy before any example (`first`), at the end of the context (`end`), what that one gains (`gain`), and by place.

    Intervals are 95 % over sequences.
    """
    first_N = right_NT[:, 0].astype(np.float64)
    end_N = right_NT[:, ends(right_NT.shape[1])].mean(axis=1)
    by_place = [round(float(value), 4) for value in right_NT.mean(axis=0)]
    values = {"first": first_N, "end": end_N, "gain": end_N - first_N}
    return {name: as_interval(value) for name, value in values.items()} | {"by_place": by_place}


def as_interval(values: NDArray[np.float64]) -> Interval:
    """Mean and 95 % interval over sequences, rounded."""
    mean, low, high = interval(values)
    return {"mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4)}


def mean_of(summaries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The plain mean over domains, each with its own interval: domains are fixed, sequences are drawn."""
    found: dict[str, Any] = {}
    for name in ("first", "end", "gain"):
        parts = [summary[name] for summary in summaries.values()]
        mean = float(np.mean([part["mean"] for part in parts]))
        half = float(np.sqrt(np.sum([((part["high"] - part["low"]) / 2) ** 2 for part in parts]))) / len(parts)
        found[name] = {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}
    by_place = np.mean([summary["by_place"] for summary in summaries.values()], axis=0)
    return found | {"by_place": [round(float(value), 4) for value in by_place]}
