"""Images as inputs of GPICL tasks: few numbers on the principal axes of the train domains.

Shape letters: N images, D numbers in a row, X axes that are kept.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from training.backbone import SIDE
from training.collection import DomainTensors

GREY = 16  # px, the side to which pixels are scaled down


def numbers(domain: DomainTensors) -> Tensor:
    """A domain's rows as float32, seen from their mean [N, D]: features, or pixels as 16 x 16 grey.

    The mean is of the domain's own images without their labels, as GPICL standardises each data set by itself.
    """
    row_ND = domain.features_ND
    if domain.pixels:
        grey_N1SS = row_ND.view(-1, 3, SIDE, SIDE).float().mean(dim=1, keepdim=True) / 255
        row_ND = adaptive_avg_pool2d(grey_N1SS, GREY).flatten(1)
    return row_ND - row_ND.mean(dim=0)


def principal_axes(rows: Sequence[Tensor], wanted: int) -> Tensor:
    """The first `wanted` principal axes [D, X] of all rows together, each with its largest entry positive.

    Raises ValueError (one line) if the rows have fewer numbers than that.
    """
    dimensions = rows[0].shape[1]
    if wanted > dimensions:
        raise ValueError(f"gpicl.inputs: expected at most the {dimensions} numbers of an encoded image, found {wanted}")
    covariance_DD = torch.stack([row_ND.double().T @ row_ND.double() for row_ND in rows]).sum(0)
    axes_DX = torch.linalg.eigh(covariance_DD).eigenvectors.flip(1)[:, :wanted]
    sign_X = axes_DX.gather(0, axes_DX.abs().argmax(dim=0, keepdim=True)).sign()  # else it is up to the library
    signed_DX: Tensor = (axes_DX * sign_X).float()
    return signed_DX


def inputs_of(domains: Mapping[str, DomainTensors], train: Sequence[str], wanted: int) -> dict[str, Tensor]:
    """The inputs [N, X] of every domain, of mean square 1. Axes are of the `train` domains alone.

    Raises ValueError as `principal_axes` does.
    """
    axes_DX = principal_axes([numbers(domains[name]) for name in train], wanted)
    return {name: normalize(numbers(domain) @ axes_DX, dim=-1) * wanted**0.5 for name, domain in domains.items()}
