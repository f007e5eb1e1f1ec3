"""Rotations: orthogonal, a function of seed, step and episode, and each direction as likely as any other."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.batch import Turn
from training.noise import keys
from training.turns import BANK, Turns

CPU = torch.device("cpu")
D = 12
TURNS = Turns(D, 3, CPU)


def dense(turn: Turn) -> torch.Tensor:
    """The matrices that a turn stands for, [B, D, D]."""
    return turn.apply(torch.eye(D).expand(len(turn.sign_B1D), D, D))


@given(seed=st.integers(0, 2**31 - 1), step=st.integers(0, 10**7), episodes=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_turns_are_orthogonal_and_depend_on_seed_and_step_alone(seed: int, step: int, episodes: int) -> None:
    turns, key_B = Turns(D, seed, CPU), keys(0, episodes, seed, step)
    found = turns(key_B, step)
    turned = dense(found)
    torch.testing.assert_close(turned @ turned.mT, torch.eye(D).expand(episodes, D, D), atol=1e-5, rtol=0)
    other = Turns(D, seed, CPU)
    other(keys(0, 9, 0), step + 1)  # whatever was drawn before
    again = other(key_B, step)
    assert torch.equal(again.matrix_DD, found.matrix_DD)
    assert torch.equal(again.sign_B1D, found.sign_B1D)
    assert torch.equal(turns(key_B[1:], step).sign_B1D, found.sign_B1D[1:])
    assert not torch.equal(turns.matrix(step + 1), found.matrix_DD)
    assert not torch.equal(Turns(D, seed + 1, CPU).matrix(step), found.matrix_DD)


def test_turns_are_those_that_they_were() -> None:
    """Known values: whoever changes the noise changes every training. The bank itself may round as it likes."""
    turn = TURNS(keys(0, 2, 3, 11), 11)
    signs = ["++-+-+++-++-", "-++++-+--+++"]
    assert ["".join("+" if sign > 0 else "-" for sign in row) for row in turn.sign_B1D.squeeze(1).tolist()] == signs
    order = [6, 3, 7, 5, 4, 0, 11, 10, 8, 1, 2, 9]
    rows_DD = TURNS.bank_XDD[1][order].abs().sort(dim=1).values
    torch.testing.assert_close(turn.matrix_DD.abs().sort(dim=1).values, rows_DD)


def test_steps_differ_by_more_than_the_bank_and_episodes_by_their_signs() -> None:
    matrices = torch.stack([TURNS.matrix(step) for step in range(60)])
    distances = torch.cdist(matrices.flatten(1), matrices.flatten(1)) + 9 * torch.eye(60)
    assert float(distances.min()) > 1.0
    assert len({round(float(matrix.abs().max()), 5) for matrix in matrices}) == BANK  # all of the bank have their turn
    sign_BD = TURNS(keys(0, 40, 0), 0).sign_B1D.squeeze(1)
    assert len({tuple(row) for row in sign_BD.tolist()}) == 40


def test_no_direction_is_favoured() -> None:
    """A feature's turns over many steps have mean 0 and the same spread along every axis."""
    feature_D = torch.zeros(D)
    feature_D[0], feature_D[1] = 0.8, 0.6
    drawn = torch.stack([TURNS(keys(0, 1, 0, step), step).apply(feature_D.view(1, 1, D))[0, 0] for step in range(3000)])
    assert float(drawn.mean(dim=0).abs().max()) < 4.5 * (1 / D / 3000) ** 0.5
    assert float((drawn.square().mean(dim=0) * D - 1).abs().max()) < 0.2
