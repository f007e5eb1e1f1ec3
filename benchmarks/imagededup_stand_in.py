"""imagededup 0.3.3 for comparison, without the torchvision that it imports and its hashes do not use.

It is no dependency: `pip install --no-deps --target FOLDER imagededup==0.3.3 PyWavelets`, then IMAGEDEDUP_SITE=FOLDER.
"""

import importlib
import os
import sys
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

MISSING = (
    "imagededup is not here, so nothing is compared with it: "
    "pip install --no-deps --target FOLDER imagededup==0.3.3 PyWavelets, then IMAGEDEDUP_SITE=FOLDER"
)


@cache
def load() -> ModuleType | None:
    """imagededup.methods with PHash and DHash; None, and a line on stderr, where the package is not installed."""
    site = os.environ.get("IMAGEDEDUP_SITE")
    if site and site not in sys.path:
        sys.path.append(site)  # behind our own packages
    if find_spec("imagededup") is None or find_spec("pywt") is None:
        print(MISSING, file=sys.stderr)
        return None
    sys.modules.update(_torchvision())
    return importlib.import_module("imagededup.methods")


def _torchvision() -> dict[str, ModuleType]:
    """Stand-ins by module name, with what imagededup touches while it is imported."""
    from torch import nn

    class Network(nn.Module):
        """A network without layers."""

        def __init__(self, *_: Any, **__: Any) -> None:
            super().__init__()
            self.features, self.avgpool = nn.Identity(), nn.Identity()

    class Anything:
        """Weights of any name, transforms of any kind."""

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        @classmethod
        def transforms(cls) -> "Anything":
            return cls()

    for name in ("IMAGENET1K_V1", "IMAGENET1K_SWAG_E2E_V1"):
        setattr(Anything, name, Anything)
    networks = dict.fromkeys(("mobilenet_v3_small", "vit_b_16", "efficientnet_b4"), Network)
    steps = dict.fromkeys(("Compose", "Resize", "CenterCrop", "ToTensor", "Normalize"), Anything)
    vision, models, transformer, transforms, inner = (
        _module("torchvision"),
        _module("torchvision.models", EfficientNet_B4_Weights=Anything, **networks),
        _module("torchvision.models.vision_transformer", ViT_B_16_Weights=Anything),
        _module("torchvision.transforms"),
        _module("torchvision.transforms.transforms", **steps),
    )
    vars(vision).update(models=models, transforms=transforms)
    vars(transforms).update(transforms=inner)
    return {module.__name__: module for module in (vision, models, transformer, transforms, inner)}


def _module(name: str, **holds: Any) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = []
    vars(module).update(holds)
    return module
