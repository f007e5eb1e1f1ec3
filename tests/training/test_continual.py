"""Continual measures: cases computed by hand, and what holds for every table of accuracies."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training.measure.continual import backward_transfer, continual, final_accuracy, forgetting, forward_transfer

TABLE_TT = torch.tensor([[0.9, 0.3, 0.2], [0.6, 0.8, 0.5], [0.7, 0.5, 0.6]])
UNTRAINED_T = torch.tensor([0.2, 0.25, 0.1])
shares = st.floats(0.0, 1.0, width=32)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    domains = draw(st.integers(2, 6))
    rows = draw(st.lists(st.lists(shares, min_size=domains, max_size=domains), min_size=domains + 1, max_size=domains + 1))
    return torch.tensor(rows[1:]), torch.tensor(rows[0])


def test_by_hand() -> None:
    """Three domains; the first falls from .9 to .7, the second from .8 to .5."""
    found = continual(TABLE_TT, UNTRAINED_T)
    assert found.acc == pytest.approx((0.7 + 0.5 + 0.6) / 3)
    assert found.bwt == pytest.approx((-0.2 - 0.3) / 2)
    assert found.fwt == pytest.approx(((0.3 - 0.25) + (0.5 - 0.1)) / 2)
    assert found.forgetting == pytest.approx((0.2 + 0.3) / 2)


def test_forgetting_is_from_the_best_backward_transfer_from_the_own_turn() -> None:
    """A domain that later ones first helped and then harmed; the last row is no candidate for the best."""
    table_TT = torch.tensor([[0.5, 0.2, 0.2], [0.8, 0.6, 0.2], [0.6, 0.7, 0.9]])
    assert backward_transfer(table_TT) == pytest.approx((0.1 + 0.1) / 2)
    assert forgetting(table_TT) == pytest.approx((0.2 - 0.1) / 2)


def test_two_domains_are_enough_and_one_is_not() -> None:
    assert continual(torch.tensor([[0.5, 0.3], [0.4, 0.6]]), torch.tensor([0.2, 0.2])) == pytest.approx((0.5, -0.1, 0.1, 0.1))
    one_TT = torch.tensor([[0.5]])
    assert final_accuracy(one_TT) == 0.5
    for measure in (backward_transfer, forgetting):
        with pytest.raises(ValueError, match=r"^accuracies: .* 2 or more domains, found \[1, 1\]$"):
            measure(one_TT)


def test_what_is_no_table_is_told() -> None:
    with pytest.raises(ValueError, match=r"found \[2, 3\]"):
        final_accuracy(TABLE_TT[:2])
    with pytest.raises(ValueError, match="finite"):
        forgetting(TABLE_TT.clone().fill_diagonal_(float("nan")))
    with pytest.raises(ValueError, match=r"expected 3, one a domain, found \[2\]"):
        forward_transfer(TABLE_TT, UNTRAINED_T[:2])


@given(tables())
def test_bounds(table: tuple[Tensor, Tensor]) -> None:
    found = continual(*table)
    assert 0 <= found.acc <= 1
    assert all(-1 <= value <= 1 for value in found[1:])
    assert found.forgetting >= -found.bwt - 1e-6  # the best is at least that of the own turn


@given(tables())
def test_a_learner_that_stays_as_it_is_forgets_and_gains_nothing(table: tuple[Tensor, Tensor]) -> None:
    row_T = table[1]
    found = continual(row_T.expand(len(row_T), -1), row_T)
    assert found == pytest.approx((float(row_T.double().mean()), 0, 0, 0), abs=1e-9)


@given(tables(), st.randoms(use_true_random=False))
def test_what_comes_before_a_turn_bears_on_forward_transfer_alone(table: tuple[Tensor, Tensor], random: object) -> None:
    """Accuracies before a domain's turn, below its own, change neither ACC nor BWT nor forgetting."""
    table_TT, untrained_T = table
    lower_TT = table_TT.tril()
    raised_TT = lower_TT + lower_TT.diagonal().expand_as(lower_TT).triu(1)
    before, after = continual(lower_TT, untrained_T), continual(raised_TT, untrained_T)
    assert (before.acc, before.bwt, before.forgetting) == (after.acc, after.bwt, after.forgetting)
    gain_T = lower_TT.diagonal()[1:].double()
    assert after.fwt - before.fwt == pytest.approx(float(gain_T.mean()), abs=1e-6)
