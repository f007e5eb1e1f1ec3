"""The in-context learner: a transformer reads labelled supports and unlabelled queries as one set and classifies the queries.

Token = projected [feature ; label code] (GEOM, arXiv 2507.05019; CAMeLU, arXiv 2405.16124), the projection of both together
written as the sum of one of each. attention.py says who sees whom, label_codes.py what the codes are,
memory.py what may stand in the place of attention.

Shape letters: B episodes, S supports, Q queries, T = S + Q tokens with supports first, D features, E width, W ways.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from pipelines.files import atomic_path
from training.attention import HIDDEN, Block
from training.backbone import Backbone
from training.baselines import class_mean, ridge
from training.batch import Turn
from training.label_codes import LabelCodes
from training.memory import MemoryBlock, in_order
from training.parts_readout import PartsReadout
from training.shape import Shape

TEMPERATURE = 5.0  # of the read-outs' scores before training: the cross-entropy of ridge is least near 5 at 1 to 5 shots
TEMPERATURE_RATE = 10.0  # a lone scalar must move further than a weight in the same number of steps
METRIC_RATE = 0.05  # and the metric less: it knows the domains by their directions, and overfits them where it moves freely
READERS = {"class_mean": class_mean, "ridge": ridge}  # of moved features; `parts` has weights of its own
MOVES = (*READERS, "parts")


class Learner(nn.Module):
    """See the module. What reads the transformer's output is `shape.readout`:

    - `linear`: a row for each label code, on the query's token (CAMeLU).
    - `code`: how alike the query's token and each class's label code are, after a projection of the token.
    - `class_mean`, `ridge`, `parts` (parts_readout.py): features pass a learned linear metric, the transformer moves each of
      them by a step of its own, and that read-out reads them. Both start at zero: an untrained learner is the read-out alone.

    A learner of `shape.pixels` has a `backbone`, trained and saved with it; seen.py has it make the features that `forward` is
    given.
    """

    def __init__(self, shape: Shape, generator: torch.Generator | None = None, basis_DE: Tensor | None = None) -> None:
        """Weights are drawn from `generator`. `basis_DE`: axes of the parts that `shape.parts` counts, for read-out `parts`."""
        super().__init__()
        self.shape = shape
        self.project = nn.Linear(shape.dimensions, shape.width)
        self.codes = LabelCodes(shape)
        kind = MemoryBlock if shape.mixer == "memory" else Block
        self.blocks = nn.ModuleList(kind(shape.width, shape.heads, shape.mlp) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        out = {"linear": shape.max_way, "code": shape.width}.get(shape.readout, shape.dimensions)
        self.head = nn.Linear(shape.width, out)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        if shape.readout in MOVES:
            self.metric = nn.Parameter(torch.zeros(shape.dimensions, shape.dimensions))
        if shape.readout == "parts":
            sizes = shape.parts or (shape.dimensions,)
            self.parts = PartsReadout(torch.eye(shape.dimensions)[:, : sum(sizes)] if basis_DE is None else basis_DE, sizes)
        generator = generator or torch.Generator().manual_seed(0)
        self._initialise(generator)
        self.backbone = Backbone(generator, shape.dimensions) if shape.pixels else None

    def _initialise(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    module.weight.normal_(0.0, module.in_features**-0.5, generator=generator)
                    if module.bias is not None:
                        module.bias.zero_()
            self.codes.draw(generator)
            if self.shape.readout in MOVES:
                self.head.weight.zero_()

    def forward(
        self,
        support_BSD: Tensor,
        label_BS: Tensor,
        query_BQD: Tensor,
        n_way: int,
        support_weight_BS: Tensor | None = None,
        *,
        turn: Turn | None = None,
        seed_B: Tensor | None = None,
    ) -> Tensor:
        """Scores [B, Q, W] of the queries.

        `support_weight_BS` is 0 for padding. In training the transformer sees the features turned, and its steps are turned
        back; `seed_B` draws label codes anew for each episode. Raises ValueError for more ways than the label codes allow.
        """
        code_BWE = self.codes(len(label_BS), n_way, seed_B)
        if self.shape.mixer == "memory":
            support_BSD, label_BS, support_weight_BS = in_order(support_BSD, label_BS, support_weight_BS)
        given = (support_BSD, label_BS, query_BQD, code_BWE, support_weight_BS, turn)
        if self.shape.attention == "full":
            episodes, queries = query_BQD.shape[:2]
            scores_BQW: Tensor = self._scores(*one_query_each(*given), full=True)
            return scores_BQW.view(episodes, queries, n_way)
        return self._scores(*given, full=False)

    def _scores(
        self,
        support_BSD: Tensor,
        label_BS: Tensor,
        query_BQD: Tensor,
        code_BWE: Tensor,
        support_weight_BS: Tensor | None,
        turn: Turn | None,
        *,
        full: bool,
    ) -> Tensor:
        supports, n_way = label_BS.shape[1], code_BWE.shape[1]
        feature_BTD = torch.cat([support_BSD, query_BQD], dim=1)
        if self.shape.readout in MOVES:
            feature_BTD = feature_BTD + METRIC_RATE * feature_BTD @ self.metric
        seen_BTD = centred(feature_BTD, supports, support_weight_BS)
        token_BTE = self._read(turn.apply(seen_BTD) if turn else seen_BTD, label_BS, code_BWE, support_weight_BS, full)
        if self.shape.readout not in MOVES:
            out_BQX: Tensor = self.head(self.norm(token_BTE[:, supports:])).float()
            if self.shape.readout == "linear":
                return out_BQX[..., :n_way]
            likeness_BQW: Tensor = out_BQX @ code_BWE.float().mT * self.shape.width**-0.5
            return likeness_BQW
        out_BTX = self.head(self.norm(token_BTE)).float()
        moved_BTD = feature_BTD.float() + (turn.undo(out_BTX) if turn else out_BTX)
        with torch.autocast(moved_BTD.device.type, enabled=False):  # a factorisation needs its digits
            reader = self.parts if self.shape.readout == "parts" else READERS[self.shape.readout]
            scores_BQW = reader(moved_BTD[:, :supports], label_BS, moved_BTD[:, supports:], n_way, support_weight_BS)
        scaled_BQW: Tensor = TEMPERATURE * (TEMPERATURE_RATE * self.log_temperature).exp() * scores_BQW
        return scaled_BQW

    def _read(
        self, feature_BTD: Tensor, label_BS: Tensor, code_BWE: Tensor, support_weight_BS: Tensor | None, full: bool
    ) -> Tensor:
        """The transformer itself: supports, then queries in; a token each out [B, T, E]."""
        supports = label_BS.shape[1]
        queries = feature_BTD.shape[1] - supports
        label_BSE = label_BS.unsqueeze(-1).expand(-1, -1, self.shape.width)
        code_BSE = code_BWE.gather(1, label_BSE)
        code_BQE = self.codes.unknown_E.expand(len(label_BS), queries, -1)
        # unit rows have entries of about D ** -0.5: scale to 1 so that features and codes weigh the same
        token_BTE: Tensor = self.project(feature_BTD * self.shape.dimensions**0.5) + torch.cat([code_BSE, code_BQE], dim=1)
        hidden_B11T = None
        if support_weight_BS is not None:
            hidden_B11T = ((1 - support_weight_BS) * HIDDEN)[:, None, None, :]
            if full:
                hidden_B11T = torch.nn.functional.pad(hidden_B11T, (0, queries))
        seen = supports + queries if full else supports
        for block in self.blocks:
            token_BTE = block(token_BTE, seen, hidden_B11T)
        return token_BTE


def one_query_each(
    support_BSD: Tensor,
    label_BS: Tensor,
    query_BQD: Tensor,
    code_BWE: Tensor,
    support_weight_BS: Tensor | None,
    turn: Turn | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Turn | None]:
    """The same episodes, B * Q of them with a query each."""
    queries = query_BQD.shape[1]
    return (
        support_BSD.repeat_interleave(queries, 0),
        label_BS.repeat_interleave(queries, 0),
        query_BQD.flatten(0, 1).unsqueeze(1),
        code_BWE.repeat_interleave(queries, 0),
        None if support_weight_BS is None else support_weight_BS.repeat_interleave(queries, 0),
        turn and Turn(turn.sign_B1D.repeat_interleave(queries, 0), turn.matrix_DD),
    )


def centred(feature_BTD: Tensor, supports: int, support_weight_BS: Tensor | None = None) -> Tensor:
    """Features seen from the mean of the first `supports` ones, at unit length again (SimpleShot, arXiv 1911.04623).

    What all of an episode's classes share says nothing about which is which.
    """
    support_BSD = feature_BTD[:, :supports]
    if support_weight_BS is None:
        return normalize(feature_BTD - support_BSD.mean(dim=1, keepdim=True), dim=-1)
    weight_BS1 = support_weight_BS.unsqueeze(-1)
    mean_B1D = (support_BSD * weight_BS1).sum(dim=1, keepdim=True) / weight_BS1.sum(dim=1, keepdim=True)
    return normalize(feature_BTD - mean_B1D, dim=-1)


def save_learner(learner: Learner, path: Path, about: dict[str, Any] | None = None) -> None:
    """Write weights and configuration as safetensors, atomically. `about` (JSON) goes into the metadata."""
    metadata = {"shape": json.dumps(asdict(learner.shape), sort_keys=True), "about": json.dumps(about or {}, sort_keys=True)}
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in learner.state_dict().items()}, temporary, metadata=metadata)


def load_learner(path: Path, expected: Shape | None = None) -> Learner:
    """Read a learner. Raises ValueError (one line) if the file is none, or is not of the `expected` shape."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["shape"])
            shape = Shape(**(facts | {"parts": tuple(facts["parts"])}))
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
