"""Collections of which it is known what each domain is worth, made of Gaussian classes: `known_truth.py` measures them.

A feature is cut into blocks of directions, turned by a random rotation. A domain's classes differ in some blocks, its images
are noisy in others, and in the rest it is still. What a learner can gain is to know which blocks tell classes apart and which
are noise; a domain teaches that of its own blocks and says nothing of those where it is still.

Shape letters: N images, C classes, D features, X directions of a block.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.params import Design, Role
from training.collection import DomainTensors, unit_rows

BLOCKS, DIRECTIONS = 6, 4  # a feature has 24 numbers
CLASSES, IMAGES = 12, 30  # of a domain, of a class
BETWEEN, WITHIN, NOISE = 3.0, 1.0, 6.0  # deviations: of classes and within them where classes differ; where it is noisy
FIRST, SECOND, ELSEWHERE = 0, 1, 4  # blocks where classes differ
NOISY = {FIRST: 2, SECOND: 3, ELSEWHERE: 5}  # and the block of noise that goes with each
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

    def means(self, block: int) -> Floats:
        """Where new classes lie that differ in this block, [C, D]."""
        mean_CD = np.zeros((CLASSES, BLOCKS * DIRECTIONS))
        mean_CD[:, _of(block)] = BETWEEN * self.rng.normal(size=(CLASSES, DIRECTIONS))
        return mean_CD

    def crossed_means(self) -> Floats:
        """Four classes, each of two places in one block with each of two in the other: only both blocks tell them apart."""
        mean_CD = np.zeros((4, BLOCKS * DIRECTIONS))
        for block, sign_C in ((FIRST, [1, 1, -1, -1]), (SECOND, [1, -1, 1, -1])):
            towards_X = self.rng.normal(size=DIRECTIONS)
            towards_X *= BETWEEN * np.sqrt(DIRECTIONS / 2) / np.linalg.norm(towards_X)
            mean_CD[:, _of(block)] = np.outer(sign_C, towards_X)
        return mean_CD

    def domain(self, name: str, *blocks: int, mean_CD: Floats | None = None) -> DomainTensors:
        """Images of these classes, or of new ones, that differ in these blocks; noisy in the blocks that go with them."""
        mean_CD = self.means(*blocks) if mean_CD is None else mean_CD
        class_N = np.repeat(np.arange(len(mean_CD)), IMAGES)
        deviation_D = np.zeros(BLOCKS * DIRECTIONS)
        for block in blocks:
            deviation_D[_of(block)], deviation_D[_of(NOISY[block])] = WITHIN, NOISE
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
    mean_CD = make.means(FIRST)
    domains = [make.domain("carrier", FIRST, mean_CD=mean_CD)]
    domains += [make.domain("beside", ELSEWHERE)]
    domains += [make.domain("twin", FIRST, mean_CD=mean_CD), make.labels_by_lot("lots", domains[0])]
    domains += [make.domain(name, FIRST) for name in ("test_1", "test_2")]
    return _world(domains, train=2, spares=2, designs=("removal", "replacement", "shapley"))


def redundant(seed: int) -> World:
    """`one` and `other` both teach what the test needs: either does for both."""
    make = Maker(seed)
    domains = [make.domain(name, FIRST) for name in ("one", "other")] + [make.domain("beside", ELSEWHERE)]
    domains += [make.domain(name, FIRST) for name in ("test_1", "test_2")]
    return _world(domains, train=3, designs=("pairs",))


def complementary(seed: int) -> World:
    """`one` and `other` teach a half each of what the test needs, whose classes are told apart by both halves together."""
    make = Maker(seed)
    domains = [make.domain("one", FIRST), make.domain("other", SECOND), make.domain("beside", ELSEWHERE)]
    domains += [make.domain(name, FIRST, SECOND, mean_CD=make.crossed_means()) for name in ("test_1", "test_2")]
    return _world(domains, train=3, designs=("pairs",))


WORLDS: dict[str, Callable[[int], World]] = {"carrier": carrier, "redundant": redundant, "complementary": complementary}


def _world(domains: Sequence[DomainTensors], *, train: int, spares: int = 0, designs: tuple[Design, ...]) -> World:
    roles: list[Role] = ["train"] * train + ["spare"] * spares
    roles += ["held_out"] * (len(domains) - len(roles))
    names = [domain.name for domain in domains]
    return World(dict(zip(names, domains, strict=True)), dict(zip(names, roles, strict=True)), designs)
