"""Contexts of (item, label) pairs under one of a few tasks, and an item whose label is asked for.

Items are noisy Gaussian classes; a task moves every class's label on by its own number, modulo the labels: the task of
in-context meta-learning (Minegishi et al. 2025, arXiv 2505.16694, section 3.1).

Shape letters: C classes, D numbers of an item, B contexts, N tokens of one kind: the pairs and the item asked for, W tasks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.phases_settings import Phases
from training.episodes import generator_for

STREAM = 83  # keeps its noise apart from that of other stages
CLASSES, TRAINING, JUDGED, WEIGHTS, NEIGHBOURS = range(5)  # what is drawn


@dataclass(frozen=True)
class Contexts:
    """Items item_BND, the last of them asked for (N + 1 in all), their labels label_BN, classes class_BN and tasks task_B."""

    item_BND: Tensor
    label_BN: Tensor
    class_BN: Tensor
    task_B: Tensor

    @property
    def shown_B(self) -> Tensor:
        """Whether the class that is asked for is among those shown, with its label."""
        return (self.class_BN[:, :-1] == self.class_BN[:, -1:]).any(dim=1)

    @property
    def asked_B(self) -> Tensor:
        """The labels that are asked for."""
        return self.label_BN[:, -1]


class Tasks:
    """Classes with their middles and labels, fixed by the seed, and the mappings of all tasks."""

    def __init__(self, settings: Phases, seed: int) -> None:
        self.settings, self.seed = settings, seed
        generator = generator_for(seed, STREAM, CLASSES)
        self.middle_CD = torch.randn(settings.classes, settings.dimensions, generator=generator) * settings.dimensions**-0.5
        self.label_C = torch.randint(settings.labels, (settings.classes,), generator=generator)

    @property
    def label_WC(self) -> Tensor:
        """The label of each class under each task; no two tasks agree anywhere."""
        return (self.label_C + torch.arange(self.settings.tasks).unsqueeze(1)) % self.settings.labels

    def draw(self, count: int, *path: int) -> Contexts:
        """Contexts that are a function of the seed and the path. Classes of a context differ; the asked one is any class."""
        asked, generator = self.settings, generator_for(self.seed, STREAM, *path)
        task_B = torch.randint(asked.tasks, (count,), generator=generator)
        shown_BN = torch.rand(count, asked.classes, generator=generator).topk(asked.context, dim=1).indices
        class_BN = torch.cat([shown_BN, torch.randint(asked.classes, (count, 1), generator=generator)], dim=1)
        noise_BND = torch.randn(count, asked.context + 1, asked.dimensions, generator=generator) * asked.dimensions**-0.5
        item_BND = (self.middle_CD[class_BN] + asked.noise * noise_BND) * (1 + asked.noise**2) ** -0.5
        return Contexts(item_BND, self.label_WC[task_B.unsqueeze(1), class_BN], class_BN, task_B)
