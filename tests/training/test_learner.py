"""The learner: nothing leaks between queries, it starts at its baseline, its checkpoints are safe."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipelines.training_settings import Attention, LabelCodes, Readout
from training.baselines import class_mean, ridge
from training.batch import Turn
from training.learner import TEMPERATURE, Learner, load_learner, save_learner
from training.shape import Shape
from training.synthetic import rotation

SHAPE = Shape(dimensions=12, max_way=5, width=16, layers=2, heads=2, mlp=32, readout="linear")
READOUTS: list[Readout] = ["linear", "code", "class_mean", "ridge", "parts"]
ATTENTIONS: list[Attention] = ["inline", "full"]


def shape(readout: Readout, attention: Attention = "inline", label_codes: LabelCodes = "learnable") -> Shape:
    return replace(SHAPE, readout=readout, attention=attention, label_codes=label_codes)


def episode(n_shot: int = 3, queries: int = 7, seed: int = 0, n_way: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    unit = torch.nn.functional.normalize
    support_BSD = unit(torch.randn(4, n_way * n_shot, 12, generator=generator), dim=-1)
    label_BS = torch.stack([torch.randperm(n_way * n_shot, generator=generator) % n_way for _ in range(4)])
    return support_BSD, label_BS, unit(torch.randn(4, queries, 12, generator=generator), dim=-1)


def away(learner: Learner, seed: int = 0) -> Learner:
    """The learner with every weight away from its start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return learner.eval()


def trained(readout: Readout, attention: Attention = "inline", label_codes: LabelCodes = "learnable") -> Learner:
    return away(Learner(shape(readout, attention, label_codes)))


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("readout", READOUTS)
def test_a_query_does_not_see_another_query(readout: Readout, attention: Attention) -> None:
    learner = trained(readout, attention)
    support_BSD, label_BS, query_BQD = episode()
    changed = query_BQD.clone()
    changed[:, 3] = changed[:, 3].flip(-1)
    before, after = learner(support_BSD, label_BS, query_BQD, 5), learner(support_BSD, label_BS, changed, 5)
    others = [0, 1, 2, 4, 5, 6]
    torch.testing.assert_close(before[:, others], after[:, others], rtol=0, atol=1e-5)
    assert not torch.allclose(before[:, 3], after[:, 3], atol=1e-3)
    alone = learner(support_BSD, label_BS, query_BQD[:, :1], 5)
    torch.testing.assert_close(before[:, :1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("readout", READOUTS)
def test_padding_changes_nothing(readout: Readout, attention: Attention) -> None:
    learner = trained(readout, attention)
    support_BSD, label_BS, query_BQD = episode()
    padded_BSD = torch.cat([support_BSD, query_BQD[:, :2]], dim=1)
    padded_label_BS = torch.cat([label_BS, torch.tensor([[1, 4]] * 4)], dim=1)
    weight_BS = torch.tensor([[1.0] * 15 + [0.0] * 2] * 4)
    before = learner(support_BSD, label_BS, query_BQD, 5)
    torch.testing.assert_close(learner(padded_BSD, padded_label_BS, query_BQD, 5, weight_BS), before, rtol=0, atol=1e-4)
    assert not torch.allclose(learner(padded_BSD, padded_label_BS, query_BQD, 5), before, atol=1e-3)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("label_codes", ["elmes", "random"])
@pytest.mark.parametrize("readout", ["code", "class_mean", "ridge", "parts"])
def test_more_ways_than_trained_on(readout: Readout, label_codes: LabelCodes, attention: Attention) -> None:
    learner = trained(readout, attention, label_codes)
    support_BSD, label_BS, query_BQD = episode(n_way=11)
    scores_BQW = learner(support_BSD, label_BS, query_BQD, 11)
    assert scores_BQW.shape == (4, 7, 11)
    again = learner(support_BSD, label_BS, query_BQD, 11)
    assert torch.equal(scores_BQW, again)  # outside of training the codes are the same ones
    seeded = learner(support_BSD, label_BS, query_BQD, 11, seed_B=torch.arange(4))
    assert not torch.allclose(seeded, again, atol=1e-4)
    torch.testing.assert_close(
        learner(support_BSD[2:], label_BS[2:], query_BQD[2:], 11, seed_B=torch.tensor([2, 3])), seeded[2:], rtol=0, atol=1e-5
    )


def test_learnable_codes_are_for_as_many_ways_as_trained_on() -> None:
    support_BSD, label_BS, query_BQD = episode(n_way=6)
    for readout in READOUTS:
        with pytest.raises(ValueError, match="learnable label codes are for 5 ways, found 6-way episodes; train with"):
            Learner(shape(readout))(support_BSD, label_BS, query_BQD, 6)
    support_BSD, label_BS, query_BQD = episode(n_way=17)
    with pytest.raises(ValueError, match="random label codes are for 16 ways, found 17-way episodes; take a larger size"):
        Learner(shape("ridge", label_codes="random"))(support_BSD, label_BS, query_BQD, 17)


@pytest.mark.parametrize("readout", READOUTS)
def test_full_and_inline_differ_by_what_supports_see_alone(readout: Readout) -> None:
    inline, full = trained(readout), trained(readout, "full")
    assert not torch.allclose(inline(*episode(), 5), full(*episode(), 5), atol=1e-4)
    for learner in (inline, full):
        learner.blocks = torch.nn.ModuleList()  # where nobody sees anybody, both are the same
    torch.testing.assert_close(inline(*episode(), 5), full(*episode(), 5), rtol=0, atol=1e-5)


@pytest.mark.parametrize("readout", READOUTS)
def test_supports_matter_and_their_order_does_not(readout: Readout) -> None:
    learner = trained(readout)
    support_BSD, label_BS, query_BQD = episode()
    order = torch.randperm(15, generator=torch.Generator().manual_seed(3))
    before = learner(support_BSD, label_BS, query_BQD, 5)
    torch.testing.assert_close(before, learner(support_BSD[:, order], label_BS[:, order], query_BQD, 5), rtol=0, atol=1e-4)
    assert not torch.allclose(before, learner(support_BSD, (label_BS + 1) % 5, query_BQD, 5), atol=1e-3)


@pytest.mark.parametrize(("readout", "baseline"), [("class_mean", class_mean), ("ridge", ridge)])
@pytest.mark.parametrize("n_shot", [1, 4])
def test_an_untrained_learner_is_its_baseline(readout: Readout, baseline: Callable[..., Tensor], n_shot: int) -> None:
    support_BSD, label_BS, query_BQD = episode(n_shot)
    scores = Learner(shape(readout))(support_BSD, label_BS, query_BQD, 5)
    torch.testing.assert_close(scores, TEMPERATURE * baseline(support_BSD, label_BS, query_BQD, 5))


@pytest.mark.parametrize("readout", ["class_mean", "ridge"])
def test_a_turn_is_undone_and_only_the_transformer_sees_it(readout: Readout) -> None:
    generator = torch.Generator().manual_seed(5)
    sign_B1D = torch.randint(2, (4, 1, 12), generator=generator).float() * 2 - 1
    turn = Turn(sign_B1D, rotation(12, generator))
    _, _, query_BQD = episode()
    torch.testing.assert_close(turn.undo(turn.apply(query_BQD)), query_BQD)
    untrained = Learner(shape(readout))
    torch.testing.assert_close(untrained(*episode(), 5, turn=turn), untrained(*episode(), 5))
    assert not torch.allclose(trained(readout)(*episode(), 5, turn=turn), trained(readout)(*episode(), 5), atol=1e-3)
    only_metric = Learner(shape(readout))
    with torch.no_grad():
        only_metric.metric.normal_(generator=generator)
    torch.testing.assert_close(only_metric(*episode(), 5, turn=turn), only_metric(*episode(), 5))
    assert not torch.allclose(only_metric(*episode(), 5), untrained(*episode(), 5), atol=1e-3)


def test_a_linear_head_answers_with_as_many_ways_as_asked() -> None:
    support_BSD, label_BS, query_BQD = episode()
    assert Learner(SHAPE)(support_BSD, label_BS % 3, query_BQD, 3).shape == (4, 7, 3)


def test_weights_come_from_the_generator_alone() -> None:
    first = Learner(SHAPE, torch.Generator().manual_seed(1)).state_dict()
    torch.manual_seed(99)
    again = Learner(SHAPE, torch.Generator().manual_seed(1)).state_dict()
    other = Learner(SHAPE, torch.Generator().manual_seed(2)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["project.weight"], other["project.weight"])
    with pytest.raises(ValueError, match="multiple of the heads"):
        replace(SHAPE, heads=3)


def test_a_saved_learner_answers_the_same(tmp_path: Path) -> None:
    learner = trained("ridge")
    save_learner(learner, tmp_path / "a" / "learner.safetensors", {"steps": 3})
    found = load_learner(tmp_path / "a" / "learner.safetensors", shape("ridge"))
    assert found.shape == learner.shape
    torch.testing.assert_close(found(*episode(), 5), learner(*episode(), 5), rtol=0, atol=0)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["learner.safetensors"]


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "learner.safetensors"
    save_learner(Learner(SHAPE), path)
    with pytest.raises(ValueError, match="expected a learner of Shape"):
        load_learner(path, shape("ridge"))
    tensors = load_file(path)
    tensors["project.weight"] = torch.zeros(3, 3)
    save_file(tensors, path, metadata={"shape": json.dumps(vars(SHAPE))})
    with pytest.raises(ValueError, match=r"project.weight: expected shape \(16, 12\), found \(3, 3\)"):
        load_learner(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"x" * 100])
def test_what_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "learner.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected a learner as safetensors") as caught:
        load_learner(path)
    assert "\n" not in str(caught.value)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="shape in the metadata"):
        load_learner(path)
    with pytest.raises(ValueError, match="expected a learner"):
        load_learner(tmp_path / "absent.safetensors")
