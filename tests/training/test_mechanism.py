"""Attention and gradient descent on regression in context: the mathematics, exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.mechanism_settings import Mechanism
from training.mechanism.agreement import agreement, look
from training.mechanism.attention import SelfAttention, Shape
from training.mechanism.constructed import constructed
from training.mechanism.descent import Rates, best_single_rate, descent, plain, search
from training.mechanism.fit import fit
from training.mechanism.tasks import EVALUATION, SEARCH, Form, Tasks, draw_tasks, half_mse
from training.mechanism.weights import between, learned_rates, likeness, products, rebuilt, theory, written_to_y

FORM = Form(4, 6)
SMALL = Mechanism(dimensions=3, context=6, steps=800, batch=256, evaluation_tasks=1000, layers=[1], untied_layers=[])
forms = st.builds(Form, st.integers(1, 8), st.integers(1, 12), st.floats(0.1, 2.0), st.floats(0.1, 3.0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_autograd(tasks: Tasks, eta: float, steps: int, start_D: torch.Tensor) -> torch.Tensor:
    """Gradient descent on 1/2N sum (w x - y)^2 as automatic differentiation has it, task by task."""
    weight_BD = start_D.repeat(len(tasks), 1)
    for _ in range(steps):
        weight_BD = weight_BD.detach().requires_grad_()
        error_BN = (tasks.x_BND @ weight_BD.unsqueeze(-1)).squeeze(-1) - tasks.y_BN
        (slope_BD,) = torch.autograd.grad(0.5 * error_BN.square().mean(dim=1).sum(), weight_BD)
        weight_BD = weight_BD - eta * slope_BD
    return (weight_BD * tasks.query_BD).sum(dim=1)


@given(forms, st.integers(0, 10**6), st.floats(0.01, 2.0), st.integers(1, 4))
def test_hand_built_layers_are_gradient_steps_from_any_start(form: Form, seed: int, eta: float, steps: int) -> None:
    tasks = draw_tasks(form, 20, seed, EVALUATION)
    for start_D in (torch.zeros(form.dimensions), torch.randn(form.dimensions, generator=generator(seed))):
        exact_B = by_autograd(tasks.double(), eta, steps, start_D.double()).float()
        torch.testing.assert_close(constructed(form, plain(eta, steps), start_D)(tasks, start_D), exact_B, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(descent(plain(eta, steps), start_D)(tasks), exact_B, atol=1e-5, rtol=1e-5)


def test_hand_built_layers_are_steps_of_gd_plus_plus_as_the_paper_writes_them() -> None:
    rates = Rates((0.5, 0.9, 1.3), (0.3, 0.2, 0.0))
    tasks = draw_tasks(FORM, 30, 1, EVALUATION)
    told = constructed(FORM, rates)(tasks).detach()
    for number in range(len(tasks)):
        x, query = tasks.x_BND[number].double().numpy(), tasks.query_BD[number].double().numpy()
        y, answer = tasks.y_BN[number].double().numpy(), 0.0
        for eta, gamma in zip(rates.eta, rates.gamma, strict=True):
            change = eta / len(x) * sum(y[i] * x[i] for i in range(len(x)))
            answer, y = answer + change @ query, y - x @ change
            flatten = np.eye(FORM.dimensions) - gamma / len(x) * x.T @ x
            x, query = x @ flatten, query @ flatten
        assert float(told[number]) == pytest.approx(answer, abs=1e-5)
        assert float(descent(rates)(tasks)[number]) == pytest.approx(answer, abs=1e-5)


@given(forms, st.integers(0, 10**6), st.integers(0, 10**6))
def test_tasks_depend_on_seed_purpose_and_step_alone(form: Form, seed: int, step: int) -> None:
    tasks = draw_tasks(form, 5, seed, EVALUATION, step)
    again = draw_tasks(form, 5, seed, EVALUATION, step)
    others = [draw_tasks(form, 5, *other) for other in ((seed + 1, EVALUATION, step), (seed, SEARCH, step))]
    others.append(draw_tasks(form, 5, seed, EVALUATION, step + 1))
    assert torch.equal(tasks.x_BND, again.x_BND)
    assert torch.equal(tasks.target_B, again.target_B)
    assert not any(torch.equal(tasks.x_BND, other.x_BND) for other in others)
    assert float(tasks.x_BND.abs().max()) <= form.input_range / 2
    stretched = draw_tasks(replace(form, scale=2 * form.scale), 5, seed, EVALUATION, step)
    torch.testing.assert_close(stretched.y_BN, 2 * tasks.y_BN)


def test_a_context_of_enough_pairs_says_the_target() -> None:
    tasks = draw_tasks(FORM, 50, 0, EVALUATION).double()
    weight_BD1 = torch.linalg.lstsq(tasks.x_BND, tasks.y_BN.unsqueeze(-1)).solution
    torch.testing.assert_close((tasks.query_BD.unsqueeze(1) @ weight_BD1).flatten(), tasks.target_B, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_no_task_sees_another_nor_its_own_target_and_pairs_have_no_order(kind: str) -> None:
    model = SelfAttention(Shape(5, 3, heads=2, tied=False, kind=kind), generator())  # type: ignore[arg-type]
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(20 if kind == "linear" else 1)
    tasks = draw_tasks(FORM, 8, 0, EVALUATION)
    told = model(tasks).detach()
    assert torch.equal(model(replace(tasks, target_B=tasks.target_B + 1)), told)
    other = draw_tasks(FORM, 8, 1, EVALUATION)
    mixed = Tasks(*(torch.cat([one[:4], two[4:]]) for one, two in zip(vars(tasks).values(), vars(other).values(), strict=True)))
    torch.testing.assert_close(model(mixed)[:4], told[:4])
    turned = replace(tasks, x_BND=tasks.x_BND.flip(1), y_BN=tasks.y_BN.flip(1))
    torch.testing.assert_close(model(turned), told, atol=1e-6, rtol=1e-5)
    assert (model(replace(tasks, y_BN=tasks.y_BN.roll(1, 1))) - told).abs().max() > 1e-5


def test_the_best_single_rate_is_the_least_of_the_parabola_and_near_what_the_moments_say() -> None:
    tasks = draw_tasks(Form(10, 10), 20_000, 0, SEARCH)
    rate = best_single_rate(tasks)
    losses = [half_mse(descent(plain(rate * factor, 1))(tasks), tasks.target_B) for factor in (0.97, 1.0, 1.03)]
    assert losses[1] < min(losses[0], losses[2])
    variance, fourth = 1 / 12, 1 / 80  # of an input
    spread = 10 * fourth + 90 * variance**2
    assert rate == pytest.approx(10 * variance / (9 * variance**2 + spread / 10), rel=0.03)


def test_searched_rates_are_best_nearby_and_gd_plus_plus_beats_plain_steps() -> None:
    tasks = draw_tasks(FORM, 1000, 0, SEARCH)
    least = {}
    for curvature, tied in ((False, True), (True, True), (True, False)):
        rates = search(tasks, 2, curvature=curvature, tied=tied)
        assert len(set(rates.eta)) == (1 if tied else 2)
        assert any(rates.gamma) == curvature
        least[curvature, tied] = half_mse(descent(rates)(tasks), tasks.target_B)
        for factor in (0.98, 1.02):
            nearby = Rates(tuple(eta * factor for eta in rates.eta), rates.gamma)
            assert half_mse(descent(nearby)(tasks), tasks.target_B) > least[curvature, tied]
    assert least[True, False] < least[True, True] < least[False, True]


def test_agreement_is_whole_with_itself_and_known_for_a_gradient_step() -> None:
    tasks = draw_tasks(FORM, 40, 0, EVALUATION)
    step = look(descent(plain(1.5, 1)), tasks)
    exact_BD = 1.5 / FORM.context * (tasks.y_BN.unsqueeze(1) @ tasks.x_BND).squeeze(1)
    torch.testing.assert_close(step.sensitivity_BD, exact_BD)
    same = agreement(step, step)
    assert (same.sensitivity_l2, same.prediction_difference) == (0.0, 0.0)
    assert same.sensitivity_cosine == pytest.approx(1)
    against = agreement(look(descent(plain(-3.0, 1)), tasks), step)
    assert against.sensitivity_cosine == pytest.approx(-1)
    assert against.sensitivity_l2 == pytest.approx(3 * float(exact_BD.norm(dim=1).mean()), rel=1e-5)
    assert against.prediction_difference == pytest.approx(3 * float(step.prediction_B.abs().mean()), rel=1e-5)


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_products_are_all_that_a_linear_model_is(seed: int, layers: int, heads: int, tied: bool) -> None:
    shape = Shape(5, layers, heads, tied)
    model = SelfAttention(shape, generator(seed))
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(10)
    tasks = draw_tasks(FORM, 20, seed, EVALUATION)
    torch.testing.assert_close(rebuilt(shape, products(model))(tasks), model(tasks), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("rates", [plain(2.0, 1), plain(0.7, 3), Rates((0.5, 0.9), (0.3, 0.0)), Rates((4.0,) * 5, (0.2,) * 5)])
def test_the_rates_of_hand_built_weights_are_read_off_them(rates: Rates) -> None:
    model = constructed(FORM, rates)
    with torch.no_grad():
        model.query.mul_(-3)  # a layer leaves open what stands where, and the sign
        model.out.mul_(-1 / 3)
    found = products(model)
    read = learned_rates(found, FORM, rates.steps)
    assert read.eta == pytest.approx(rates.eta)
    assert read.gamma == pytest.approx(rates.gamma)
    built = theory(found, rates, FORM)
    assert likeness(written_to_y(found), written_to_y(built)) == pytest.approx(1)
    torch.testing.assert_close(found.projection_value_LHEE, built.projection_value_LHEE)


def test_the_way_from_any_weights_ends_at_the_theory() -> None:
    shape = Shape(5, 1, heads=2)
    found = products(SelfAttention(shape, generator()))
    built = theory(found, plain(1.1, 1), FORM)
    tasks = draw_tasks(FORM, 20, 0, EVALUATION)
    end = rebuilt(shape, between(found, built, 1.0))(tasks)
    torch.testing.assert_close(end, descent(plain(1.1, 1))(tasks), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(rebuilt(shape, between(found, built, 0.0))(tasks), end, atol=1e-2)


def test_a_trained_layer_becomes_a_gradient_step_and_one_of_softmax_does_not() -> None:
    form = Form(3, 6)
    tasks = draw_tasks(form, 1000, 0, EVALUATION)
    exact = look(descent(search(draw_tasks(form, 4000, 0, SEARCH), 1, curvature=False)), tasks)
    seen: list[int] = []
    model = fit(Shape(4), SMALL, 0, lambda step, _: seen.append(step))
    alike = agreement(look(model, tasks), exact)
    assert alike.sensitivity_cosine > 0.99
    assert alike.prediction_difference < 0.05
    assert (seen[0], seen[-1], len(seen)) == (0, 800, 26)
    softmax = agreement(look(fit(Shape(4, kind="softmax"), SMALL, 0), tasks), exact)
    assert softmax.sensitivity_cosine < 0.9


def test_the_same_seed_trains_the_same_weights_and_a_wild_rate_is_told() -> None:
    short = SMALL.model_copy(update={"steps": 10})
    one, again, other = (fit(Shape(4), short, seed) for seed in (0, 0, 1))
    assert torch.equal(one.key, again.key)
    assert not torch.equal(one.key, other.key)
    wild = SMALL.model_copy(update={"learning_rate": 1.0, "input_range": 1000.0})
    with pytest.raises(ValueError, match=r"^mechanism.learning_rate: training 4 layers [^\n]+ expected a lower rate than 1.0$"):
        fit(Shape(4, 4), wild, 0)
