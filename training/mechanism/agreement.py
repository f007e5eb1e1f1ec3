"""How alike two predictors are: not only as good, but the same function (arXiv 2212.07677, section 3).

Shape letters: B tasks, D numbers in an input.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from training.mechanism.tasks import Predictor, Tasks

CHUNK = 5000  # tasks at once


@dataclass(frozen=True)
class Agreement:
    """Means over tasks: cosine and distance of the sensitivities d prediction / d query, and distance of the predictions."""

    sensitivity_cosine: float
    sensitivity_l2: float
    prediction_difference: float


@dataclass(frozen=True)
class Looked:
    """What a predictor says of tasks: prediction_B, and sensitivity_BD of it to the query."""

    prediction_B: Tensor
    sensitivity_BD: Tensor


def look(predict: Predictor, tasks: Tasks) -> Looked:
    """Predictions and sensitivities, a chunk of tasks at a time."""
    found = []
    for start in range(0, len(tasks), CHUNK):
        part = tasks.part(start, start + CHUNK)
        query_BD = part.query_BD.detach().requires_grad_()
        with torch.enable_grad():
            prediction_B = predict(part.asking(query_BD))
            (sensitivity_BD,) = torch.autograd.grad(prediction_B.sum(), query_BD)  # no task sees another
        found.append((prediction_B.detach(), sensitivity_BD))
    return Looked(torch.cat([first for first, _ in found]), torch.cat([second for _, second in found]))


def agreement(one: Looked, other: Looked) -> Agreement:
    """How alike two predictors are on the same tasks."""
    return Agreement(
        float(cosine_similarity(one.sensitivity_BD, other.sensitivity_BD, dim=1).mean()),
        float((one.sensitivity_BD - other.sensitivity_BD).norm(dim=1).mean()),
        float((one.prediction_B - other.prediction_B).abs().mean()),
    )
