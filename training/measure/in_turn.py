"""Training on domains in turn (regime sequence, GEOM-S), with a look at all of them at the end of each one's turn.

Shape letters: T domains in the order of training, J judged domains.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipelines.training_settings import Training
from training.collection import DomainTensors
from training.episodes import Episodes
from training.evaluate import Scorer, episode_accuracies
from training.learner import Learner
from training.parts_readout import Parts
from training.regimes import domain_order, sequence_shares
from training.sampler import Schedule
from training.train import new_learner, train

Judged = Mapping[str, tuple[Tensor, Episodes]]  # features and episodes, by domain


class InTurn(NamedTuple):
    """A learner that met domains in turn, their order, and mean accuracies on judged domains: before the first step, and
    after each turn. `judged` names the columns."""

    learner: Learner
    order: tuple[str, ...]
    judged: tuple[str, ...]
    untrained_J: Tensor
    accuracy_TJ: Tensor

    def own(self) -> tuple[Tensor, Tensor]:
        """`accuracy_TT` and `untrained_T` for continual.py: the columns of the trained domains in their order.

        Raises ValueError (one line) if one of them was not judged.
        """
        missing = [name for name in self.order if name not in self.judged]
        if missing:
            raise ValueError(f"domain {missing[0]!r}: trained on but not judged; it needs episodes too")
        columns = [self.judged.index(name) for name in self.order]
        return self.accuracy_TJ[:, columns], self.untrained_J[columns]


def ends_of_turns(domains: int, steps: int) -> list[int]:
    """How many steps are done when each of the turns ends. Raises ValueError (one line) if a turn would have no step."""
    if steps < domains:
        raise ValueError(f"training.steps: {domains} domains in turn need a step each, found {steps}")
    schedule = Schedule(sequence_shares(domains, 0.0), steps)
    return [*(schedule.start(turn) for turn in range(1, domains)), steps]


def train_in_turn(
    domains: Sequence[DomainTensors],
    settings: Training,
    judged: Judged,
    *,
    steps: int,
    seed: int,
    parts: Parts | None = None,
) -> InTurn:
    """Train in regime sequence, whose order and replay `settings` say; the weights are those of `train` without a look.

    Raises ValueError (one line) if the settings' regime is another, a turn would have no step, or as `train` does.
    """
    if settings.regime != "sequence":
        raise ValueError(f"training.regime: expected sequence, found {settings.regime}")
    rows: list[list[float]] = []
    looks = {done: lambda scorer: rows.append(accuracies(scorer, judged)) for done in ends_of_turns(len(domains), steps)}
    untrained = new_learner(settings, domains[0].dimensions, seed, parts).eval()
    learner = train(domains, settings, steps=steps, seed=seed, parts=parts, looks=looks)
    return InTurn(
        learner,
        tuple(domain_order(domains, settings, seed)),
        tuple(judged),
        torch.tensor(accuracies(untrained, judged)),
        torch.tensor(rows),
    )


def accuracies(scorer: Scorer, judged: Judged) -> list[float]:
    """Mean accuracy on each judged domain."""
    return [float(episode_accuracies(scorer, features_ND, episodes).mean()) for features_ND, episodes in judged.values()]
