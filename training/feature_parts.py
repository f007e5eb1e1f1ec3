"""The parts of a collection's features, as far as its encoder has any."""

from collections.abc import Mapping
from typing import Any

import torch

from pipelines.encoders import Encoder
from pipelines.encoders.parts import parts
from pipelines.encoding.embedded import NAME as EMBEDDED
from pipelines.layout import Layout
from training.parts_readout import Parts


def feature_parts(layout: Layout, manifest: Mapping[str, Any]) -> Parts | None:
    """Parts of the embedded encoder's features; None for any other encoder and for a backbone, whose features are one part."""
    if manifest["encoding"]["encoder"] != EMBEDDED:
        return None
    basis_DE, sizes = parts(Encoder.load(layout.encoder))
    return Parts(torch.from_numpy(basis_DE), sizes)
