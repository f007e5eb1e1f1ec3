"""A small convolutional backbone that is trained with the learner: what `encoding.encoder: conv` puts in front of it.

Conv-4 as in prototypical networks (Snell et al. 2017, arXiv 1703.05175): four blocks of a 3 x 3 convolution, normalisation,
ReLU and 2 x 2 pooling. The normalisation is by groups of an image's own channels (Wu & He 2018, arXiv 1803.08494), not by
batch: an image's feature depends on that image alone, so a query tells nothing of another, in training or after, and there
are no running statistics in which training and evaluation could differ.

Shape letters: ... any leading dimensions, M images, C channels, H height and W width in px, P = 3 * 48 * 48 pixels, D features.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, normalize, relu

SIDE = 48  # px; what `pipelines/encoding/pixels.py` writes
PIXELS = 3 * SIDE * SIDE
DIMENSIONS = 256
CHANNELS = 64
BLOCKS = 4
GROUPS = 8
CHUNK = 32  # images that the CPU works at once: what is between two blocks stays in its cache, 2 to 4 times as fast as 512
CUDA_CHUNK = 1024  # and a GPU


class Backbone(nn.Module):
    """Pixels to unit features. Weights are drawn from a generator alone: equal ones for equal seeds."""

    def __init__(self, generator: torch.Generator | None = None, dimensions: int = DIMENSIONS) -> None:
        super().__init__()
        self.dimensions = dimensions
        widths = [3, *[CHANNELS] * BLOCKS]
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths))
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, CHANNELS) for _ in range(BLOCKS))
        self.head = nn.Linear(CHANNELS * (SIDE // 2**BLOCKS) ** 2, dimensions)
        self._initialise(generator or torch.Generator().manual_seed(0))

    def _initialise(self, generator: torch.Generator) -> None:
        """He's initialisation (arXiv 1502.01852) for the convolutions; the head keeps lengths."""
        with torch.no_grad():
            for layer in self.convolutions:
                assert isinstance(layer, nn.Conv2d)
                layer.weight.normal_(0.0, (2 / layer.weight[0].numel()) ** 0.5, generator=generator)
                assert layer.bias is not None
                layer.bias.zero_()
            self.head.weight.normal_(0.0, self.head.in_features**-0.5, generator=generator)
            self.head.bias.zero_()

    def forward(self, pixels: Tensor) -> Tensor:
        """Unit features [..., D] of uint8 pixels [..., P], channels first as a domain's rows are, or [..., 3, 48, 48].

        Raises ValueError (one line) for another type or shape.
        """
        pixels_MCHW, leading = as_images(pixels)
        parts = [self._features(part_MCHW) for part_MCHW in torch.split(pixels_MCHW, self.chunk)]
        return torch.cat(parts).view(*leading, self.dimensions)

    @property
    def chunk(self) -> int:
        """Images that are worked at once."""
        return CUDA_CHUNK if self.head.weight.device.type == "cuda" else CHUNK

    def _features(self, pixels_MCHW: Tensor) -> Tensor:
        image_MCHW = pixels_MCHW.to(self.head.weight.dtype) / 127.5 - 1
        image_MCHW = image_MCHW.contiguous(memory_format=torch.channels_last)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            image_MCHW = relu(max_pool2d(norm(convolution(image_MCHW)), 2))  # in this order a quarter is left for ReLU
        features_MD: Tensor = self.head(image_MCHW.flatten(1)).float()
        return normalize(features_MD, dim=-1)


def as_images(pixels: Tensor) -> tuple[Tensor, torch.Size]:
    """Pixels as [M, 3, 48, 48], and the dimensions that lead. Raises ValueError (one line) for another type or shape."""
    if pixels.dtype == torch.uint8 and pixels.ndim and pixels.shape[-1] == PIXELS:
        leading = pixels.shape[:-1]
    elif pixels.dtype == torch.uint8 and pixels.shape[-3:] == (3, SIDE, SIDE):
        leading = pixels.shape[:-3]
    else:
        expected = f"uint8 pixels [..., {PIXELS}] or [..., 3, {SIDE}, {SIDE}]"
        raise ValueError(f"backbone: expected {expected}, found {pixels.dtype} {list(pixels.shape)}")
    return pixels.reshape(-1, 3, SIDE, SIDE), leading
