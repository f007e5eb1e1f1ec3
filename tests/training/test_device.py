"""Where a training runs, in how many parts, and what it says of a machine that cannot."""

from dataclasses import fields

import pytest
import torch
from test_train import SETTINGS, domain, weights
from torch import Tensor

from pipelines.training_settings import Training
from training.batch import Batch
from training.device import Place, choose, to_device, told_in_a_line
from training.draws import draws
from training.learner import Learner
from training.shape import shape_of
from training.train import take_step, train

CPU = Place(torch.device("cpu"), None, False)


def asked(**settings: object) -> Training:
    return SETTINGS.model_copy(update=settings)


def test_a_machine_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose(asked()) == CPU
    assert choose(asked(precision="bfloat16", compile="on")) == Place(torch.device("cpu"), torch.bfloat16, True)
    with pytest.raises(ValueError, match=r"^training.device: cuda, but torch finds no CUDA device here; say auto or cpu$"):
        train([domain("a", 0)], asked(device="cuda"), steps=1, seed=0)


def test_a_machine_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", heard.append)
    assert choose(asked(device="cpu")) == CPU
    assert heard == []
    assert choose(asked()) == choose(asked(device="cuda")) == Place(torch.device("cuda"), torch.bfloat16, True)
    assert choose(asked(precision="float32", compile="off")) == Place(torch.device("cuda"), None, False)
    assert heard == ["high"] * 3
    assert str(choose(asked())) == "cuda, bfloat16, compiled"


def drawn(batch: int = 6) -> Batch:
    """A batch in which every field is set, and some queries are padding."""
    settings = asked(batch=batch)
    made = draws([domain("a", 0)], settings, 0, steps=1)(0)
    weight_BQ = made.weight_BQ.clone()
    weight_BQ[0, :3] = 0.0
    turn = made.turn
    assert turn is not None
    ones_BS = torch.ones(made.support_BSD.shape[:2])
    seed_B = torch.arange(batch)
    return Batch(
        made.support_BSD,
        made.support_label_BS,
        made.query_BQD,
        made.query_label_BQ,
        weight_BQ,
        made.n_way,
        turn,
        ones_BS,
        seed_B,
    )


def test_every_tensor_of_a_batch_moves() -> None:
    batch = drawn()
    assert to_device(batch, torch.device("cpu")) is batch
    moved = to_device(batch, torch.device("meta"))
    assert moved.turn is not None
    given = [getattr(held, field.name) for held in (moved, moved.turn) for field in fields(held)]
    assert all(value.device.type == "meta" for value in given if isinstance(value, Tensor))
    assert sum(isinstance(value, Tensor) for value in given) == 9
    assert moved.n_way == batch.n_way


@pytest.mark.parametrize("parts", [2, 3, 6])
@pytest.mark.parametrize("label_codes", ["learnable", "random"])
def test_a_batch_worked_in_parts_gives_the_update_of_the_whole(parts: int, label_codes: str) -> None:
    batch = drawn()

    def stepped(parts: int) -> tuple[Tensor, Tensor]:
        learner = Learner(shape_of(asked(label_codes=label_codes), 16))
        optimiser = torch.optim.SGD(learner.parameters(), lr=0.1)
        return take_step(learner, optimiser, batch, CPU, parts), weights(learner)

    (whole_2, whole), (found_2, found) = stepped(1), stepped(parts)
    torch.testing.assert_close(found_2, whole_2)
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-5)
    assert not torch.equal(weights(Learner(shape_of(asked(label_codes=label_codes), 16))), whole)


def test_a_training_in_parts_is_that_of_whole_batches() -> None:
    whole, parts = (weights(train([domain("a", 0)], asked(accumulate=n), steps=5, seed=0)) for n in (1, 4))
    assert float((parts - whole).norm() / whole.norm()) < 1e-4  # Adam makes much of a gradient that is nearly nothing


def test_bfloat16_trains_near_float32() -> None:
    full, low = (weights(train([domain("a", 0)], asked(precision=p), steps=5, seed=0)) for p in ("float32", "bfloat16"))
    assert not torch.equal(full, low)
    assert float((full - low).norm() / full.norm()) < 0.02


def test_a_compiled_learner_leaves_as_it_came() -> None:
    learner = Learner(shape_of(SETTINGS, 16))
    names, blocks = list(learner.state_dict()), list(learner.blocks)
    compiled = Place(torch.device("cpu"), None, True)
    with compiled.holding(learner):
        assert all(block._compiled_call_impl is not None for block in blocks)
        assert list(learner.state_dict()) == names
    assert all(block._compiled_call_impl is None for block in blocks)


def test_full_memory_is_told_with_the_dials() -> None:
    told = r"^training: the memory of cpu is full \(.+\); raise training.accumulate, or lower .+batch, .+size or .+n_query$"
    with pytest.raises(ValueError, match=told), told_in_a_line(CPU):
        torch.empty(2**60, dtype=torch.uint8)  # torch's own words
    for error in (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), MemoryError()):
        with pytest.raises(ValueError, match=told), told_in_a_line(CPU):
            raise error
    with pytest.raises(RuntimeError, match="another"), told_in_a_line(CPU):
        raise RuntimeError("another")
