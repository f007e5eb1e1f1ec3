"""Gradient descent on each task's context, exactly, and its variant GD++: what trained attention is compared with.

Shape letters: B tasks, N pairs of a context, D numbers in an input, K steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.mechanism.tasks import Predictor, Tasks

STARTS = (0.2, 0.4, 0.6)  # of a curvature rate, as shares of the best single step's rate: the search has several valleys
ITERATIONS = 100
FLAT, STILL = 1e-5, 1e-7  # gradient and change of a loss between 0 and 1 at which the search ends


@dataclass(frozen=True)
class Rates:
    """Rates of each step: `eta` of the gradient, `gamma` of GD++'s correction of the inputs (0: plain gradient descent)."""

    eta: tuple[float, ...]
    gamma: tuple[float, ...]

    @property
    def steps(self) -> int:
        return len(self.eta)


def plain(eta: float, steps: int) -> Rates:
    """Gradient descent with the same rate in each step."""
    return Rates((eta,) * steps, (0.0,) * steps)


def descend(tasks: Tasks, eta_K: Tensor, gamma_K: Tensor, start_D: Tensor | None = None) -> Tensor:
    """prediction_B after steps on L(w) = 1/2N sum (w x - y)^2, from w = `start_D` (zero where there is none).

    Each step of GD++ (arXiv 2212.07677, section 3) also moves all inputs, x <- x - gamma/N sum_i x_i (x_i x), which flattens
    the curvature that the next step sees. Targets move with the weights, y <- y - dw x, so that w need not be kept.
    """
    x_BND, query_B1D = tasks.x_BND, tasks.query_BD.unsqueeze(1)
    residual_BN1, prediction_B = tasks.y_BN.unsqueeze(-1), torch.zeros_like(tasks.target_B)
    if start_D is not None:
        residual_BN1 = residual_BN1 - (x_BND @ start_D).unsqueeze(-1)
        prediction_B = prediction_B + tasks.query_BD @ start_D
    pairs = x_BND.shape[1]
    for eta, gamma in zip(eta_K, gamma_K, strict=True):
        step_BD1 = eta / pairs * (x_BND.mT @ residual_BN1)  # minus eta times the gradient
        prediction_B = prediction_B + (query_B1D @ step_BD1).flatten()
        residual_BN1 = residual_BN1 - x_BND @ step_BD1
        spread_BDD = gamma / pairs * (x_BND.mT @ x_BND)
        x_BND, query_B1D = x_BND - x_BND @ spread_BDD, query_B1D - query_B1D @ spread_BDD
    return prediction_B


def descent(rates: Rates, start_D: Tensor | None = None) -> Predictor:
    """Predictions after steps of these rates."""

    def predict(tasks: Tasks) -> Tensor:
        eta_K, gamma_K = (torch.tensor(given, dtype=tasks.y_BN.dtype) for given in (rates.eta, rates.gamma))
        return descend(tasks, eta_K, gamma_K, start_D)

    return predict


def best_single_rate(tasks: Tasks) -> float:
    """The rate of one step from w = 0 whose loss on the queries is least, in closed form: the loss is a parabola in it."""
    tasks = tasks.double()
    unit_B = descend(tasks, torch.ones(1).double(), torch.zeros(1).double())
    return float((unit_B * tasks.target_B).mean() / unit_B.square().mean())


def search(tasks: Tasks, steps: int, *, curvature: bool, tied: bool = True) -> Rates:
    """The rates with the least loss on the queries, by L-BFGS with a line search, from the best single step's.

    `curvature`: GD++, else plain gradient descent. `tied`: each step has the same rates.
    """
    single = best_single_rate(tasks)
    if steps == 1:
        return plain(single, 1)  # there is no next step for a correction to serve
    tasks, sets = tasks.double(), 1 if tied or not curvature else steps
    found = [_valley(tasks, steps, single, sets, start) for start in (STARTS if curvature else (0.0,))]
    _, rates_2K = min(found, key=lambda pair: pair[0])
    if sets > 1:
        rates_2K[1, -1] = 0.0  # there is no next step for it to serve
    eta_K, gamma_K = rates_2K.tolist()
    return Rates(tuple(eta_K), tuple(gamma_K))


def _valley(tasks: Tasks, steps: int, single: float, sets: int, start: float) -> tuple[float, Tensor]:
    """The least loss that is reached from gamma = `start` times `single`, and its rates [2, K]; gamma stays 0 where it is."""
    share_2S = torch.tensor([[1.0] * sets, [start] * sets], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [share_2S], max_iter=ITERATIONS, tolerance_grad=FLAT, tolerance_change=STILL, line_search_fn="strong_wolfe"
    )
    whole = tasks.target_B.square().mean()

    def rates_2K() -> Tensor:
        eta_S, gamma_S = share_2S
        return single * torch.stack([eta_S, gamma_S if start else gamma_S.detach()]).expand(2, steps)

    def loss() -> Tensor:
        optimiser.zero_grad()
        found = (descend(tasks, *rates_2K()) - tasks.target_B).square().mean() / whole
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        rates = rates_2K()
        least = float((descend(tasks, *rates) - tasks.target_B).square().mean())
    return least if least == least else float("inf"), rates
