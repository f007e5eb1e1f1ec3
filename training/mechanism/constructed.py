"""The weights by hand with which linear self-attention is gradient descent (arXiv 2212.07677, proposition 1)."""

import torch
from torch import Tensor

from training.mechanism.attention import SelfAttention, Shape
from training.mechanism.descent import Rates
from training.mechanism.tasks import Form


def constructed(form: Form, rates: Rates, start_D: Tensor | None = None) -> SelfAttention:
    """One layer a step, one head: W_Q = W_K = diag(I, 0), W_V = [[-I, 0], [w_0, -1]], P = diag(gamma I, eta) / N.

    w_0 is `start_D`, zero where there is none; a start other than zero is for plain steps alone, for GD++ moves the inputs that
    it was measured by. With gamma 0 the upper half of P W_V is zero and a layer is the plain step.
    Weights act on rows from the right, so they stand here transposed.
    """
    assert start_D is None or not any(rates.gamma)
    dimensions = form.dimensions
    tied = len(set(rates.eta)) == len(set(rates.gamma)) == 1
    model = SelfAttention(Shape(dimensions + 1, rates.steps, tied=tied))
    with torch.no_grad():
        model.query[:, 0, :dimensions, :dimensions] = torch.eye(dimensions)
        model.key[:, 0, :dimensions, :dimensions] = torch.eye(dimensions)
        model.value[:, 0] = -torch.eye(dimensions + 1)
        if start_D is not None:
            model.value[:, 0, :dimensions, dimensions] = start_D
        for layer in range(len(model.out)):
            own = torch.tensor([rates.gamma[layer]] * dimensions + [rates.eta[layer]])
            model.out[layer, 0] = torch.diag(own / form.context)
    return model
