"""What a linear layer computes, free of how its weights share it out: the products K^T Q and P V, and what they say.

Shape letters: L sets of weights, H heads, E = D + 1 numbers in a token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.mechanism.attention import SelfAttention, Shape
from training.mechanism.descent import Rates
from training.mechanism.tasks import Form


@dataclass(frozen=True)
class Products:
    """key_query_LHEE: how key (row) and query (column) are compared; projection_value_LHEE: what a value (column) writes (row).

    Each pair is scaled so that the comparison is as large as that of the theory, and positive on the inputs' diagonal: a layer
    leaves open which of the two is how large, and the sign of both.
    """

    key_query_LHEE: Tensor
    projection_value_LHEE: Tensor


def products(model: SelfAttention) -> Products:
    """The products of all layers and heads of a linear model."""
    assert model.shape.kind == "linear"
    with torch.no_grad():
        key_query = model.key @ model.query.mT
        projection_value = (model.value @ model.out).mT
        size_LH11 = key_query.flatten(2).norm(dim=2)[..., None, None] / (model.shape.width - 1) ** 0.5
        scale = size_LH11 * torch.where(inputs_diagonal(key_query) < 0, -1.0, 1.0)
        return Products(key_query / scale, projection_value * scale)


def inputs_diagonal(matrix_LHEE: Tensor) -> Tensor:
    """Mean of the diagonal over the inputs' part, [L, H, 1, 1]."""
    return matrix_LHEE.diagonal(dim1=-2, dim2=-1)[..., :-1].mean(dim=-1)[..., None, None]


def learned_rates(found: Products, form: Form, layers: int) -> Rates:
    """The rates that the weights amount to, all heads together: eta from y to y, gamma from inputs to themselves."""
    compared, value = inputs_diagonal(found.key_query_LHEE), found.projection_value_LHEE
    eta_L = -form.context * (compared * value[..., -1:, -1:]).flatten(1).sum(dim=1)
    gamma_L = -form.context * (compared * inputs_diagonal(value)).flatten(1).sum(dim=1)
    eta, gamma = eta_L.tolist(), gamma_L.tolist()
    times = layers // len(eta)  # tied weights serve each layer
    return Rates(tuple(eta * times), tuple(gamma * times))


def theory(found: Products, rates: Rates, form: Form) -> Products:
    """The products of the hand-built layers of these rates; several heads share them as those of `found` do."""
    width = form.dimensions + 1
    key_query = torch.zeros_like(found.key_query_LHEE)
    key_query[..., :-1, :-1] = torch.eye(width - 1)
    eta_LH = (inputs_diagonal(found.key_query_LHEE) * found.projection_value_LHEE[..., -1:, -1:]).flatten(1)
    share_LH11 = (eta_LH / eta_LH.sum(dim=1, keepdim=True))[..., None, None]
    sets = len(key_query)
    rates_LE = torch.tensor([[rates.gamma[at]] * (width - 1) + [rates.eta[at]] for at in range(sets)])
    return Products(key_query, -torch.diag_embed(rates_LE).unsqueeze(1) * share_LH11 / form.context)


def rebuilt(shape: Shape, found: Products) -> SelfAttention:
    """A model that computes what these products say."""
    model = SelfAttention(shape)
    identity = torch.eye(shape.width).expand_as(model.query)
    with torch.no_grad():
        model.query.copy_(identity)
        model.key.copy_(found.key_query_LHEE)
        model.value.copy_(found.projection_value_LHEE.mT)
        model.out.copy_(identity)
    return model


def between(one: Products, other: Products, share: float) -> Products:
    """The products at `share` of the way from one to the other."""
    return Products(
        one.key_query_LHEE.lerp(other.key_query_LHEE, share),
        one.projection_value_LHEE.lerp(other.projection_value_LHEE, share),
    )


def written_to_y(found: Products) -> Tensor:
    """How much of y each comparison moves y, all heads together, [L, E, E]: where there is one head, K^T Q but for a factor."""
    return (found.key_query_LHEE * found.projection_value_LHEE[..., -1:, -1:]).sum(dim=1)


def likeness(one: Tensor, other: Tensor) -> float:
    """Cosine of two stacks of matrices as one vector each: 1 where they differ by a factor alone."""
    return float(torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0))
