"""Checkpoints of a training that goes on: weights, the best ones, AdamW's moments and the log so far, as safetensors.

A training that was cut off goes on from its last one to the very weights that it would have had. That holds only for the same
training, so what the weights depend on stands in the file, and a checkpoint of anything else is passed over.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipelines.files import abandoned, atomic_path, sha256_file
from pipelines.training_settings import Training
from training.best import Best
from training.collection import DomainTensors
from training.device import Place
from training.learner import Learner
from training.log import COLUMNS, DOMAIN_COLUMNS, Log

NO_BEARING = {"checkpoint_every", "keep", "tensorboard"}  # settings that leave the weights, best and last, as they are
MACHINE = {"device", "precision", "compile"}  # what they come to on this machine is in the place
STATE = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, for each parameter that had a gradient
CODE = Path(__file__).parent
ENTRIES = ("train", "evaluate", "episodes")  # where training and judging begin
IMPORTED = re.compile(r"^\s*from training\.(\w+) import", re.MULTILINE)


def depends_on(
    domains: Sequence[DomainTensors],
    settings: Training,
    place: Place,
    learner: Learner,
    *,
    steps: int,
    seed: int,
    ranks: int = 1,
) -> dict[str, Any]:
    """All that the weights of a training depend on, by name, as JSON has it: settings, data, learner, place and code."""
    named = {f"training.{name}": value for name, value in settings.model_dump(exclude=NO_BEARING | MACHINE).items()}
    found = named | {
        "training.steps": steps,
        "training.seed": seed,
        "the domains' features": [[domain.name, digest(domain)] for domain in domains],
        "the learner's shape": asdict(learner.shape),
        "the device": str(place),
        "the number of processes": ranks,
        "the code": code_digest(),
    }
    read: dict[str, Any] = json.loads(json.dumps(found))
    return read


@cache
def code_digest() -> str:
    """Hex SHA-256 of the code that weights and their accuracies depend on: what training and judging import of this package."""
    found: set[str] = set()
    waiting = list(ENTRIES)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += IMPORTED.findall((CODE / f"{name}.py").read_text(encoding="utf-8"))
    return hashlib.sha256(
        "".join(f"{name} {sha256_file(CODE / f'{name}.py')}\n" for name in sorted(found)).encode()
    ).hexdigest()


def digest(domain: DomainTensors) -> str:
    """Hex SHA-256 of all that a training sees of a domain."""
    found = hashlib.sha256()
    for field in fields(domain):
        value = getattr(domain, field.name)
        found.update(field.name.encode())
        found.update(value.contiguous().numpy().data if isinstance(value, Tensor) else repr(value).encode())
    return found.hexdigest()


class Checkpoints:
    """The last checkpoint of one training, in `path`, written every so many steps. `tells`: says on stderr what it finds."""

    def __init__(
        self, path: Path, every: int, depends: Mapping[str, Any], *, best: Best | None = None, tells: bool = True
    ) -> None:
        self.path, self.every, self.depends, self.best, self.tells = path, every, dict(depends), best or Best(), tells

    def due(self, done: int) -> bool:
        """Whether one is written after so many steps."""
        return done % self.every == 0

    def save(self, learner: Learner, optimiser: torch.optim.Optimizer, log: Log, done: int) -> None:
        """Replace the last checkpoint, atomically. Raises ValueError (one line) if a loss is not a finite number."""
        tensors = {f"weights.{name}": tensor for name, tensor in learner.state_dict().items()} | {"recent": log.recent_N2(done)}
        for name, parameter in learner.named_parameters():
            tensors |= {f"{kind}.{name}": tensor for kind, tensor in optimiser.state.get(parameter, {}).items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.weights.items()}
        about = {"depends": self.depends, "done": done, "seconds": log.seconds()}
        about |= {"rows": log.rows, "domain_rows": log.domain_rows, "best": [self.best.step, self.best.accuracy]}
        with atomic_path(self.path) as temporary:
            whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(whole, temporary, metadata={"checkpoint": json.dumps(about)})

    def resume(self, learner: Learner, optimiser: torch.optim.Optimizer, log: Log) -> int:
        """Put a training where its last checkpoint left it; returns how many steps are done, 0 where there is none of it.

        Raises ValueError (one line) if the file is no whole checkpoint.
        """
        if not self.path.exists():
            return 0
        try:
            with safe_open(self.path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["checkpoint"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            other = [name for name, value in self.depends.items() if about["depends"].get(name) != value]
            if not other and about["depends"].keys() == self.depends.keys():
                return self._take_up(learner, optimiser, log, about, tensors)
        except (SafetensorError, OSError, KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())
            raise ValueError(f"{self.path}: expected a checkpoint of a training ({said}); delete it and run again") from None
        what = f"{', '.join(other[:3])}{' and more' if other[3:] else ''}" if other else "its settings"
        self._say(f"{self.path} is passed over, a checkpoint of another training ({what} differ)")
        return 0

    def _take_up(
        self, learner: Learner, optimiser: torch.optim.Optimizer, log: Log, about: Mapping[str, Any], tensors: dict[str, Tensor]
    ) -> int:
        done, rows, domain_rows = int(about["done"]), about["rows"], about["domain_rows"]
        for found, columns in ((rows, COLUMNS), (domain_rows, DOMAIN_COLUMNS)):
            if any(tuple(row) != columns for row in found):
                raise ValueError(f"rows of the log with the columns {', '.join(columns)}")
        state = {}
        for number, (name, parameter) in enumerate(learner.named_parameters()):
            found = {kind: tensors[f"{kind}.{name}"] for kind in STATE if f"{kind}.{name}" in tensors}
            if found and any(found[kind].shape != parameter.shape for kind in ("exp_avg", "exp_avg_sq")):
                raise ValueError(f"{name}: moments of another shape than the weights")
            if found:
                state[number] = found
        weights = {name: tensors[f"weights.{name}"] for name in learner.state_dict()}
        learner.load_state_dict(weights)
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        step, accuracy = about["best"]
        best = {} if accuracy is None else {name: tensors[f"best.{name}"] for name in weights}
        self.best.take_up(best, step, accuracy)
        log.goes_on(rows, domain_rows, tensors["recent"], float(about["seconds"]))
        self._say(f"goes on after step {done}, from {self.path}")
        return done

    def _say(self, line: str) -> None:
        if self.tells:
            print(f"  train: {line}", file=sys.stderr)


def remove(path: Path) -> None:
    """Take away the checkpoint of a training whose learner is saved, and its folder if nothing else is in it."""
    path.unlink(missing_ok=True)
    for stale in abandoned(path.parent, ()):
        stale.unlink()
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()
