"""The memory layer against the paper's recurrence, token by token; nothing leaks, and the order of supports says nothing."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from test_checkpoints import MIXED, Cut
from test_checkpoints import trained as trained_in
from test_learner import away, episode
from test_train import weights
from torch import Tensor

from pipelines.settings import validate
from pipelines.training_settings import Training
from training.attention import HIDDEN
from training.learner import Learner, load_learner, save_learner
from training.memory import MemoryBlock, in_order, write
from training.shape import Shape, shape_of

SHAPE = Shape(
    dimensions=12, max_way=5, width=16, layers=2, heads=2, mlp=32, readout="code", label_codes="elmes", mixer="memory"
)
READOUTS = ["linear", "code", "class_mean", "ridge", "parts"]


def parts(supports: int, seed: int = 0, spread: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Keys of length 1, values and the three gates before the sigmoid."""
    generator = torch.Generator().manual_seed(seed)
    key, value = torch.randn(2, 2, 3, supports, 4, generator=generator).unbind(0)
    forget, momentum, step = (spread * torch.randn(3, 2, 3, supports, generator=generator)).unbind(0)
    return torch.nn.functional.normalize(key, dim=-1), value, forget - 1, momentum, step


def token_by_token(
    key_SK: Tensor, value_SK: Tensor, forget_S: Tensor, momentum_S: Tensor, step_S: Tensor, chunk: int
) -> Tensor:
    """One head of one episode as the paper has it, with the gradient by autograd at the memory before the chunk."""
    width = key_SK.shape[-1]
    memory_KK = surprise_KK = torch.zeros(width, width, dtype=key_SK.dtype)
    for place in range(len(key_SK)):
        if place % chunk == 0:
            before_KK = memory_KK.clone().requires_grad_()
        loss = (before_KK @ key_SK[place] - value_SK[place]).square().sum()
        (gradient_KK,) = torch.autograd.grad(loss, before_KK)
        eta, alpha = momentum_S[place].sigmoid(), forget_S[place].sigmoid()
        theta = step_S[place].sigmoid() * (1 - eta) / chunk
        surprise_KK = eta * surprise_KK - theta * gradient_KK
        memory_KK = (1 - alpha) * memory_KK + surprise_KK
    return memory_KK


@given(
    supports=st.integers(1, 41),
    chunk=st.sampled_from([1, 2, 5, 16]),
    seed=st.integers(0, 99),
    spread=st.sampled_from([0.0, 1.0, 5.0]),
)
@settings(max_examples=25, deadline=None)
def test_chunks_are_the_recurrence_token_by_token(supports: int, chunk: int, seed: int, spread: float) -> None:
    given_parts = [part.double() for part in parts(supports, seed, spread)]  # steps at a chunk of 1 may go far past a value
    found = write(*given_parts, chunk=chunk)
    if spread <= 1:
        single = write(*(part.float() for part in given_parts), chunk=chunk)
        torch.testing.assert_close(single.double(), found, rtol=0, atol=1e-5)
    for b in range(2):
        for h in range(3):
            expected = token_by_token(*(part[b, h] for part in given_parts), chunk)
            torch.testing.assert_close(found[b, h], expected, rtol=0, atol=1e-9)


def test_gradients_are_those_of_the_recurrence() -> None:
    leaves = [part[:1, :1].clone().requires_grad_() for part in parts(11)]
    write(*leaves, chunk=4).square().sum().backward()
    plain = [leaf.detach()[0, 0].requires_grad_() for leaf in leaves]
    recurrence(*plain, 4).square().sum().backward()
    for leaf, other in zip(leaves, plain, strict=True):
        torch.testing.assert_close(leaf.grad[0, 0], other.grad, rtol=0, atol=1e-5)


def recurrence(key_SK: Tensor, value_SK: Tensor, forget_S: Tensor, momentum_S: Tensor, step_S: Tensor, chunk: int) -> Tensor:
    """`token_by_token` with its gradient written out, so that it can be differentiated itself."""
    memory = surprise = before = torch.zeros(4, 4)
    for place in range(len(key_SK)):
        before = memory if place % chunk == 0 else before
        gradient = 2 * torch.outer(before @ key_SK[place] - value_SK[place], key_SK[place])
        eta = momentum_S[place].sigmoid()
        surprise = eta * surprise - step_S[place].sigmoid() * (1 - eta) / chunk * gradient
        memory = (1 - forget_S[place].sigmoid()) * memory + surprise
    return memory


def test_a_memory_tells_what_was_written_and_forgets_where_the_gate_says_so() -> None:
    key = torch.eye(4).repeat(40, 1)[None, None]
    value = torch.randn(4, 4, generator=torch.Generator().manual_seed(1)).repeat(40, 1)[None, None]
    gate = torch.full((1, 1, 160), 20.0)  # 1 after the sigmoid, and its negative 0
    recalled = write(key, value, -gate, -gate, gate * 0, chunk=1)
    torch.testing.assert_close(recalled[0, 0], value[0, 0, :4].T, rtol=0, atol=1e-3)
    last = write(key, value, gate, -gate, gate * 0, chunk=1)  # keeps the last step alone
    assert last[..., :3].abs().max() < 1e-6
    torch.testing.assert_close(last[0, 0, :, 3], value[0, 0, 3], rtol=0, atol=1e-5)


def test_steps_stay_bounded_however_many_supports_are_alike() -> None:
    key, value, *gates = parts(3000)
    memory = write(key[:, :, :1].expand_as(key), value, *(torch.full_like(gate, 3.0) for gate in gates))
    assert memory.abs().max() < value.abs().max() * 2


def test_padding_leaves_no_trace_in_a_block() -> None:
    block = MemoryBlock(16, 2, 24, chunk=4)
    token_BTE = torch.randn(3, 12, 16, generator=torch.Generator().manual_seed(2))
    hidden = torch.tensor([0.0] * 6 + [HIDDEN] * 3).expand(3, 1, 1, 9)
    there = [*range(6), *range(9, 12)]
    found = block(token_BTE, 9, hidden)[:, there]
    torch.testing.assert_close(found, block(token_BTE[:, there], 6), rtol=0, atol=1e-5)
    assert not torch.allclose(found, block(token_BTE, 9)[:, there], atol=1e-3)


def trained(**changes: object) -> Learner:
    return away(Learner(replace(SHAPE, **changes)))


@pytest.mark.parametrize("readout", READOUTS)
def test_queries_influence_neither_each_other_nor_the_memory(readout: str) -> None:
    learner = trained(readout=readout, label_codes="learnable")
    support_BSD, label_BS, query_BQD = episode(n_shot=7)
    changed = query_BQD.clone()
    changed[:, 3] = changed[:, 3].flip(-1)
    before, after = learner(support_BSD, label_BS, query_BQD, 5), learner(support_BSD, label_BS, changed, 5)
    others = [0, 1, 2, 4, 5, 6]
    torch.testing.assert_close(before[:, others], after[:, others], rtol=0, atol=1e-5)
    assert not torch.allclose(before[:, 3], after[:, 3], atol=1e-3)
    torch.testing.assert_close(before[:, :1], learner(support_BSD, label_BS, query_BQD[:, :1], 5), rtol=0, atol=1e-5)


def test_the_tokens_of_supports_are_the_same_whatever_is_asked() -> None:
    block = away(MemoryBlock(16, 2, 24))  # type: ignore[arg-type]
    token_BTE = torch.randn(2, 30, 16, generator=torch.Generator().manual_seed(1))
    other_BTE = torch.cat([token_BTE[:, :25], -token_BTE[:, 25:]], dim=1)
    torch.testing.assert_close(block(token_BTE, 25)[:, :25], block(other_BTE, 25)[:, :25], rtol=0, atol=1e-6)
    torch.testing.assert_close(block(token_BTE, 25)[:, :25], block(token_BTE[:, :25], 25), rtol=0, atol=1e-6)


def test_supports_matter_and_the_order_they_are_given_in_does_not() -> None:
    learner = trained()
    support_BSD, label_BS, query_BQD = episode(n_shot=7)
    order = torch.randperm(35, generator=torch.Generator().manual_seed(3))
    before = learner(support_BSD, label_BS, query_BQD, 5)
    assert torch.equal(before, learner(support_BSD[:, order], label_BS[:, order], query_BQD, 5))
    assert not torch.allclose(before, learner(support_BSD, (label_BS + 1) % 5, query_BQD, 5), atol=1e-3)


def test_padding_anywhere_changes_nothing() -> None:
    learner = trained()
    support_BSD, label_BS, query_BQD = episode(n_shot=7)
    padded_BSD = torch.cat([query_BQD[:, :2], support_BSD], dim=1)
    padded_label_BS = torch.cat([torch.tensor([[1, 4]] * 4), label_BS], dim=1)
    weight_BS = torch.tensor([[0.0] * 2 + [1.0] * 35] * 4)
    before = learner(support_BSD, label_BS, query_BQD, 5)
    torch.testing.assert_close(learner(padded_BSD, padded_label_BS, query_BQD, 5, weight_BS), before, rtol=0, atol=1e-5)
    assert not torch.allclose(learner(padded_BSD, padded_label_BS, query_BQD, 5), before, atol=1e-3)


def test_the_order_mixes_the_classes_and_knows_no_device_or_batch() -> None:
    support_BSD, label_BS, _ = episode(n_shot=40)
    label_BS = torch.arange(5).repeat_interleave(40).expand(4, -1)
    features, labels, _ = in_order(support_BSD, label_BS, None)
    for row in labels:
        assert row.tolist() != sorted(row.tolist())
        assert all((row[:100] == way).sum() > 8 for way in range(5))
    assert torch.equal(in_order(support_BSD[1:2], label_BS[1:2], None)[0], features[1:2])
    one = torch.ones(1, 4, 12)  # twins are told apart by their labels
    twins = torch.tensor([[3, 1, 0, 2]])
    assert torch.equal(in_order(one, twins, None)[1], in_order(one, twins.flip(1), None)[1])


def test_every_gate_learns() -> None:
    learner = trained().train()
    learner(*episode(n_shot=7), 5).square().sum().backward()
    for block in learner.blocks:
        assert all(gate.abs().max() > 0 for gate in block.gates.weight.grad.chunk(3))


def test_memories_work_with_more_ways_and_stay_finite_on_long_contexts() -> None:
    support_BSD, label_BS, query_BQD = episode(n_way=11, n_shot=60)
    scores_BQW = trained()(support_BSD, label_BS, query_BQD, 11)
    assert scores_BQW.shape == (4, 7, 11)
    assert scores_BQW.isfinite().all()


def test_the_setting_reaches_the_learner_and_attention_stays_the_default() -> None:
    memory = Learner(shape_of(Training(mixer="memory"), 12))
    assert all(isinstance(block, MemoryBlock) for block in memory.blocks)
    plain = Learner(shape_of(Training(), 12))
    assert not any(isinstance(block, MemoryBlock) for block in plain.blocks)
    assert {name for name in memory.state_dict() if "gates" in name} == memory.state_dict().keys() - plain.state_dict().keys()


@pytest.mark.parametrize("wrong", [{"mixer": "memory", "attention": "full"}, {"mixer": "titans"}])
def test_what_does_not_go_is_refused_in_a_line(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="mixer") as caught:
        validate(Training, wrong, "training")
    assert "\n" not in str(caught.value)


def test_a_saved_memory_learner_answers_the_same_and_is_no_attention(tmp_path: Path) -> None:
    learner, path = trained(), tmp_path / "learner.safetensors"
    save_learner(learner, path)
    support_BSD, label_BS, query_BQD = episode()
    found = load_learner(path, SHAPE)
    assert torch.equal(found(support_BSD, label_BS, query_BQD, 5), learner(support_BSD, label_BS, query_BQD, 5))
    with pytest.raises(ValueError, match=r"expected a learner of Shape.*mixer='attention'.*found.*mixer='memory'"):
        load_learner(path, replace(SHAPE, mixer="attention"))


def test_a_learner_saved_before_there_were_memories_has_attention(tmp_path: Path) -> None:
    plain, path = trained(mixer="attention"), tmp_path / "learner.safetensors"
    save_learner(plain, path)
    facts = asdict(plain.shape)
    del facts["mixer"]
    save_file(load_file(path), path, metadata={"shape": json.dumps(facts)})
    assert load_learner(path).shape == plain.shape


def test_a_training_cut_off_goes_on_to_the_same_weights_and_not_with_attention(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = MIXED.model_copy(update={"mixer": "memory"})
    whole = trained_in(tmp_path / "whole", settings=settings, steps=20)
    for mixer in ("memory", "attention"):
        with pytest.raises(Cut):
            trained_in(tmp_path / mixer, 12, settings, steps=20)
    assert torch.equal(weights(trained_in(tmp_path / "memory", settings=settings, steps=20)), weights(whole))
    assert "goes on after step 10" in capsys.readouterr().err
    trained_in(tmp_path / "attention", steps=20)
    assert "passed over, a checkpoint of another training (training.mixer" in capsys.readouterr().err
