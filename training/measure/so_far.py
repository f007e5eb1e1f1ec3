"""The results of a sweep while it goes on: a row a subset, for a table that people look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.measure.design import Subset
from training.measure.trial import Job, Judged


class SoFar:
    """Mean accuracy of each subset over its seeds and held-out domains, at the most shots."""

    def __init__(self, held_out: Sequence[str], n_shot: int) -> None:
        self._held_out, self._n_shot = held_out, n_shot
        self._means: dict[Subset, list[float]] = {}

    def add(self, job: Job, judged: Judged) -> float:
        """Take a finished job in; returns its mean accuracy, 0 to 1."""
        mean = float(np.mean([judged[name, self._n_shot].mean() for name in self._held_out]))
        self._means.setdefault(job.subset, []).append(mean)
        return mean

    def rows(self) -> list[dict[str, Any]]:
        """The best subset first."""
        best = sorted(self._means.items(), key=lambda item: -float(np.mean(item[1])))
        return [
            {
                "trained on": " + ".join(subset) or "nothing",
                "seeds": len(means),
                f"{self._n_shot}-shot accuracy": f"{np.mean(means):.4f}",
            }
            for subset, means in best
        ]
