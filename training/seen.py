"""What a learner is given: features as they are, or pixels once its backbone has read them.

Shape letters: B episodes, S supports, Q queries, X = B * (S + Q) places, U different images, N images, P pixels, D features.
"""

from dataclasses import replace

import torch
from torch import Tensor

from training.batch import Batch
from training.collection import DomainTensors
from training.learner import Learner


def features_of(learner: Learner, rows_NP: Tensor) -> Tensor:
    """Features [N, D] for evaluation, on the CPU: the rows themselves, or what the learner's backbone makes of pixels.

    Every image is read once, whatever number of episodes it is in; a domain's pixels may be larger than memory.
    """
    if learner.backbone is None:
        return rows_NP
    device = next(learner.parameters()).device
    with torch.no_grad():
        parts = [learner.backbone(part.to(device)).cpu() for part in torch.split(rows_NP, learner.backbone.chunk)]
    return torch.cat(parts) if parts else torch.empty(0, learner.shape.dimensions)


def with_features(learner: Learner, domain: DomainTensors) -> DomainTensors:
    """The domain with the features that the learner reads; as it is unless the learner has a backbone of its own."""
    return replace(domain, features_ND=features_of(learner, domain.features_ND)) if domain.pixels else domain


def read(batch: Batch, learner: Learner) -> Batch:
    """The batch with features in the place of pixels, for training: gradients reach the backbone.

    An image is read once, however many places of the batch it has. Synthetic tasks are features already, and stay.
    """
    if batch.support_BSD.is_floating_point():
        return batch
    assert learner.backbone is not None
    episodes, supports = batch.support_label_BS.shape
    pixels_XP = torch.cat([batch.support_BSD, batch.query_BQD], dim=1).flatten(0, 1)
    if batch.support_row_BS is None or batch.query_row_BQ is None:
        features_XD = learner.backbone(pixels_XP)
    else:
        row_X = torch.cat([batch.support_row_BS, batch.query_row_BQ], dim=1).flatten()
        row_U, image_X = torch.unique(row_X, return_inverse=True)
        place_U = torch.empty_like(row_U).scatter_(0, image_X, torch.arange(len(row_X), device=row_X.device))  # any of its own
        features_XD = learner.backbone(pixels_XP.index_select(0, place_U)).index_select(0, image_X)
    features_BTD = features_XD.view(episodes, -1, features_XD.shape[-1])
    return replace(
        batch,
        support_BSD=features_BTD[:, :supports],
        query_BQD=features_BTD[:, supports:],
        support_row_BS=None,
        query_row_BQ=None,
    )
