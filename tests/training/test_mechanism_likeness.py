"""Which rule a learner is like: the comparison on episodes whose answers are known."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, one_hot

from training.baselines import class_mean, ridge
from training.collection import DomainTensors, unit_rows
from training.episodes import Episodes, evaluation_episodes
from training.learner import Learner
from training.mechanism.likeness import best_rate, compare, gradient_steps, likenesses, rules, scored, unmoved
from training.shape import Shape

SHAPE = Shape(dimensions=12, max_way=3, width=16, layers=2, heads=2, mlp=32, readout="ridge", label_codes="elmes")
ALL = ["class_mean", "gd_1", "gd_5", "gd_25", "ridge"]


def drawn() -> tuple[Tensor, Episodes]:
    """Episodes of three shots of a domain of clouds around class centres."""
    generator = torch.Generator().manual_seed(0)
    class_N = torch.arange(4).repeat_interleave(10)
    features_ND = unit_rows(torch.randn(4, 12, generator=generator)[class_N] + 0.7 * torch.randn(40, 12, generator=generator))
    domain = DomainTensors("clouds", features_ND, class_N, torch.arange(40), ("test",) * 40, ("a", "b", "c", "d"))
    return features_ND, evaluation_episodes(domain, 3, 3, 4, 25, 0)


def moved(seed: int = 0) -> Learner:
    """A learner whose transformer moves features."""
    learner = Learner(SHAPE).eval()
    with torch.no_grad():
        learner.head.weight.normal_(0.0, 0.05, generator=torch.Generator().manual_seed(seed))
    return learner


def given(features_ND: Tensor, episodes: Episodes) -> tuple[Tensor, Tensor, Tensor, int]:
    return features_ND[episodes.support_BS], episodes.support_label_BS, features_ND[episodes.query_BQ], episodes.n_way


def test_gradient_steps_are_automatic_differentiations() -> None:
    support_BSD, label_BS, query_BQD, n_way = given(*drawn())
    found = gradient_steps(support_BSD, label_BS, query_BQD, n_way, steps=4, rate=0.8)
    for number in range(3):
        x, query = (part[number] - support_BSD[number].mean(dim=0) for part in (support_BSD, query_BQD))
        target = one_hot(label_BS[number], n_way).float()
        target = target - target.mean(dim=0)
        largest = torch.linalg.matrix_norm(x, ord=2) ** 2
        weight = torch.zeros(12, n_way)
        for _ in range(4):
            weight = weight.detach().requires_grad_()
            (slope,) = torch.autograd.grad(0.5 * (x @ weight - target).square().sum(), weight)
            weight = weight - 0.8 / largest * slope
        torch.testing.assert_close(found[number], query @ weight, atol=1e-5, rtol=1e-4)


def test_many_steps_are_least_squares_and_one_step_points_as_class_means_do() -> None:
    features_ND, episodes = drawn()
    support_BSD, label_BS, query_BQD, n_way = given(features_ND, episodes)
    far = gradient_steps(support_BSD, label_BS, query_BQD, n_way, steps=20_000, rate=1.5)
    least = ridge(support_BSD, label_BS, query_BQD, n_way, strength=1e-6)
    torch.testing.assert_close(far, least - least.mean(dim=-1, keepdim=True), atol=2e-3, rtol=2e-3)

    def once(*words: object) -> Tensor:
        return gradient_steps(*words, steps=1, rate=1.0)  # type: ignore[arg-type]

    one, other = (scored(scorer, features_ND, episodes).sensitivity_BQWD.flatten(2) for scorer in (once, class_mean))
    assert float(cosine_similarity(one, other, dim=-1).min()) == pytest.approx(1, abs=1e-5)


def test_sensitivities_are_slopes_of_the_scores() -> None:
    features_ND, episodes = drawn()
    learner = moved()
    found = scored(learner, features_ND, episodes)
    support_BSD, label_BS, query_BQD, n_way = given(features_ND, episodes.part(0, 2))
    direction_D = torch.randn(12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        up, down = (learner(support_BSD, label_BS, query_BQD + by * direction_D, n_way) for by in (2e-3, -2e-3))
    slope_BQW = (up - down) / 4e-3
    told_BQW = found.sensitivity_BQWD[:2] @ direction_D
    torch.testing.assert_close(told_BQW, slope_BQW - slope_BQW.mean(-1, keepdim=True), atol=5e-3, rtol=5e-3)
    assert float(told_BQW.abs().mean()) > 0.1


def test_scores_are_wholly_like_themselves_at_any_scale_and_unlike_their_opposite() -> None:
    own_BQW = torch.randn(6, 7, 3, generator=torch.Generator().manual_seed(0))
    own_BQW = own_BQW - own_BQW.mean(-1, keepdim=True)
    same = compare(own_BQW, 7.0 * own_BQW)
    assert [float(same[name].min()) for name in ("same_label", "score_cosine")] == pytest.approx([1, 1])
    assert float(same["prediction_difference"].max()) < 1e-3
    against = compare(own_BQW, -own_BQW)
    assert float(against["score_cosine"].max()) == pytest.approx(-1)
    assert float(against["prediction_difference"].mean()) > 0.1


def test_the_best_rate_is_best() -> None:
    features_ND, episodes = drawn()
    target = one_hot(episodes.query_label_BQ, 3).float() - 1 / 3
    words = given(features_ND, episodes)
    rate = best_rate(features_ND, episodes, 5)

    def loss(at: float) -> float:
        return float((gradient_steps(*words, steps=5, rate=at) - target).square().mean())

    assert loss(rate) <= min(loss(rate * 0.9), loss(rate * 1.1))


def test_a_learner_without_steps_is_its_read_out_and_one_with_steps_is_not() -> None:
    features_ND, episodes = drawn()
    for learner, same in ((Learner(SHAPE).eval(), True), (moved(), False)):
        found = likenesses(learner, features_ND, episodes)
        assert list(found) == [*ALL, "readout"]
        assert all(measure.shape == (25,) for measure in found["ridge"].values())
        assert (float(found["readout"]["sensitivity_cosine"].min()) > 0.9999) == same
        assert (float(found["ridge"]["sensitivity_cosine"].min()) > 0.9999) == same


def test_a_read_out_that_moves_nothing_is_no_rule_and_the_learner_stays_as_it_is() -> None:
    features_ND, episodes = drawn()
    plain = Learner(Shape(12, 3, 16, 2, 2, 32, readout="code", label_codes="elmes"))
    assert unmoved(plain) is None
    assert list(rules(plain, features_ND, episodes)) == ALL
    learner = moved()
    before = learner.head.weight.clone()
    assert unmoved(learner) is not None
    assert torch.equal(learner.head.weight, before)
