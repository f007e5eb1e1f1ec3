"""Pixels on their way to the learner: bytes until a backbone reads them, each image once, the same for any number of ranks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_features import pictured

from pipelines.training_settings import Training
from training.backbone import PIXELS, Backbone
from training.batch import Batch
from training.draws import draws
from training.episodes import generator_for
from training.learner import Learner
from training.pseudo import mix
from training.regimes import baseline_accuracy, domain_order
from training.sampler import CPU
from training.seen import features_of, read
from training.shape import shape_of
from training.store import FeatureStore

SETTINGS = Training(n_way=3, max_shot=2, n_query=2, batch=4, synthetic_share=0.0, readout="ridge")
DOMAINS = [pictured("a", 0), pictured("b", 1, views=4)]
VIEWED = [pictured("a", 2, views=4), DOMAINS[1]]


@pytest.fixture(scope="module")
def learner() -> Learner:
    return Learner(shape_of(SETTINGS, 256, pixels=True), generator_for(1))


@pytest.mark.parametrize("resident", [True, False])
def test_a_store_keeps_pixels_as_bytes(resident: bool) -> None:
    store = FeatureStore([domain.features_ND for domain in DOMAINS], CPU, resident=resident)
    rows = torch.tensor([[0, 40], [71, 5]])
    found = store.gather(rows)
    assert found.dtype == torch.uint8
    assert found.shape == (2, 2, PIXELS)
    assert torch.equal(found.flatten(0, 1), torch.cat([domain.features_ND for domain in DOMAINS])[rows.flatten()])


@settings(max_examples=10)
@given(
    seed=st.integers(0, 10**6),
    step=st.integers(0, 10**6),
    ranks=st.sampled_from([2, 4]),
    regime=st.sampled_from(["mixture", "merged", "pseudo"]),
    shots=st.sampled_from(["equal", "varied"]),
    share=st.sampled_from([0.0, 0.5]),
)
def test_the_parts_of_all_ranks_are_the_batch_of_one(
    seed: int, step: int, ranks: int, regime: str, shots: str, share: float
) -> None:
    asked = SETTINGS.model_copy(update={"regime": regime, "shots": shots, "synthetic_share": share})
    whole = draws(VIEWED, asked, seed, steps=9, device=CPU)(step)
    parts = [draws(VIEWED, asked, seed, steps=9, device=CPU, rank=rank, ranks=ranks)(step) for rank in range(ranks)]
    for name in ("support_BSD", "support_label_BS", "query_BQD", "query_label_BQ", "seed_B", "support_row_BS", "query_row_BQ"):
        found = [getattr(part, name) for part in parts]
        expected = getattr(whole, name)
        assert (expected is None) == (found[0] is None)
        if expected is not None:  # pixels and whole numbers are equal, synthetic features to the last digits
            torch.testing.assert_close(torch.cat(found), expected)
    assert whole.support_BSD.dtype in (torch.uint8, torch.float32)
    assert whole.turn is None or whole.turn.matrix_DD.shape == (256, 256)  # features are turned, not pixels
    assert whole.support_BSD.shape[-1] == (PIXELS if whole.support_BSD.dtype == torch.uint8 else 256)


def test_an_image_is_read_once_and_gradients_are_those_of_reading_each_place(
    learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = draws(DOMAINS[:1], SETTINGS, 0, steps=1, device=CPU)(0)
    places = batch.support_row_BS.numel() + batch.query_row_BQ.numel()
    counted: list[int] = []
    forward = Backbone.forward
    monkeypatch.setattr(Backbone, "forward", lambda self, rows: counted.append(len(rows)) or forward(self, rows))

    def gradient(given: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        learner.zero_grad()
        seen = read(given, learner)
        features_BTD = torch.cat([seen.support_BSD, seen.query_BQD], dim=1)
        (features_BTD[:, :-1] * features_BTD[:, 1:].detach()).sum().backward()
        return features_BTD.detach(), learner.backbone.head.weight.grad

    features_BTD, found = gradient(batch)
    each = Batch(batch.support_BSD, batch.support_label_BS, batch.query_BQD, batch.query_label_BQ, batch.weight_BQ, batch.n_way)
    each_BTD, expected = gradient(each)
    rows = torch.cat([batch.support_row_BS, batch.query_row_BQ], dim=1)
    assert counted == [len(rows.unique()), places]
    assert counted[0] < places
    torch.testing.assert_close(features_BTD, each_BTD)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)
    pixels_BTP = torch.cat([batch.support_BSD, batch.query_BQD], dim=1)
    assert torch.equal(pixels_BTP, DOMAINS[0].features_ND[rows])


def test_synthetic_tasks_pass_the_backbone_by(learner: Learner) -> None:
    batch = draws(DOMAINS, SETTINGS.model_copy(update={"synthetic_share": 1.0}), 0, steps=1, device=CPU)(0)
    assert read(batch, learner) is batch
    assert batch.support_BSD.shape[-1] == learner.shape.dimensions


def test_features_of_a_domain_are_those_of_its_images_alone(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_NP = DOMAINS[0].features_ND
    monkeypatch.setattr("training.backbone.CHUNK", 7)
    found = features_of(learner, rows_NP)
    assert not found.requires_grad
    torch.testing.assert_close(found[11], learner.backbone(rows_NP[11]))
    assert features_of(learner, rows_NP[:0]).shape == (0, 256)
    features_ND = torch.randn(3, 8)
    assert features_of(Learner(shape_of(SETTINGS, 8)), features_ND) is features_ND


def test_a_backbone_leaves_the_other_weights_as_they_were_drawn(learner: Learner) -> None:
    plain = Learner(shape_of(SETTINGS, 256), generator_for(1)).state_dict()
    found = learner.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in plain.items())
    assert {name.split(".")[0] for name in found.keys() - plain.keys()} == {"backbone"}


def test_pixels_are_mixed_as_pictures() -> None:
    image, other = torch.tensor([[[0, 100, 255]]], dtype=torch.uint8), torch.tensor([[[200, 101, 255]]], dtype=torch.uint8)
    mixed = mix(image, other, torch.tensor([[[0.25]]], dtype=torch.float64))
    assert mixed.dtype == torch.uint8
    assert mixed.tolist() == [[[50, 100, 255]]]


def test_difficulty_of_pixels_is_that_of_ridge_on_them() -> None:
    easy, hard = pictured("easy", 3), pictured("hard", 4)
    hard.features_ND.copy_(torch.randint(0, 256, hard.features_ND.shape, generator=torch.Generator().manual_seed(0)))
    asked = SETTINGS.model_copy(update={"regime": "sequence", "order": "hard_to_easy"})
    assert baseline_accuracy(hard, asked, 0) < 0.5 < baseline_accuracy(easy, asked, 0)
    assert domain_order([easy, hard], asked, 0) == ["hard", "easy"]
