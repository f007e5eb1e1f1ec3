"""What accuracy can be, given what is read of a context: what the phases are told apart by.

The phases of Minegishi et al. (2025, arXiv 2505.16694) differ in what the asked label is inferred from: the asked
item alone (non-context), the labels of the context without their items as well (semi-context), or all of it (full-context).
The best accuracy for each is exact here, where the paper reads plateaus off a curve.

Shape letters: B contexts, N pairs, W tasks, L labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.phases.tasks import Contexts, Tasks


@dataclass(frozen=True)
class Known:
    """The best accuracy, 0 to 1, from nothing, from the item, from the labels as well, and from everything."""

    chance: float
    non_context: float
    semi_context: float
    full_context: float = 1.0


def known(tasks: Tasks, contexts: Contexts) -> Known:
    """Of these contexts. Under any two tasks a class has different labels, so the label is known where the task is."""
    asked = tasks.settings
    return Known(1 / asked.labels, 1 / asked.tasks, float(from_labels(tasks, contexts).amax(dim=0).mean()))


def from_labels(tasks: Tasks, contexts: Contexts) -> Tensor:
    """How likely each task is given the labels of a context alone, [W, B].

    Classes of a context are drawn without return: of the classes that have a label under a task, each that is shown is gone.
    """
    asked, label_BN = tasks.settings, contexts.label_BN[:, :-1]
    count_WL = torch.stack([label_C.bincount(minlength=asked.labels) for label_C in tasks.label_WC]).double()
    before_BN = (label_BN.unsqueeze(2) == label_BN.unsqueeze(1)).tril(-1).sum(dim=2)
    left_WBN = (count_WL[:, label_BN] - before_BN).clamp(min=0)
    likelihood_WB = (left_WBN / asked.classes).prod(dim=2)
    return likelihood_WB / likelihood_WB.sum(dim=0)
