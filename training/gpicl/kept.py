"""Trainings that have ended, kept until the stage has: one that is cut off goes on with the trainings that are missing."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pipelines.files import read_json, sha256_file, write_json
from pipelines.gpicl_settings import Gpicl
from training.checkpoints import CODE, digest
from training.collection import DomainTensors
from training.gpicl.trial import Trial

WHICH = {"models", "seeds", "remedies", "diagram"}  # settings that say which trainings there are, and bear on none


class Kept:
    """Results in `folder`, each under a digest of all that it depends on: trial, settings, domains, device and code."""

    def __init__(self, folder: Path, domains: Sequence[DomainTensors], settings: Gpicl, device: torch.device) -> None:
        self.folder = folder
        code = [*sorted((CODE / "gpicl").glob("*.py")), *sorted(CODE.glob("*.py"))]
        # without a projection, which tasks are unseen depends on the largest number that any training sees
        which = WHICH if settings.projection else WHICH - {"diagram"}
        self._depends = {
            "settings": settings.model_dump(mode="json", exclude=which),
            "domains": [digest(domain) for domain in domains],
            "device": str(device),
            "code": [sha256_file(path) for path in code],
            "torch": torch.__version__,
        }

    def get(self, trial: Trial) -> dict[str, Any] | None:
        """The result of a trial that has ended, or None."""
        path = self._path(trial)
        return read_json(path) if path.exists() else None

    def put(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """Keep a result, atomically."""
        write_json(self._path(trial), result)

    def _path(self, trial: Trial) -> Path:
        words = json.dumps(self._depends | {"trial": asdict(trial)}, sort_keys=True)
        return self.folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.json"


def forget(folder: Path) -> None:
    """Take all kept results away: the stage has written what it found."""
    shutil.rmtree(folder, ignore_errors=True)
