"""The memory layer: its chunks are the recurrence of the paper, token by token; queries write nothing; order is of no account."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipelines.settings import validate
from pipelines.training_settings import Training
from training.attention import HIDDEN
from training.learner import Learner, load_learner, save_learner
from training.memory import MemoryBlock, in_order, write
from training.shape import Shape, shape_of

SHAPE = Shape(dimensions=12, max_way=5, width=16, layers=2, heads=2, mlp=32, readout="class_mean", mixer="memory")


def written(supports: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Keys of unit length, values, and gates before the sigmoid: forgetting, momentum, step."""
    generator = torch.Generator().manual_seed(seed)
    key, value = torch.randn(2, 2, 3, supports, 4, generator=generator).unbind(0)
    gates = torch.randn(3, 2, 3, supports, generator=generator).unbind(0)
    return torch.nn.functional.normalize(key, dim=-1), value, *gates


def token_by_token(
    key_SK: Tensor, value_SK: Tensor, forget_S: Tensor, momentum_S: Tensor, step_S: Tensor, chunk: int
) -> Tensor:
    """The paper's recurrence as it is written, its gradients by autograd at the memory before the chunk."""
    width = key_SK.shape[1]
    memory, surprise = torch.zeros(width, width), torch.zeros(width, width)
    for at in range(len(key_SK)):
        if at % chunk == 0:
            start = memory.clone().requires_grad_()
        loss = (start @ key_SK[at] - value_SK[at]).square().sum()
        (gradient,) = torch.autograd.grad(loss, start)
        alpha, eta = forget_S[at].sigmoid(), momentum_S[at].sigmoid()
        theta = step_S[at].sigmoid() * (1 - eta) / chunk
        surprise = eta * surprise - theta * gradient
        memory = (1 - alpha) * memory + surprise
    return memory


@given(supports=st.integers(1, 20), chunk=st.sampled_from([1, 2, 3, 5, 16, 32]), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_chunks_are_the_recurrence_token_by_token(supports: int, chunk: int, seed: int) -> None:
    parts = written(supports, seed)
    found = write(*parts, chunk=chunk)
    for b in range(2):
        for h in range(3):
            expected = token_by_token(*(part[b, h] for part in parts), chunk=chunk)
            torch.testing.assert_close(found[b, h], expected, rtol=0, atol=1e-5)


def test_padding_leaves_no_trace() -> None:
    parts = written(19)
    weight = torch.ones(2, 1, 19)
    weight[:, :, 13:] = 0
    there = write(*(part[:, :, :13] for part in parts), chunk=5)
    torch.testing.assert_close(write(*parts, weight, chunk=5), there, rtol=0, atol=1e-6)
    assert not torch.allclose(write(*parts, chunk=5), there, atol=1e-3)


def test_a_memory_recalls_what_was_written_and_forgets_it_where_the_gate_says_so() -> None:
    key = torch.eye(4).expand(1, 1, 4, 4).repeat(1, 1, 40, 1)
    value = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(1)).repeat(1, 1, 40, 1)
    gate = torch.full((1, 1, 160), 20.0)  # 1 after the sigmoid
    recalled = write(key, value, -gate, -gate, gate * 0, chunk=1)
    torch.testing.assert_close(recalled @ torch.eye(4), value[0, :, :4].mT[None], rtol=0, atol=1e-3)
    last = write(key, value, gate, -gate, gate * 0, chunk=1)  # keeps the last step alone
    assert last[..., :3].abs().max() < 1e-6
    torch.testing.assert_close(last[..., 3], value[:, :, 3], rtol=0, atol=1e-5)


def test_long_contexts_of_equal_keys_stay_finite() -> None:
    key = torch.nn.functional.normalize(torch.ones(1, 1, 500, 4), dim=-1)
    value = torch.ones(1, 1, 500, 4)
    for momentum in (-20.0, 0.0, 5.0):
        gate = torch.full((1, 1, 500), momentum)
        memory = write(key, value, torch.full_like(gate, -20.0), gate, torch.full_like(gate, 20.0))
        assert (memory @ key[0, 0, 0]).abs().max() < 3.0


def test_queries_write_nothing_and_hidden_supports_are_as_if_absent() -> None:
    block = MemoryBlock(16, 4, 24)
    token_BTE = torch.randn(3, 9, 16, generator=torch.Generator().manual_seed(2))
    before = block(token_BTE, 6)
    changed = token_BTE.clone()
    changed[:, 7] += 1.0
    after = block(changed, 6)
    others = [0, 1, 2, 3, 4, 5, 6, 8]
    torch.testing.assert_close(before[:, others], after[:, others], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, 7], after[:, 7], atol=1e-3)
    torch.testing.assert_close(block(token_BTE[:, :7], 6), before[:, :7], rtol=0, atol=1e-6)
    hidden = torch.tensor([0.0, 0.0, 0.0, 0.0, HIDDEN, HIDDEN]).expand(3, 1, 1, 6)
    there = [0, 1, 2, 3, 6, 7, 8]
    torch.testing.assert_close(block(token_BTE, 6, hidden)[:, there], block(token_BTE[:, there], 4), rtol=0, atol=1e-6)


def test_the_order_of_writing_is_of_the_supports_content_alone() -> None:
    generator = torch.Generator().manual_seed(4)
    support_BSD, label_BS = torch.randn(2, 30, 8, generator=generator), torch.arange(30).expand(2, 30) % 5
    weight_BS = torch.ones(2, 30)
    weight_BS[:, ::4] = 0
    shuffle = torch.randperm(30, generator=generator)
    found, labels, weights = in_order(support_BSD, label_BS, weight_BS)
    other, other_labels, other_weights = in_order(support_BSD[:, shuffle], label_BS[:, shuffle], weight_BS[:, shuffle])
    assert weights is not None and other_weights is not None
    assert torch.equal(weights, other_weights) and weights[0].tolist() == [1.0] * 22 + [0.0] * 8
    assert torch.equal(found[:, :22], other[:, :22]) and torch.equal(labels[:, :22], other_labels[:, :22])
    assert labels[0, :22].tolist() != sorted(labels[0, :22].tolist())
    assert not torch.equal(in_order(support_BSD, (label_BS + 1) % 5, None)[0], in_order(support_BSD, label_BS, None)[0])


def episode() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    unit = torch.nn.functional.normalize
    label_BS = torch.stack([torch.randperm(40, generator=generator) % 5 for _ in range(3)])
    return unit(torch.randn(3, 40, 12, generator=generator), dim=-1), label_BS, unit(torch.randn(3, 7, 12, generator=generator), dim=-1)


def trained(shape: Shape = SHAPE) -> Learner:
    learner, generator = Learner(shape), torch.Generator().manual_seed(6)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return learner.eval()


@pytest.mark.parametrize("readout", ["linear", "parts"])
def test_a_learner_with_memories_is_a_function_of_the_set_and_of_each_query_alone(readout: str) -> None:
    learner = trained(replace(SHAPE, readout=readout))  # type: ignore[arg-type]
    support_BSD, label_BS, query_BQD = episode()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(7))
    before = learner(support_BSD, label_BS, query_BQD, 5)
    torch.testing.assert_close(learner(support_BSD[:, order], label_BS[:, order], query_BQD, 5), before, rtol=0, atol=1e-4)
    torch.testing.assert_close(learner(support_BSD, label_BS, query_BQD[:, 2:3], 5), before[:, 2:3], rtol=0, atol=1e-4)
    assert not torch.allclose(learner(support_BSD, (label_BS + 1) % 5, query_BQD, 5), before, atol=1e-3)
    padded_BSD = torch.cat([query_BQD[:, :3], support_BSD], dim=1)
    padded_label_BS = torch.cat([label_BS[:, :3], label_BS], dim=1)
    weight_BS = torch.tensor([[0.0] * 3 + [1.0] * 40] * 3)
    torch.testing.assert_close(learner(padded_BSD, padded_label_BS, query_BQD, 5, weight_BS), before, rtol=0, atol=1e-4)


def test_every_gate_learns() -> None:
    learner = trained(replace(SHAPE, readout="linear")).train()
    learner(*episode(), 5).square().sum().backward()
    for block in learner.blocks:
        assert isinstance(block, MemoryBlock) and block.gates.weight.grad is not None
        for gate in block.gates.weight.grad.chunk(3):
            assert gate.abs().max() > 0


def test_saved_and_loaded_it_answers_the_same_and_a_learner_of_attention_is_refused(tmp_path: Path) -> None:
    learner, path = trained(), tmp_path / "learner.safetensors"
    save_learner(learner, path)
    found = load_learner(path, SHAPE)
    assert asdict(found.shape)["mixer"] == "memory"
    assert torch.equal(found(*episode(), 5), learner(*episode(), 5))
    with pytest.raises(ValueError, match="expected a learner of Shape") as caught:
        load_learner(path, replace(SHAPE, mixer="attention"))
    assert "\n" not in str(caught.value)


def test_the_setting_reaches_the_learner_and_full_attention_is_refused() -> None:
    assert shape_of(Training(mixer="memory"), 12).mixer == "memory"
    assert shape_of(Training(), 12).mixer == "attention"
    with pytest.raises(ValueError, match="mixer memory has supports written and queries read: attention inline, found full"):
        validate(Training, {"mixer": "memory", "attention": "full"}, "training")
