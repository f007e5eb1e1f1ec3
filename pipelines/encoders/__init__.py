"""The frozen, fixed image encoder: `fit` once on a procedural reference set, then `encode` any domain with it."""

from pipelines.encoders.encoder import Encoder
from pipelines.encoders.fitting import fit
from pipelines.encoders.preparation import prepare

__all__ = ["Encoder", "fit", "prepare"]
