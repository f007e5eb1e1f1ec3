"""Collections of which it is known what each domain is worth, made of Gaussian classes: `known_truth.py` measures them.

A feature is cut into blocks of directions, turned by a random rotation. The classes of a domain differ in the blocks that it
speaks of, and in the others its images differ at random and more. What a learner can gain is to know which blocks matter:
that is taught by the domains that speak of them, and everything else teaches to leave them out.

Shape letters: N images, C classes, D features, X directions of a block.
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
BETWEEN, WITHIN = 2.0, 1.0  # deviations of classes, and of a class's images, in the blocks that a domain speaks of
BESIDE = 3.0  # deviation of all images in the other blocks
TEST, UNLIKE, SECOND = 0, 1, 2  # blocks: what the held-out domains need, what they do not, what they may need too
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

    def means(self, *blocks: int, classes: int = CLASSES) -> Floats:
        """Where classes lie that differ in these blocks, [C, D]."""
        mean_CD = np.zeros((classes, BLOCKS * DIRECTIONS))
        for block in blocks:
            mean_CD[:, _of(block)] = BETWEEN * self.rng.normal(size=(classes, DIRECTIONS))
        return mean_CD

    def crossed_means(self, first: int, second: int) -> Floats:
        """Four classes: each of two places in one block with each of two in the other, so that only both tell them apart."""
        mean_CD = np.zeros((4, BLOCKS * DIRECTIONS))
        for block, place_C in ((first, [0, 0, 1, 1]), (second, [0, 1, 0, 1])):
            towards_X = self.rng.normal(size=DIRECTIONS)
            towards_X *= BETWEEN * np.sqrt(DIRECTIONS / 2) / np.linalg.norm(towards_X)
            mean_CD[:, _of(block)] = np.where(np.array(place_C)[:, None] == 0, towards_X, -towards_X)
        return mean_CD

    def domain(self, name: str, mean_CD: Floats, blocks: Sequence[int]) -> DomainTensors:
        """Images of these classes, whose blocks these are."""
        class_N = np.repeat(np.arange(len(mean_CD)), IMAGES)
        deviation_D = np.full(BLOCKS * DIRECTIONS, BESIDE)
        for block in blocks:
            deviation_D[_of(block)] = WITHIN
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
    """`carrier` alone speaks of what the test needs; `twin` has other images of its classes; `lots` has labels by lot."""
    make = Maker(seed)
    mean_CD = make.means(TEST)
    domains = [make.domain("carrier", mean_CD, [TEST])]
    domains += [make.domain(name, make.means(UNLIKE), [UNLIKE]) for name in ("beside_1", "beside_2")]
    domains += [make.domain("twin", mean_CD, [TEST]), make.labels_by_lot("lots", domains[0])]
    domains += [make.domain(name, make.means(TEST), [TEST]) for name in ("test_1", "test_2")]
    return _world(domains, train=3, spares=2, designs=("removal", "replacement", "shapley"))


def redundant(seed: int) -> World:
    """`one` and `other` both speak of what the test needs: either does for both."""
    make = Maker(seed)
    domains = [make.domain(name, make.means(TEST), [TEST]) for name in ("one", "other")]
    domains += [make.domain("beside", make.means(UNLIKE), [UNLIKE])]
    domains += [make.domain(name, make.means(TEST), [TEST]) for name in ("test_1", "test_2")]
    return _world(domains, train=3, designs=("pairs",))


def complementary(seed: int) -> World:
    """`one` and `other` speak of a block each, and the classes of the test are told apart by both together alone."""
    make = Maker(seed)
    domains = [make.domain(name, make.means(block), [block]) for name, block in (("one", TEST), ("other", SECOND))]
    domains += [make.domain("beside", make.means(UNLIKE), [UNLIKE])]
    names = ("test_1", "test_2", "test_3")
    domains += [make.domain(name, make.crossed_means(TEST, SECOND), [TEST, SECOND]) for name in names]
    return _world(domains, train=3, designs=("pairs",))


def _world(domains: Sequence[DomainTensors], *, train: int, spares: int = 0, designs: tuple[Design, ...]) -> World:
    roles: list[Role] = ["train"] * train + ["spare"] * spares
    roles += ["held_out"] * (len(domains) - len(roles))
    names = [domain.name for domain in domains]
    return World(dict(zip(names, domains, strict=True)), dict(zip(names, roles, strict=True)), designs)
