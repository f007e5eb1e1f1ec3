"""The backbone: shapes, unit features, gradients, and nothing that leaks from one image to another."""

import pytest
import torch

from training.backbone import CHUNK, PIXELS, Backbone


def pixels(*leading: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*leading, PIXELS), dtype=torch.uint8, generator=generator)


def test_rows_and_images_give_the_same_unit_features() -> None:
    backbone = Backbone(torch.Generator().manual_seed(1))
    rows = pixels(2, 5)
    found = backbone(rows)
    assert found.shape == (2, 5, 256)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, 5))
    torch.testing.assert_close(backbone(rows.view(2, 5, 3, 48, 48)), found)
    torch.testing.assert_close(backbone(rows[0, 3]), found[0, 3])
    assert Backbone(dimensions=32)(rows).shape == (2, 5, 32)


def test_weights_depend_on_the_generator_alone() -> None:
    torch.manual_seed(5)
    first = Backbone(torch.Generator().manual_seed(1)).state_dict()
    torch.manual_seed(6)
    again = Backbone(torch.Generator().manual_seed(1)).state_dict()
    other = Backbone(torch.Generator().manual_seed(2)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_an_image_is_seen_alone_in_training_too() -> None:
    backbone = Backbone().train()
    rows = pixels(6)
    changed = rows.clone()
    changed[3] = 255 - changed[3]
    with torch.no_grad():
        before, after = backbone(rows), backbone(changed)
    torch.testing.assert_close(before[:3], after[:3])
    assert not torch.allclose(before[3], after[3])


def test_gradients_reach_every_weight() -> None:
    backbone = Backbone()
    found = backbone(pixels(4))
    (found[0] @ found[1] - found[2] @ found[3]).backward()
    lacking = [name for name, weight in backbone.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert lacking == []


def test_colours_can_be_learned_in_a_few_steps() -> None:
    backbone, head = Backbone(), torch.nn.Linear(256, 2)
    torch.nn.init.zeros_(head.weight)
    dark = pixels(8) // 2
    both = torch.cat([dark, dark + 128])
    labels = torch.arange(2).repeat_interleave(8)
    optimiser = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(20 * head(backbone(both)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (head(backbone(both)).argmax(1) == labels).all()


def test_many_images_without_gradients_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHUNK > 7
    backbone, rows = Backbone(), pixels(7)
    whole = backbone(rows).detach()
    monkeypatch.setattr("training.backbone.CHUNK", 3)
    with torch.no_grad():
        torch.testing.assert_close(backbone(rows), whole)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(2, 7, dtype=torch.uint8), torch.zeros(2, PIXELS), torch.zeros((), dtype=torch.uint8)]
)
def test_other_rows_are_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"backbone: expected uint8 pixels \[..., 6912\]"):
        Backbone()(wrong)
