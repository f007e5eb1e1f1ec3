"""Sequences of a task: labels fall anew at each place, no image comes twice, and nothing gives the next label away.

Shape letters: B sequences, T places, W ways, G domains, C classes, N images, X numbers of an input, P of a projected one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pipelines.gpicl_settings import Gpicl
from training.choose import distinct
from training.collection import DomainTensors
from training.gpicl.tasks import Tasks, TaskSpace
from training.noise import below, key, uniform
from training.pool import Pools, pools_of, units_of

LABELS, IMAGES, OF_UNIT, NEW = 11, 12, 13, 14  # streams of one sequence
NEW_SHARE = 0.2  # of a train class's units, kept from training: whether images or tasks were learned by heart


@dataclass(frozen=True)
class Sequences:
    """Projected inputs x_BTP and labels y_BT, 0 to W - 1."""

    x_BTP: Tensor
    y_BT: Tensor


class Source:
    """Sequences of the tasks of some domains. Where `keeps_new`, part of each class is left for `new_ends`."""

    def __init__(
        self,
        domains: Sequence[DomainTensors],
        inputs: Mapping[str, Tensor],
        settings: Gpicl,
        seed: int,
        device: torch.device,
        *,
        keeps_new: bool,
    ) -> None:
        """Raises ValueError (one line) if a domain has too few classes with images enough, or tasks cannot be distinct."""
        self.settings = settings
        offsets = [0]
        for domain in domains:
            offsets.append(offsets[-1] + len(domain.class_N))
        names = [f"domain {domain.name!r}" for domain in domains]
        pools = pools_of([units_of(domain) for domain in domains], names, offsets[:-1], range(len(domains)))
        new_C = (pools.size_C * NEW_SHARE).ceil().long() if keeps_new else torch.zeros_like(pools.size_C)
        able_G = torch.tensor([able(pools, pool, new_C, settings) for pool in range(len(names))])
        self.pools, self.new_C = pools.to(device), new_C.to(device)
        self.tasks = TaskSpace(self.pools, able_G.to(device), settings, seed)
        self._input_NX = torch.cat([inputs[domain.name] for domain in domains]).to(device)

    def draw(self, tasks: Tasks, key_B: Tensor, biased_B: Tensor | None = None) -> Sequences:
        """A sequence of each task, by its key. Where `biased_B`, classes keep their places whatever the task's permutation."""
        way_BT, unit_BT = self._places(tasks, key_B)
        return self._read(tasks, way_BT, unit_BT, key_B, biased_B)

    def new_ends(self, tasks: Tasks, key_B: Tensor) -> Sequences:
        """The sequences of `draw`, but for images at the first and the last place that are never trained on."""
        way_BT, unit_BT = self._places(tasks, key_B)
        for end in (0, -1):
            class_B1 = tasks.class_BW.gather(1, way_BT[:, end].unsqueeze(1))
            new_B1 = self.new_C[class_B1]
            unit_BT[:, end] = (self.pools.size_C[class_B1] - new_B1 + below(key(key_B, NEW, end + 1), new_B1, 1)).squeeze(1)
        return self._read(tasks, way_BT, unit_BT, key_B, None)

    def _places(self, tasks: Tasks, key_B: Tensor) -> tuple[Tensor, Tensor]:
        """The way of each place and which unit of its class is there, [B, T]."""
        n_way, length = self.settings.n_way, self.settings.context
        room_BW = self.pools.size_C[tasks.class_BW] - self.new_C[tasks.class_BW]
        way_BT, before_BT = places(key_B, room_BW, length)
        order_BWT = distinct(uniform(key(key_B, IMAGES), n_way, length), room_BW)
        return way_BT, order_BWT.flatten(1).gather(1, way_BT * length + before_BT)

    def _read(self, tasks: Tasks, way_BT: Tensor, unit_BT: Tensor, key_B: Tensor, biased_B: Tensor | None) -> Sequences:
        number_BT = self.pools.unit_C[tasks.class_BW.gather(1, way_BT)] + unit_BT
        images_BT = self.pools.images_K[number_BT]
        which_BT = below(key(key_B, OF_UNIT), images_BT, images_BT.shape[1])
        x_BTP = self._input_NX[self.pools.rows_N[self.pools.first_K[number_BT] + which_BT]]
        if tasks.projection_BXP is not None:
            x_BTP = x_BTP @ tasks.projection_BXP
        y_BT = tasks.label_BW.gather(1, way_BT)
        return Sequences(x_BTP, y_BT if biased_B is None else torch.where(biased_B.unsqueeze(1), way_BT, y_BT))


def places(key_B: Tensor, room_BW: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Which way comes at each place and how many of it came before, [B, T] each.

    Ways are drawn independently; one that has no image left is passed over. After twice as many draws as places, which is
    nearly always enough, all ways come in turn, so that `length` images are found wherever there are as many.
    """
    n_way = room_BW.shape[1]
    turns = torch.arange(n_way, device=key_B.device).repeat(length).expand(len(key_B), -1)
    drawn_BD = torch.cat([below(key(key_B, LABELS), n_way, 2 * length), turns], dim=1)
    member_BDW = one_hot(drawn_BD, n_way)
    before_BD = (member_BDW.cumsum(dim=1) - member_BDW).gather(2, drawn_BD.unsqueeze(2)).squeeze(2)
    there_BD = before_BD < room_BW.gather(1, drawn_BD)
    kept_BT = there_BD.byte().argsort(dim=1, descending=True, stable=True)[:, :length]
    return drawn_BD.gather(1, kept_BT), before_BD.gather(1, kept_BT)


def able(pools: Pools, pool: int, new_C: Tensor, settings: Gpicl) -> int:
    """Classes of a pool, largest first, of which any `n_way` hold the images of a context between them.

    Raises ValueError (one line: domain, what the context needs, what is there) if there are fewer than `n_way`.
    """
    size_C = pools.sizes(pool)
    first = int(pools.first_G[pool])
    room_C = size_C - new_C[first : first + len(size_C)]
    need = -(-settings.context // settings.n_way)
    found = int((room_C >= need).sum())
    if found < settings.n_way:
        beside = " beside those kept back as new ones" if int(new_C.sum()) else ""
        raise ValueError(
            f"gpicl.context: {settings.context} images of {settings.n_way} classes need {settings.n_way} classes with {need} "
            f"or more different ones{beside}, {pools.names[pool]} has {found} of {len(size_C)}; "
            "shorten the context, lower gpicl.n_way or use another domain"
        )
    return found
