"""The plain way to few-shot tasks, as easyfsl goes it: a batch sampler over labels, a map-style data set, a DataLoader.

One task is one batch of the loader: the sampler draws classes and images of each, the data set is asked for one image after
another, the collate function stacks them and parts supports from queries. Written for the comparison in sampler.py.

Shape letters: S supports, Q queries; a picture is [3, 84, 84], a feature [D].
"""

import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

SIDE = 84  # px, as miniImageNet has it
Item = tuple[Tensor, int]
Task = tuple[Tensor, Tensor, Tensor, Tensor]  # supports, their labels, queries, theirs


class Pictures(Dataset[Item]):
    """Decodes, resizes and converts a file at each access, as Resize and ToTensor do."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int]) -> None:
        self.files, self.labels = files, labels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Item:
        with Image.open(self.files[row]) as picture:
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()
        return pixels.float().div(255), self.labels[row]


class Cached(Dataset[Item]):
    """Gives a row of a matrix of features at each access."""

    def __init__(self, features_ND: Tensor, labels: Sequence[int]) -> None:
        self.features_ND, self.labels = features_ND, labels

    def __len__(self) -> int:
        return len(self.features_ND)

    def __getitem__(self, row: int) -> Item:
        return self.features_ND[row], self.labels[row]


class TaskSampler(Sampler[list[int]]):
    """Rows of one task after another: of each of `n_way` classes drawn, `n_shot` supports, then `n_query` queries."""

    def __init__(self, labels: Sequence[int], n_way: int, n_shot: int, n_query: int, tasks: int, seed: int) -> None:
        self.n_way, self.images, self.tasks = n_way, n_shot + n_query, tasks
        self.random = random.Random(seed)
        self.rows: dict[int, list[int]] = {}
        for row, label in enumerate(labels):
            self.rows.setdefault(label, []).append(row)

    def __len__(self) -> int:
        return self.tasks

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self.tasks):
            classes = self.random.sample(sorted(self.rows), self.n_way)
            yield [row for label in classes for row in self.random.sample(self.rows[label], self.images)]


def as_task(items: Sequence[Item], n_shot: int, n_query: int) -> Task:
    """Stack what was drawn class by class and part supports from queries; labels are those of the task, 0 to W-1."""
    images, classes = n_shot + n_query, list(dict.fromkeys(label for _, label in items))
    stacked = torch.stack([image for image, _ in items])
    stacked = stacked.view(len(classes), images, *stacked.shape[1:])
    label_WK = torch.tensor([classes.index(label) for _, label in items]).view(len(classes), images)
    return (
        stacked[:, :n_shot].flatten(0, 1),
        label_WK[:, :n_shot].flatten(),
        stacked[:, n_shot:].flatten(0, 1),
        label_WK[:, n_shot:].flatten(),
    )


def loader(data: Pictures | Cached, n_way: int, n_shot: int, n_query: int, tasks: int, seed: int) -> DataLoader[Task]:
    """Tasks in this process, without workers: one thread, as on the other side."""
    sampler = TaskSampler(data.labels, n_way, n_shot, n_query, tasks, seed)
    return DataLoader(data, batch_sampler=sampler, collate_fn=partial(as_task, n_shot=n_shot, n_query=n_query))
