"""Linear regression in context: a task is N pairs (x, y = w x) and an input whose y is asked for.

Inputs are uniform, as in the code of the paper (arXiv 2212.07677) between -range / 2 and range / 2; w is normal.

Shape letters: B tasks, N pairs of a context, D numbers in an input, T = N + 1 tokens with the query last, E = D + 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipelines.mechanism_settings import Mechanism
from training.episodes import generator_for

STREAM = 57  # keeps these numbers apart from those that the learner's episodes are drawn by
TRAINING, EVALUATION, SEARCH, WEIGHTS = 1, 2, 3, 4  # what numbers are for: they share none


@dataclass(frozen=True)
class Form:
    """What all tasks of a set have in common. `input_range`: the width that inputs are uniform over; `scale`: of w."""

    dimensions: int
    context: int
    input_range: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True)
class Tasks:
    """Tasks of one form: contexts x_BND, y_BN, the asked-for query_BD and its target_B."""

    x_BND: Tensor
    y_BN: Tensor
    query_BD: Tensor
    target_B: Tensor

    def __len__(self) -> int:
        return len(self.y_BN)

    def double(self) -> "Tasks":
        """The same with twice the digits."""
        return Tasks(*(given.double() for given in vars(self).values()))

    def part(self, start: int, stop: int) -> "Tasks":
        """Tasks `start` to `stop`."""
        return Tasks(*(given[start:stop] for given in vars(self).values()))

    def asking(self, query_BD: Tensor) -> "Tasks":
        """The same contexts with other queries; the targets stay."""
        return replace(self, query_BD=query_BD)


Predictor = Callable[[Tasks], Tensor]  # prediction_B of the queries


def form_of(settings: Mechanism) -> Form:
    """The form that models are trained on."""
    return Form(settings.dimensions, settings.context, settings.input_range)


def draw_tasks(form: Form, count: int, seed: int, purpose: int, step: int = 0) -> Tasks:
    """`count` tasks, a pure function of all that is given. Tasks of another scale or range are the same ones stretched."""
    generator = generator_for(seed, STREAM, purpose, step)
    weight_BD1 = torch.randn(count, form.dimensions, 1, generator=generator) * form.scale
    x_BTD = (torch.rand(count, form.context + 1, form.dimensions, generator=generator) - 0.5) * form.input_range
    y_BT = (x_BTD @ weight_BD1).squeeze(-1)
    return Tasks(x_BTD[:, :-1], y_BT[:, :-1], x_BTD[:, -1], y_BT[:, -1])


def tokens(tasks: Tasks, start_D: Tensor | None = None) -> Tensor:
    """Tokens [x ; y], [B, T, E]. The query's y is minus what the weights `start_D` say of it, 0 where there are none."""
    asked_B = torch.zeros_like(tasks.target_B) if start_D is None else -(tasks.query_BD @ start_D)
    x_BTD = torch.cat([tasks.x_BND, tasks.query_BD.unsqueeze(1)], dim=1)
    y_BT = torch.cat([tasks.y_BN, asked_B.unsqueeze(1)], dim=1)
    return torch.cat([x_BTD, y_BT.unsqueeze(-1)], dim=2)


def half_mse(prediction_B: Tensor, target_B: Tensor) -> float:
    """Half the mean squared error, the loss that all are trained on."""
    return 0.5 * float((prediction_B.detach() - target_B).square().mean())
