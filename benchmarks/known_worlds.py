"""Collections of which it is known what each domain is worth, made of Gaussian classes: `known_truth.py` measures them.

A feature is cut into blocks of directions, turned by a random rotation. In the first block the classes of every domain differ;
in the others they never do, but a domain may be noisy there. What a learner can gain is to know which blocks are noise: it is
taught by domains that are noisy there, and a domain that is still in a block says nothing of it.

Shape letters: N images, C classes, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.params import Design, Role
from training.collection import DomainTensors, unit_rows

BLOCKS, DIRECTIONS = 6, 4  # a feature has 24 numbers
CLASSES, IMAGES = 12, 30  # of a domain, of a class
BETWEEN, WITHIN, NOISE = 2.0, 1.0, 5.0  # deviations: of classes and of a class's images in the first block; in noisy blocks
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """A collection, the role of each domain, and what is asked of it."""

    collection: dict[str, DomainTensors]
    roles: dict[str, Role]
    designs: tuple[Design, ...]


class Maker:
    """Makes domains that share one rotation of the feature space; all chance is that of the seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.rotation_DD = np.linalg.qr(self.rng.normal(size=(BLOCKS * DIRECTIONS,) * 2))[0]

    def means(self) -> Floats:
        """Where the classes of a new domain lie, [C, D]."""
        mean_CD = np.zeros((CLASSES, BLOCKS * DIRECTIONS))
        mean_CD[:, _of(0)] = BETWEEN * self.rng.normal(size=(CLASSES, DIRECTIONS))
        return mean_CD

    def domain(self, name: str, noisy: Sequence[int], mean_CD: Floats | None = None) -> DomainTensors:
        """Images of these classes, or of new ones, that are noisy in these blocks."""
        mean_CD = self.means() if mean_CD is None else mean_CD
        class_N = np.repeat(np.arange(CLASSES), IMAGES)
        deviation_D = np.zeros(BLOCKS * DIRECTIONS)
        deviation_D[_of(0)] = WITHIN
        for block in noisy:
            deviation_D[_of(block)] = NOISE
        image_ND = mean_CD[class_N] + deviation_D * self.rng.normal(size=(len(class_N), BLOCKS * DIRECTIONS))
        return _tensors(name, image_ND @ self.rotation_DD, class_N)

    def labels_by_lot(self, name: str, like: DomainTensors) -> DomainTensors:
        """The images of a domain with its labels dealt out at random: there is nothing to learn in them."""
        return _tensors(name, like.features_ND.double().numpy(), self.rng.permutation(like.class_N.numpy()))


def _of(block: int) -> slice:
    return slice(block * DIRECTIONS, (block + 1) * DIRECTIONS)


def _tensors(name: str, image_ND: Floats, class_N: NDArray[np.int64]) -> DomainTensors:
    features_ND = unit_rows(torch.from_numpy(image_ND).float())
    count, classes = len(class_N), tuple(f"c{number}" for number in range(class_N.max() + 1))
    return DomainTensors(name, features_ND, torch.from_numpy(class_N), torch.arange(count), ("train",) * count, classes)


def carrier(seed: int) -> World:
    """`carrier` alone teaches what the test needs; `twin` has other images of its classes; `lots` has labels by lot."""
    make = Maker(seed)
    mean_CD = make.means()
    domains = [make.domain("carrier", [1], mean_CD)]
    domains += [make.domain(f"beside_{block}", [block]) for block in (3, 4)]
    domains += [make.domain("twin", [1], mean_CD), make.labels_by_lot("lots", domains[0])]
    domains += [make.domain(name, [1]) for name in ("test_1", "test_2")]
    return _world(domains, train=3, spares=2, designs=("removal", "replacement", "shapley"))


def redundant(seed: int) -> World:
    """`one` and `other` both teach what the test needs: either does for both."""
    make = Maker(seed)
    domains = [make.domain(name, [1]) for name in ("one", "other")] + [make.domain("beside", [3])]
    domains += [make.domain(name, [1]) for name in ("test_1", "test_2")]
    return _world(domains, train=3, designs=("pairs",))


def complementary(seed: int) -> World:
    """The test is noisy in two blocks, of which `one` and `other` teach one each: what one of them does alone is little."""
    make = Maker(seed)
    domains = [make.domain("one", [1]), make.domain("other", [2]), make.domain("beside", [3])]
    domains += [make.domain(name, [1, 2]) for name in ("test_1", "test_2")]
    return _world(domains, train=3, designs=("pairs",))


def _world(domains: Sequence[DomainTensors], *, train: int, spares: int = 0, designs: tuple[Design, ...]) -> World:
    roles: list[Role] = ["train"] * train + ["spare"] * spares
    roles += ["held_out"] * (len(domains) - len(roles))
    names = [domain.name for domain in domains]
    return World(dict(zip(names, domains, strict=True)), dict(zip(names, roles, strict=True)), designs)
