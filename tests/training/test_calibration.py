"""Calibration: the temperature that makes scores probabilities, and the error that is left."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_train import SETTINGS, domain
from torch.nn.functional import cross_entropy

from training.calibration import EPISODES, Calibration, calibrate, calibration_error, fit_temperature, nearest
from training.learner import Learner
from training.shape import shape_of

LEARNER = Learner(shape_of(SETTINGS, 16))


@pytest.mark.parametrize("hidden", [0.2, 1.0, 7.0])
def test_the_temperature_that_labels_were_drawn_at_is_found(hidden: float) -> None:
    generator = torch.Generator().manual_seed(0)
    scores_NW = 3 * torch.randn(40_000, 4, generator=generator)
    label_N = torch.softmax(scores_NW, dim=-1).multinomial(1, generator=generator).squeeze(1)
    assert fit_temperature(scores_NW * hidden, label_N) == pytest.approx(hidden, rel=0.03)
    assert calibration_error(torch.softmax(scores_NW, dim=-1), label_N) < 0.015


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 20.0))
def test_no_temperature_near_by_is_better(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores_NW = scale * torch.randn(50, 3, generator=generator).double()
    label_N = torch.randint(3, (50,), generator=generator)
    found = fit_temperature(scores_NW, label_N)
    assert 0.000999 <= found <= 1001.0
    least = cross_entropy(scores_NW / found, label_N)
    assert all(least <= cross_entropy(scores_NW / (found * by), label_N) + 1e-9 for by in (0.8, 1.25) if found < 790)


def test_scores_that_are_always_right_end_at_the_coldest() -> None:
    assert fit_temperature(torch.eye(3), torch.arange(3)) == pytest.approx(0.001)


def test_the_error_is_what_its_definition_says() -> None:
    share_NW = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    # bin of .9: half right; bin of .6: all right
    assert calibration_error(share_NW, torch.tensor([0, 1, 0, 1])) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert calibration_error(torch.eye(2), torch.tensor([0, 1])) == 0.0
    assert calibration_error(torch.eye(2), torch.tensor([1, 0])) == 1.0


def test_a_learner_is_calibrated_at_the_fewest_and_the_most_shots() -> None:
    asked = SETTINGS.model_copy(update={"max_shot": 1})  # of each class 3 images to validate: 1 support, 2 queries
    (found,) = calibrate(LEARNER, [domain("a", 0), domain("b", 1)], asked)
    assert (found.n_way, found.n_shot, found.episodes) == (3, 1, EPISODES)
    assert 0.0 <= found.error <= 1.0
    assert calibrate(LEARNER, [domain("a", 0), domain("b", 1)], asked) == [found]
    assert [each.n_shot for each in calibrate(LEARNER, [domain("a", 0)], SETTINGS)] == [1, 2]


def test_without_validation_images_there_is_none() -> None:
    assert calibrate(LEARNER, [domain("a", 0).in_splits("train")], SETTINGS) == []


def test_the_nearest_number_of_shots_counts() -> None:
    one, five = (Calibration(5, n_shot, 1.0, 60, 0.1, 0.05) for n_shot in (1, 5))
    assert [nearest([one, five], n_shot) for n_shot in (0.5, 2.0, 3.0, 40.0)] == [one, one, five, five]
    assert nearest([], 3.0) is None
