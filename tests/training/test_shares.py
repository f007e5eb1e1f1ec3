"""Which domain an episode is of: uniform draws are what they were, other shares are those of the formula."""

import json
from pathlib import Path

import pytest
import torch
from made_project import make_project
from test_episodes import domain
from test_train import SETTINGS, weights
from test_train import domain as trainable

from pipelines.settings import validate
from pipelines.training_settings import Training
from training.episodes import EpisodeSampler, generator_for
from training.learner import load_learner, save_learner
from training.report import write_report
from training.shares import domain_shares, named_shares
from training.train import train

THREE = [domain("small", [6] * 4), domain("middle", [20] * 4), domain("large", [80] * 4)]


def settings(weights: str, temperature: float = 2.0) -> Training:
    return Training(domain_weights=weights, temperature=temperature)  # type: ignore[arg-type]


def drawn(shares: list[float] | None, steps: int = 300) -> torch.Tensor:
    """Which of the three each episode is of, [steps, batch]."""
    sampler = EpisodeSampler(THREE, 3, 1, 2, 2, batch=16, seed=5, shares=shares)
    ends = torch.tensor([24, 104, 424])
    return torch.stack(
        [torch.bucketize(sampler(step).support_BS[:, 0].contiguous(), ends, right=True) for step in range(steps)]
    )


def test_uniform_draws_are_those_of_before_there_were_shares() -> None:
    """Written down once more: the number of shots, then a domain for each episode, from the step's own generator."""
    assert domain_shares(THREE, settings("uniform")) is None
    found = drawn(None, steps=20)
    for step in range(20):
        generator = generator_for(5, step)
        torch.randint(2, (1,), generator=generator)
        assert torch.equal(found[step], torch.randint(3, (16,), generator=generator))


@pytest.mark.parametrize(
    ("weights", "temperature", "expected"),
    [
        ("proportional", 2.0, [24 / 424, 80 / 424, 320 / 424]),
        ("temperature", 1.0, [24 / 424, 80 / 424, 320 / 424]),
        ("temperature", 2.0, [0.154696, 0.282436, 0.562869]),
        ("temperature", 1000.0, [0.333, 0.333, 0.334]),
    ],
)
def test_shares_follow_the_formula_and_the_draws_follow_the_shares(
    weights: str, temperature: float, expected: list[float]
) -> None:
    shares = domain_shares(THREE, settings(weights, temperature))
    assert shares == pytest.approx(expected, abs=2e-3)
    assert sum(shares) == pytest.approx(1)
    found = torch.bincount(drawn(shares).flatten(), minlength=3) / 4800
    assert found.tolist() == pytest.approx(shares, abs=0.03)


def test_only_train_images_count() -> None:
    """Of each class 7 of 10 images are train; a domain of twice the classes has twice the share."""
    pair = [trainable("a", 0), trainable("b", 1, classes=12)]
    assert named_shares(pair, settings("proportional")) == {"a": round(7 / 21, 6), "b": round(14 / 21, 6)}
    assert named_shares(pair, settings("uniform")) == {"a": 0.5, "b": 0.5}


def test_training_obeys_the_weights() -> None:
    pair = [trainable("a", 0), trainable("b", 1, classes=12)]
    of = {
        kind: weights(train(pair, SETTINGS.model_copy(update={"domain_weights": kind}), steps=4, seed=0))
        for kind in ("uniform", "proportional", "temperature")
    }
    assert not torch.equal(of["uniform"], of["proportional"])
    assert not torch.equal(of["temperature"], of["proportional"])


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
