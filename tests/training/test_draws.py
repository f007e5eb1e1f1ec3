"""What each step is given: a function of seed and step alone, the same for any ranks and wherever features lie."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipelines.training_settings import Training
from training.ahead import Ahead
from training.batch import Batch
from training.collection import DomainTensors, unit_rows
from training.draws import draws, is_synthetic
from training.train import train

REGIMES = ("mixture", "merged", "sequence", "pseudo", "single")
SMALL = {"n_way": 3, "min_way": 2, "max_shot": 3, "n_query": 2, "batch": 6}


def domain(name: str, seed: int) -> DomainTensors:
    """Six classes of eight images with four views; every second pair is of one unit."""
    generator = torch.Generator().manual_seed(seed)
    views_NVD = unit_rows(torch.randn(48, 4, 8, generator=generator))
    class_N = torch.arange(6).repeat_interleave(8)
    unit_N = torch.arange(48) - torch.arange(48) % 4 // 3
    return DomainTensors(name, views_NVD[:, 0], class_N, unit_N, ("train",) * 48, tuple("uvwxyz"), views_NVD, subject=name)


DOMAINS = [domain(name, seed) for seed, name in enumerate("abc")]
ROWS = {
    tuple(np.float32(row).tolist()): (place, number)
    for place, each in enumerate(DOMAINS)
    for number, row in enumerate(each.features_ND.tolist())
}


def asked(**settings: object) -> Training:
    return Training(**SMALL | settings)  # type: ignore[arg-type]


def pairs(one: Batch, other: Batch) -> list[tuple[str, Tensor | None, Tensor | None]]:
    """Each tensor of both, those of the turns too."""
    found = [(field.name, getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch)]
    found += [(name, getattr(one.turn, name, None), getattr(other.turn, name, None)) for name in ("sign_B1D", "matrix_DD")]
    assert one.n_way == other.n_way
    return [(name, a, b) for name, a, b in found if name not in {"n_way", "turn"}]


def assert_same(one: Batch, other: Batch, *, synthetic: bool = False) -> None:
    """Equal to the last bit; the features of synthetic tasks, which are products, to rounding."""
    for name, a, b in pairs(one, other):
        assert (a is None) == (b is None), name
        if a is not None and b is not None and synthetic and name in {"support_BSD", "query_BQD"}:
            torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
        else:
            assert a is b is None or torch.equal(a, b), name  # type: ignore[arg-type]


def joined(parts: list[Batch]) -> Batch:
    """The batch of all ranks."""
    first = parts[0]
    whole = {
        name: None if a is None else torch.cat([getattr(part, name) for part in parts])
        for name, a, _ in pairs(first, first)
        if hasattr(first, name)
    }
    turn = first.turn and replace(first.turn, sign_B1D=torch.cat([part.turn.sign_B1D for part in parts if part.turn]))
    return Batch(**whole, n_way=first.n_way, turn=turn)  # type: ignore[arg-type]


@given(
    regime=st.sampled_from(REGIMES),
    shots=st.sampled_from(["equal", "varied"]),
    ranks=st.sampled_from([2, 3, 6]),
    seed=st.integers(0, 2**31 - 1),
    steps=st.lists(st.integers(0, 60), min_size=1, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_the_parts_of_all_ranks_are_the_batch_of_one_in_any_order_of_steps(
    regime: str, shots: str, ranks: int, seed: int, steps: list[int]
) -> None:
    wanted = asked(regime=regime, shots=shots)
    of_rank = [draws(DOMAINS, wanted, seed, steps=50, rank=rank, ranks=ranks) for rank in range(ranks)]
    whole = draws(DOMAINS, wanted, seed, steps=50)
    for step in steps:
        fresh = draws(DOMAINS, wanted, seed, steps=50)(step)  # nothing was drawn before
        assert_same(whole(step), fresh)
        parts = [draw(step) for draw in (of_rank if step % 2 else of_rank[::-1])]
        assert_same(joined(parts if step % 2 else parts[::-1]), fresh, synthetic=is_synthetic(step, wanted, seed))


@pytest.mark.parametrize("shots", ["equal", "varied"])
@pytest.mark.parametrize("regime", REGIMES)
def test_features_read_from_where_they_are_give_the_same_batches(regime: str, shots: str) -> None:
    wanted = asked(regime=regime, shots=shots)
    here = draws(DOMAINS, wanted, 4, steps=40, resident=True)
    there = draws(DOMAINS, wanted, 4, steps=40, resident=False)
    assert isinstance(there, Ahead)
    for step in [*range(12), 39, 5, 6, 80]:
        assert_same(there(step), here(step))


def test_seeds_and_steps_give_batches_of_their_own() -> None:
    wanted = asked(synthetic_share=0.0)
    draw, other = (draws(DOMAINS, wanted, seed, steps=50) for seed in (0, 1))
    batches = [draw(step) for step in range(20)] + [other(step) for step in range(20)]
    assert len({round(float(batch.query_BQD.double().sum()), 9) for batch in batches}) == 40
    seeds = torch.cat([batch.seed_B for batch in batches if batch.seed_B is not None])
    assert len(seeds.unique()) == 40 * 6  # of label codes
    turns = [batch.turn for batch in batches]
    assert all(turns)
    assert len({round(float(turn.matrix_DD[0, 0]), 6) for turn in turns if turn}) > 35


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_synthetic_share_is_one_of_steps(share: float) -> None:
    wanted = asked(synthetic_share=share, batch=2)
    found = sum(is_synthetic(step, wanted, 7) for step in range(5000)) / 5000
    assert found == pytest.approx(share, abs=0.02)
    draw = draws(DOMAINS, wanted, 7, steps=50)
    for step in range(20):
        batch = draw(step)
        real = tuple(batch.support_BSD[0, 0].tolist()) in ROWS
        assert real != is_synthetic(step, wanted, 7)
        assert (batch.turn is None) == (not real)  # synthetic tasks have bases of their own


def test_features_stand_with_the_labels_of_their_classes_and_are_unturned() -> None:
    draw = draws(DOMAINS, asked(synthetic_share=0.0, batch=30), 2, steps=50)
    for step in range(10):
        batch = draw(step)
        for episode in range(30):
            rows_TD = torch.cat([batch.support_BSD[episode], batch.query_BQD[episode]])
            labels = torch.cat([batch.support_label_BS[episode], batch.query_label_BQ[episode]]).tolist()
            places = [ROWS[tuple(row)] for row in rows_TD.tolist()]
            assert len({place for place, _ in places}) == 1
            of = DOMAINS[places[0][0]]
            named = {(int(of.class_N[number]), label) for (_, number), label in zip(places, labels, strict=True)}
            assert len(named) == len({label for _, label in named}) == batch.n_way
            assert len({int(of.unit_N[number]) for _, number in places}) == len(places)


def test_rotations_are_there_when_asked_for() -> None:
    turned, plain = (draws(DOMAINS, asked(rotate=rotate, synthetic_share=0.0), 0, steps=50)(3) for rotate in (True, False))
    assert plain.turn is None
    assert turned.turn is not None
    assert turned.turn.sign_B1D.shape == (6, 1, 8)
    assert_same(replace(turned, turn=None), plain)


def fails(call: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}") as error:
        call()
    assert "\n" not in str(error.value)


def test_what_cannot_be_drawn_is_told_in_a_line() -> None:
    fails(
        lambda: draws(DOMAINS, asked(), 0, steps=9, ranks=4), "training.batch: expected a multiple of the 4 processes, found 6$"
    )
    fails(lambda: draws(DOMAINS, asked(n_way=7), 0, steps=9), r"domain 'a': 7-way 3-shot .* need 7 classes .*, found 6 of 6;")
    fails(
        lambda: draws(DOMAINS, asked(max_shot=8), 0, steps=9),
        r"domain 'a': .* 9 or more .*found 0 of 6 \(class '[u-z]' has 6\)",
    )
    views = [replace(each, views_NVD=None) for each in DOMAINS]
    fails(lambda: draws(views, asked(regime="pseudo"), 0, steps=9), r"domain 'a': regime pseudo at 3 shots needs views")


def test_more_ways_than_label_codes_are_told_before_the_first_step() -> None:
    classes = torch.arange(130).repeat_interleave(2)
    features_ND = unit_rows(torch.randn(260, 8, generator=torch.Generator().manual_seed(0)))
    many = DomainTensors("many", features_ND, classes, torch.arange(260), ("train",) * 260, tuple(map(str, range(130))))
    wanted = Training(n_way=130, max_shot=1, n_query=1, batch=1, readout="code", label_codes="elmes", size="tiny")
    fails(
        lambda: train([many], wanted, steps=1, seed=0),
        "label codes 'elmes' of 128 dimensions are for at most 128 ways, found n_way 130; take",
    )
