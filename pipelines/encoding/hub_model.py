"""A frozen vision model of the Hub (CLIP's vision tower, DINOv2, ResNet, ViT, ...) through transformers.

Weights come from safetensors alone and no code of a repository runs. float32 without TF32, one thread a worker: the same
features in any number of workers. Preprocessing is the model's own, by Pillow.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pipelines.encoding.hub_files import WHERE
from pipelines.features import Floats, unit_rows
from pipelines.secrets import clean

BATCH = 32  # pictures
VERSION = 1  # of what happens here between weights and feature
VOLATILE = (
    "_name_or_path",
    "transformers_version",
    "architectures",
    "dtype",
    "torch_dtype",
)  # of a config; none bears on a feature
POOLER = "pooler."


@dataclass(frozen=True)
class HubModel:
    """A model by the folder of its files."""

    folder: Path
    name: str
    digest: str
    dimensions: int
    tensor: str = "features"

    @classmethod
    def load(cls, folder: Path, name: str) -> "HubModel":
        """Raises ValueError (one line) if the folder holds no model of images with weights as safetensors."""
        found = opened(folder, name, _stamp(folder))
        return cls(folder, name, found.digest, found.dimensions)

    @property
    def row(self) -> tuple[int, ...]:
        return (self.dimensions,)

    def encode(self, images: Iterable[Image.Image]) -> Floats:
        """Unit rows [n, D] of the pooled output."""
        found = opened(self.folder, self.name, _stamp(self.folder))
        if found.digest != self.digest:
            raise ValueError(f"{WHERE}: {self.name}: other weights than at the start of this run; run it again")
        blocks = [found.tower.features(batch) for batch in _batches(images)]
        return unit_rows(np.concatenate(blocks)) if blocks else np.empty((0, self.dimensions), np.float32)


@dataclass(frozen=True)
class Tower:
    """The part of a model that sees, with its preprocessing. `first_token`: its class token, where weights have no pooler."""

    model: nn.Module
    processor: Any
    device: torch.device
    first_token: bool

    @property
    def digest(self) -> str:
        """Hex SHA-256 of weights, configuration and preprocessing, wherever they came from."""
        config = {key: value for key, value in self.model.config.to_dict().items() if key not in VOLATILE}  # type: ignore[union-attr,operator]
        about = [VERSION, self.first_token, config, self.processor.to_dict()]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def dimensions(self) -> int:
        """Numbers in one feature."""
        return int(self.features([Image.new("RGB", (64, 64))]).shape[1])

    def features(self, images: list[Image.Image]) -> Floats:
        """Pooled outputs [n, D]."""
        pixels = self.processor(images=images, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            found = self.model(pixel_values=pixels.to(self.device, torch.float32))
        pooled: Tensor | None = found.last_hidden_state[:, 0] if self.first_token else found.pooler_output
        if pooled is None:
            raise ValueError("it has no pooled output")
        return np.asarray(pooled.flatten(1).cpu().numpy(), np.float32)  # ResNet's is [n, D, 1, 1]


class Opened(NamedTuple):
    """A tower, with what costs time to ask of it."""

    tower: Tower
    digest: str
    dimensions: int


@lru_cache(maxsize=1)
def opened(folder: Path, name: str, stamp: tuple[tuple[str, int, int], ...]) -> Opened:
    """The model, read and tried once in each process as long as its files stay as the stamp says.

    Raises ValueError as `HubModel.load`.
    """
    _must_hold(folder, name)
    try:
        tower = _read(folder)
        return Opened(tower, tower.digest, tower.dimensions)
    except Exception as error:  # transformers raises almost anything for a model that it does not know
        raise ValueError(f"{WHERE}: {name}: cannot be used as a model of images ({clean(error)})") from None


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of change of a model's files."""
    return tuple((path.name, (facts := path.stat()).st_size, facts.st_mtime_ns) for path in sorted(folder.glob("*")))


def _must_hold(folder: Path, name: str) -> None:
    """Whether what is needed is there, before anything is imported or read."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"{WHERE}: {name}: no config.json there; expected a model of transformers")
    if not any(folder.glob("model*.safetensors")):
        raise ValueError(
            f"{WHERE}: {name}: no model.safetensors there; weights in other formats, pickle among them, are not read"
        )
    if not any((folder / file).is_file() for file in ("preprocessor_config.json", "processor_config.json")):
        raise ValueError(f"{WHERE}: {name}: no preprocessor_config.json there, so it is no model of images")


def _read(folder: Path) -> Tower:
    from transformers import AutoImageProcessor, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # parallel are the batches
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    local = {"trust_remote_code": False, "local_files_only": True}
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil", **local)
    model, report = AutoModel.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
    )
    tower = getattr(model, "vision_model", model)
    if tower.main_input_name != "pixel_values":
        raise ValueError(f"{type(model).__name__} has no vision tower")
    missing = sorted(report["missing_keys"])
    if tower is not model:
        missing = [key.removeprefix("vision_model.") for key in missing if key.startswith("vision_model.")]
    if lacking := [key for key in missing if not key.startswith(POOLER)]:
        raise ValueError(f"its weights lack {lacking[0]} and {len(lacking) - 1} more")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Tower(tower.eval().requires_grad_(False).to(device), processor, device, first_token=bool(missing))


def _batches(images: Iterable[Image.Image]) -> Iterator[list[Image.Image]]:
    waiting = iter(images)
    while batch := list(islice(waiting, BATCH)):
        yield batch
