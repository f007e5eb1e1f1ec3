"""Finished trainings, each under a digest of all that it depends on: what stands here is never trained or judged again.

`<state>/trainings/<key>/` holds the learner, `about.json` and an `<episodes>.npy` of accuracies, with its SHA-256 behind it,
for each set of episodes it was judged on. Nothing here is an output of a stage: DVC neither deletes nor moves it,
and a folder taken away costs only time. What is damaged is told in a line, removed and made again.
"""

import hashlib
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.files import sha256_file, write_bytes, write_text
from training.learner import Learner, load_learner, save_learner

LEARNER, ABOUT = "learner.safetensors", "about.json"


def key_of(facts: Mapping[str, Any]) -> str:
    """A name for what the facts (JSON) say, the same for the same facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Store:
    """The trainings of one project."""

    folder: Path

    def finished(self, key: str) -> bool:
        """Whether a training was finished, whatever it was judged on."""
        return self.about(key) is not None

    def about(self, key: str) -> dict[str, Any] | None:
        """What is known of a finished training; None where there is none, or, said in a line, where it is damaged."""
        path = self.folder / key / ABOUT  # written last
        if not path.exists():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found | {"seconds": float(found["seconds"]), "learner": str(found["learner"])}
        except (ValueError, KeyError, TypeError):
            _damaged(path)
            return None

    def seconds(self, key: str) -> float | None:
        """How long a finished training took, judging included."""
        about = self.about(key)
        return float(about["seconds"]) if about else None

    def keep(self, key: str, learner: Learner, about: Mapping[str, Any]) -> None:
        """Keep a learner with `about`, `seconds` among it."""
        path = self.folder / key / LEARNER
        save_learner(learner, path)
        write_text(self.folder / key / ABOUT, json.dumps({**about, "learner": sha256_file(path)}, indent=2) + "\n")

    def learner(self, key: str) -> Learner | None:
        """The learner of a finished training; None where there is none, or, said in a line, where it is damaged."""
        about, path = self.about(key), self.folder / key / LEARNER
        if about is None:
            return None
        try:
            if path.exists() and sha256_file(path) == about["learner"]:
                return load_learner(path)
        except ValueError:
            pass
        _damaged(path)
        return None

    def keep_accuracies(self, key: str, episodes: str, accuracies_E: NDArray[np.float32]) -> None:
        """Keep the accuracy of each of these episodes."""
        file = io.BytesIO()
        np.save(file, accuracies_E, allow_pickle=False)
        write_bytes(self.folder / key / f"{episodes}.npy", file.getvalue() + hashlib.sha256(file.getvalue()).digest())

    def accuracies(self, key: str, episodes: str) -> NDArray[np.float32] | None:
        """The accuracy of each of these episodes; None where they were not judged, or, said in a line, are damaged."""
        path = self.folder / key / f"{episodes}.npy"
        if not path.exists():
            return None
        data, digest = (whole := path.read_bytes())[:-32], whole[-32:]
        if hashlib.sha256(data).digest() != digest:
            _damaged(path)
            return None
        found: NDArray[np.float32] = np.load(io.BytesIO(data), allow_pickle=False)
        return found


def _damaged(path: Path) -> None:
    print(f"  measure: {path} is damaged; it is made again", file=sys.stderr)
    path.unlink(missing_ok=True)
