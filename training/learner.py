"""The in-context learner: a transformer reads labelled supports and unlabelled queries as one set and classifies the queries.

Token = projected feature + label code (GEOM, arXiv 2507.05019; CAMeLU, arXiv 2405.16124, concatenates the two and projects).
No positions, no causal mask. Supports see supports; a query sees the supports and itself (inline: TAIL, arXiv 2602.14761), so
queries do not influence each other.

Shape letters: B episodes, S supports, Q queries, T = S + Q tokens with supports first, D features, E width, W ways.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention

from pipelines.files import atomic_path
from pipelines.training_settings import Attention, LabelCodes, Readout, Size, Training
from training.baselines import class_mean, ridge
from training.batch import Turn


@dataclass(frozen=True)
class Shape:
    """What makes two learners' weights fit each other."""

    dimensions: int
    max_way: int
    width: int
    layers: int
    heads: int
    mlp: int  # width inside a block's MLP
    readout: Readout
    label_codes: LabelCodes = "learnable"
    attention: Attention = "inline"


SIZES: dict[Size, dict[str, int]] = {
    "tiny": {"width": 128, "layers": 2, "heads": 4, "mlp": 256},
    "small": {"width": 256, "layers": 4, "heads": 8, "mlp": 1024},
    "geom": {"width": 1024, "layers": 8, "heads": 8, "mlp": 3072},  # CAMeLU, arXiv 2405.16124: CLIP's 768 and a code's 256
    "caml": {"width": 1024, "layers": 24, "heads": 16, "mlp": 4096},  # CAML, arXiv 2310.10971
}


def shape_of(settings: Training, dimensions: int) -> Shape:
    """The learner that these settings ask for, on features of so many dimensions."""
    sizes = SIZES[settings.size]
    return Shape(
        dimensions,
        settings.n_way,
        **sizes,
        readout=settings.readout,
        label_codes=settings.label_codes,
        attention=settings.attention,
    )


TEMPERATURE = 5.0  # of the read-outs' scores before training: the cross-entropy of ridge is least near 5 at 1 to 5 shots
TEMPERATURE_RATE = 10.0  # a lone scalar must move further than a weight in the same number of steps
METRIC_RATE = 0.05  # and the metric less: it knows the domains by their directions, and overfits them where it moves freely


class Block(nn.Module):
    """A pre-LN transformer block."""

    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp), nn.GELU(), nn.Linear(mlp, width))

    def forward(self, token_BTE: Tensor, visible_TT: Tensor) -> Tensor:
        episodes, tokens, width = token_BTE.shape
        parts = self.query_key_value(self.attention_norm(token_BTE)).view(episodes, tokens, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=visible_TT)
        token_BTE = token_BTE + self.out(mixed.transpose(1, 2).reshape(episodes, tokens, width))
        out_BTE: Tensor = token_BTE + self.mlp(self.mlp_norm(token_BTE))
        return out_BTE


def visibility(supports: int, queries: int) -> Tensor:
    """[T, T] bool, true where the row's token sees the column's: every support, and itself."""
    tokens = supports + queries
    return (torch.arange(tokens) < supports).expand(tokens, tokens) | torch.eye(tokens, dtype=torch.bool)


class Learner(nn.Module):
    """See the module. Under the read-outs `class_mean` and `ridge` features pass a learned linear metric, the transformer moves
    each of them by a step of its own, and that baseline reads them. Metric and steps start at zero: an untrained learner is the
    baseline.
    """

    def __init__(self, shape: Shape, generator: torch.Generator | None = None) -> None:
        """Weights are drawn from `generator`. Raises ValueError if the heads do not divide the width."""
        super().__init__()
        if shape.width % shape.heads:
            raise ValueError(f"expected a width that is a multiple of the heads, found {shape.width} and {shape.heads}")
        self.shape = shape
        self.project = nn.Linear(shape.dimensions, shape.width)
        self.code = nn.Parameter(torch.zeros(shape.max_way + 1, shape.width))  # the last one stands for "unknown"
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads, shape.mlp) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.max_way if shape.readout == "linear" else shape.dimensions)
        self.metric = nn.Parameter(torch.zeros(shape.dimensions, shape.dimensions))
        self.log_temperature = nn.Parameter(torch.zeros(()))
        self._initialise(generator or torch.Generator().manual_seed(0))

    def _initialise(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    module.weight.normal_(0.0, module.in_features**-0.5, generator=generator)
                    module.bias.zero_()
            self.code.normal_(0.0, 1.0, generator=generator)
            if self.shape.readout != "linear":
                self.head.weight.zero_()

    def forward(self, support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int, turn: Turn | None = None) -> Tensor:
        """Scores [B, Q, W] of the queries. In training the transformer sees the features turned, and its steps are turned back.

        Raises ValueError for more ways than there are label codes.
        """
        if n_way > self.shape.max_way:
            raise ValueError(
                f"the learner has {self.shape.max_way} label codes, found {n_way}-way episodes; train it with more ways"
            )
        supports = support_BSD.shape[1]
        feature_BTD = torch.cat([support_BSD, query_BQD], dim=1)
        feature_BTD = feature_BTD + METRIC_RATE * feature_BTD @ self.metric
        seen_BTD = centred(feature_BTD, supports)
        out_BTX = self._read(turn.apply(seen_BTD) if turn else seen_BTD, label_BS)
        if self.shape.readout == "linear":
            return out_BTX[:, supports:, :n_way]
        moved_BTD = feature_BTD + (turn.undo(out_BTX) if turn else out_BTX)
        baseline = class_mean if self.shape.readout == "class_mean" else ridge
        scores_BQW = baseline(moved_BTD[:, :supports], label_BS, moved_BTD[:, supports:], n_way)
        return TEMPERATURE * (TEMPERATURE_RATE * self.log_temperature).exp() * scores_BQW

    def _read(self, feature_BTD: Tensor, label_BS: Tensor) -> Tensor:
        """The transformer itself: supports, then queries in; one vector a token out [B, T, D or W]."""
        episodes, supports = label_BS.shape
        queries = feature_BTD.shape[1] - supports
        unknown_BQ = torch.full((episodes, queries), self.shape.max_way)
        # unit rows have entries of about D ** -0.5: scale to 1 so that features and codes weigh the same
        token_BTE = self.project(feature_BTD * self.shape.dimensions**0.5)
        token_BTE = token_BTE + self.code[torch.cat([label_BS, unknown_BQ], dim=1)]
        visible_TT = visibility(supports, queries)
        for block in self.blocks:
            token_BTE = block(token_BTE, visible_TT)
        out: Tensor = self.head(self.norm(token_BTE))
        return out


def centred(feature_BTD: Tensor, supports: int) -> Tensor:
    """Features seen from the mean of the first `supports` ones, at unit length again (SimpleShot, arXiv 1911.04623).

    What all of an episode's classes share says nothing about which is which.
    """
    return normalize(feature_BTD - feature_BTD[:, :supports].mean(dim=1, keepdim=True), dim=-1)


def save_learner(learner: Learner, path: Path, about: dict[str, Any] | None = None) -> None:
    """Write weights and configuration as safetensors, atomically. `about` (JSON) goes into the metadata."""
    metadata = {"shape": json.dumps(asdict(learner.shape), sort_keys=True), "about": json.dumps(about or {}, sort_keys=True)}
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in learner.state_dict().items()}, temporary, metadata=metadata)


def load_learner(path: Path, expected: Shape | None = None) -> Learner:
    """Read a learner. Raises ValueError (one line) if the file is none, or is not of the `expected` shape."""
    try:
        with safe_open(path, framework="pt") as file:
            shape = Shape(**json.loads((file.metadata() or {})["shape"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected a learner as safetensors with its shape in the metadata ({error})") from None
    if expected is not None and shape != expected:
        raise ValueError(f"{path}: expected a learner of {expected}, found {shape}; train it again")
    learner = Learner(shape)
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in learner.state_dict().items()}
    if found != wanted:
        wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        raise ValueError(f"{path}: {wrong[0]}: expected shape {wanted.get(wrong[0])}, found {found.get(wrong[0])}")
    learner.load_state_dict(tensors)
    return learner.eval()
