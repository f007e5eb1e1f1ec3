"""From `encoding.encoder` to an encoder."""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy.typing as npt
from PIL import Image

from pipelines.encoding.embedded import NAME as EMBEDDED
from pipelines.encoding.embedded import Embedded
from pipelines.encoding.pixels import NAME as PIXELS
from pipelines.encoding.pixels import Pixels
from pipelines.layout import Layout


class ImageEncoder(Protocol):
    """Pictures to rows. It is small, for it travels with every batch; weights are read where it works, once in each process."""

    @property
    def name(self) -> str: ...  # as source.json and the manifest say it

    @property
    def digest(self) -> str: ...  # equal digests give equal rows

    @property
    def tensor(self) -> str: ...  # features (float32, rows of unit length) or pixels (uint8)

    @property
    def row(self) -> tuple[int, ...]: ...  # shape of one picture's row

    def encode(self, images: Iterable[Image.Image]) -> npt.NDArray[Any]: ...  # [n, *row]; memory holds few pictures at a time


def choose(setting: str, layout: Layout, *, offline: bool) -> ImageEncoder:
    """The encoder that `encoding.encoder` names; a model of the Hub is fetched first if it is not here, unless `offline`.

    Raises ValueError (one line) if it cannot be had, or is no model of images with weights as safetensors.
    """
    if setting == EMBEDDED:
        return Embedded.load(layout.encoder)
    if setting == PIXELS:
        return Pixels()
    from pipelines.encoding.hub_files import model_folder  # what follows imports torch and transformers
    from pipelines.encoding.hub_model import HubModel

    folder, name = model_folder(setting, layout.root, offline=offline)
    return HubModel.load(folder, name)
