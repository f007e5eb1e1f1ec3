"""Batches: parts of one are the batch, in every field; a turn is undone."""

from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.batch import Batch, Turn
from training.synthetic import rotation

EPISODES = 5


def batch(*, whole: bool) -> Batch:
    """Five episodes of which each tensor names its episode; with every field set, or with those that may be missing missing."""
    of_episode = torch.arange(EPISODES, dtype=torch.float32)
    support_BSD, query_BQD = of_episode.view(-1, 1, 1).expand(-1, 4, 3), 10 + of_episode.view(-1, 1, 1).expand(-1, 6, 3)
    label_BS, label_BQ = of_episode.long().view(-1, 1).expand(-1, 4), 20 + of_episode.long().view(-1, 1).expand(-1, 6)
    given = (support_BSD, label_BS, query_BQD, label_BQ, 30 + of_episode.view(-1, 1).expand(-1, 6), 2)
    if not whole:
        return Batch(*given)
    turn = Turn(40 + of_episode.view(-1, 1, 1).expand(-1, 1, 3), torch.eye(3))
    return Batch(*given, turn, 50 + of_episode.view(-1, 1).expand(-1, 4), 60 + of_episode.long())


def tensors(found: Batch) -> dict[str, Tensor]:
    """Every tensor that has a row an episode."""
    held = {field.name: getattr(found, field.name) for field in fields(Batch)}
    held["sign_B1D"] = found.turn.sign_B1D if found.turn else None
    return {name: value for name, value in held.items() if isinstance(value, Tensor)}


@pytest.mark.parametrize("whole", [False, True])
@given(cuts=st.lists(st.integers(0, EPISODES), max_size=4).map(sorted))
@settings(max_examples=25, deadline=None)
def test_parts_of_a_batch_are_the_batch(whole: bool, cuts: list[int]) -> None:
    one = batch(whole=whole)
    ends = [0, *cuts, EPISODES]
    parts = [one.part(start, stop) for start, stop in pairwise(ends)]
    assert [len(part) for part in parts] == [stop - start for start, stop in pairwise(ends)]
    assert len(tensors(one)) == (8 if whole else 5)
    for name, value in tensors(one).items():
        assert torch.equal(torch.cat([tensors(part)[name] for part in parts]), value), name
    for part in parts:
        assert part.n_way == one.n_way
        assert (part.turn is None) == (part.support_weight_BS is None) == (part.seed_B is None) == (not whole)
        assert part.turn is None or torch.equal(part.turn.matrix_DD, torch.eye(3))


def test_a_turn_is_undone_and_keeps_angles() -> None:
    generator = torch.Generator().manual_seed(0)
    sign_B1D = torch.randint(0, 2, (3, 1, 8), generator=generator).float() * 2 - 1
    turn = Turn(sign_B1D, rotation(8, generator))
    feature_BTD = torch.randn(3, 5, 8, generator=generator)
    turned_BTD = turn.apply(feature_BTD)
    assert float((turned_BTD - feature_BTD).abs().max()) > 0.5
    torch.testing.assert_close(turn.undo(turned_BTD), feature_BTD)
    torch.testing.assert_close(turned_BTD @ turned_BTD.mT, feature_BTD @ feature_BTD.mT, atol=1e-5, rtol=1e-5)
