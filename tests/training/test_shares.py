"""Which domain an episode is of: shares are those of the formula, draws follow the shares."""

import json
from pathlib import Path

import pytest
import torch
from made_features import domain
from made_project import make_project
from test_train import SETTINGS, weights
from test_train import domain as trainable

from pipelines.settings import validate
from pipelines.training_settings import Training
from training.learner import load_learner, save_learner
from training.regimes import domain_shares, regime_of
from training.report import write_report
from training.sampler import EpisodeSampler
from training.shares import named_shares
from training.train import train

THREE = [domain("small", [6] * 4), domain("middle", [20] * 4), domain("large", [80] * 4)]


IMAGES = [24, 80, 320]


def settings(weights: str, temperature: float = 2.0) -> Training:
    asked = {"n_way": 3, "max_shot": 2, "n_query": 2, "batch": 16, "domain_weights": weights, "temperature": temperature}
    return Training(**asked)  # type: ignore[arg-type]


def drawn(asked: Training, steps: int = 300) -> torch.Tensor:
    """Which of the three each episode is of, [steps, batch]."""
    regime = regime_of(THREE, asked, 5, steps)
    sampler = EpisodeSampler(regime.pools, asked, regime.schedule, 5)
    ends = torch.tensor([24, 104, 424])
    return torch.stack(
        [torch.bucketize(sampler(step).support_BS[:, 0].contiguous(), ends, right=True) for step in range(steps)]
    )


@pytest.mark.parametrize(
    ("weights", "temperature", "expected"),
    [
        ("uniform", 2.0, [1 / 3, 1 / 3, 1 / 3]),
        ("proportional", 2.0, [24 / 424, 80 / 424, 320 / 424]),
        ("temperature", 1.0, [24 / 424, 80 / 424, 320 / 424]),
        ("temperature", 2.0, [0.154696, 0.282436, 0.562869]),
        ("temperature", 1000.0, [0.333, 0.333, 0.334]),
    ],
)
def test_shares_follow_the_formula_and_the_draws_follow_the_shares(
    weights: str, temperature: float, expected: list[float]
) -> None:
    asked = settings(weights, temperature)
    shares = domain_shares(IMAGES, asked)
    assert shares == pytest.approx(expected, abs=2e-3)
    assert sum(shares) == pytest.approx(1)
    found = torch.bincount(drawn(asked).flatten(), minlength=3) / 4800
    assert found.tolist() == pytest.approx(shares, abs=0.03)


def test_only_train_images_count() -> None:
    """Of each class 7 of 10 images are train; a domain of twice the classes has twice the share."""
    pair = [trainable("a", 0), trainable("b", 1, classes=12)]
    assert named_shares(pair, settings("proportional")) == {"a": round(7 / 21, 6), "b": round(14 / 21, 6)}
    assert named_shares(pair, settings("uniform")) == {"a": 0.5, "b": 0.5}


def test_training_obeys_the_weights() -> None:
    pair = [trainable("a", 0), trainable("b", 1, classes=12)]
    of = {
        kind: weights(train(pair, SETTINGS.model_copy(update={"domain_weights": kind}), steps=12, seed=0))
        for kind in ("uniform", "proportional", "temperature")
    }
    assert not torch.equal(of["uniform"], of["proportional"])
    assert len({round(float(found.abs().sum()), 9) for found in of.values()}) == 3


def test_the_shares_stand_in_the_metrics(tmp_path: Path) -> None:
    layout = make_project(tmp_path)
    learner = load_learner(layout.model) if layout.model.exists() else train([trainable("a", 0)], SETTINGS, steps=1, seed=0)
    save_learner(learner, layout.model, {"domain_weights": "proportional", "shares": {"glyphs": 0.75, "shapes": 0.25}})
    write_report(layout)
    metrics = json.loads((layout.reports / "metrics.json").read_text())
    assert metrics["training"] == {"domain_weights": "proportional", "shares": {"glyphs": 0.75, "shapes": 0.25}}


def test_unknown_weights_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"params.yaml: domain_weights: .*uniform.*found 'size'"):
        validate(Training, {"domain_weights": "size"}, "params.yaml")
    with pytest.raises(ValueError, match=r"params.yaml: temperature: .*range 1.0 to 1000.0"):
        validate(Training, {"temperature": 0.0}, "params.yaml")
