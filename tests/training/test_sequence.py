"""Trainings on domains one after another: what is trained, judged, kept and told."""

from pathlib import Path

import polars as pl
import pytest
import torch
from made_project import sequence as made_sequence
from made_sweep import COLLECTION, ROLES, TRAINING, asked

from training.measure.design import Company
from training.measure.in_turn import train_in_turn
from training.measure.sequence import continual_of, curves, finish, judged_of, sequence, turns_of
from training.measure.trial import Trial

COMPANY = Company(("a", "b"), ("c",))
CHANGES = {"designs": ["sequence"], "steps": 4}


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return asked(tmp_path, **CHANGES)[0]


def test_two_orders_with_every_seed_only_where_asked(trial: Trial, tmp_path: Path) -> None:
    assert [(t.order, t.seed) for t in turns_of(trial, COMPANY)] == [
        (("a", "b"), 0),
        (("a", "b"), 1),
        (("b", "a"), 0),
        (("b", "a"), 1),
    ]
    assert turns_of(trial, Company(("a",))) == []
    assert turns_of(asked(tmp_path)[0], COMPANY) == []


def test_the_table_is_that_of_a_training_in_turn(trial: Trial) -> None:
    wanted = turns_of(trial, COMPANY)
    table = sequence(trial, wanted, workers=1)
    turns = wanted[0]
    settings = TRAINING.model_copy(update={"regime": "sequence", "order": "given"})
    made = train_in_turn(
        [COLLECTION[name] for name in turns.order], settings, judged_of(trial, turns.order), steps=4, seed=turns.seed
    )
    rows = table.filter(pl.col("order") == list(turns.order), pl.col("seed") == turns.seed)
    assert rows.filter(turn=2)["accuracy"].to_list() == pytest.approx(made.accuracy_TJ[-1].tolist(), abs=1e-6)
    assert rows.filter(turn=0)["accuracy"].to_list() == pytest.approx(made.untrained_J.tolist(), abs=1e-6)
    assert set(table["domain"]) == {name for name, role in ROLES.items() if role == "held_out"}  # others keep nothing back


def test_what_is_kept_is_not_trained_again(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, told = turns_of(trial, COMPANY), []
    first = sequence(trial, wanted[:3], workers=1, tell=told.append)
    again = sequence(trial, wanted, workers=1, tell=told.append)
    assert len(told) == 4
    assert again.head(len(first)).equals(first)
    monkeypatch.setattr("training.measure.sequence.train_in_turn", None)
    assert sequence(trial, wanted, workers=1).equals(again)


def test_processes_change_no_figure(trial: Trial, tmp_path: Path) -> None:
    wanted = turns_of(trial, COMPANY)[:2]
    beside = sequence(trial, wanted, workers=2)
    alone = asked(tmp_path / "other", **CHANGES)[0]
    assert torch.equal(torch.from_numpy(finish(alone, wanted[0])).flatten().double(), torch.tensor(beside.head(6)["accuracy"]))


def test_continual_measures_by_hand() -> None:
    """Met at .7, a domain loses .02 a turn; not yet met it stands at .4, as before the first step."""
    found = continual_of(made_sequence())
    assert found["acc"]["mean"] == pytest.approx(0.7 - 0.02 + 0.0005, abs=1e-5)
    assert found["bwt"]["mean"] == pytest.approx(-0.03, abs=1e-5)
    assert found["fwt"]["mean"] == pytest.approx(0.0, abs=1e-5)
    assert found["forgetting"]["mean"] == pytest.approx(0.03, abs=1e-5)


def test_nothing_is_told_of_one_training_or_of_held_out_domains_alone() -> None:
    table = made_sequence()
    one = table.filter(pl.col("order").list.first() == "glyphs", seed=0)
    assert continual_of(one) == {}
    assert continual_of(table.filter(pl.col("domain").is_in(["digits", "flags"]))) == {}
    assert continual_of(table.clear()) == {}


def test_curves_are_means_over_seeds() -> None:
    found = curves(made_sequence())
    assert found["digits"][("glyphs", "shapes", "textures")] == pytest.approx([0.5005, 0.5305, 0.5605, 0.5905])
    assert curves(made_sequence().clear()) == {}
