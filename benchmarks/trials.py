"""What the trials of benchmarks.regimes and benchmarks.scaling share: real domains, judgement, results kept on disk, intervals.

Shape letters: H groups (held-out domains, or domain and shots), S seeds.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.training_settings import Training
from training.checkpoints import digest
from training.collection import DomainTensors, load_collection
from training.episodes import evaluation_episodes
from training.evaluate import Scorer, episode_accuracies

SHOTS = (1, 5)
QUERIES = 10
# the paper's read-out; rotations and rate by a trial (docs/regimes.md)
FORM: dict[str, Any] = {"readout": "linear", "label_codes": "learnable", "synthetic_share": 0.0, "learning_rate": 5e-3}


def collection_of(folder: Path) -> list[DomainTensors]:
    """Every domain of a project in which `dvc repro collect` has run, by name. Raises ValueError (one line) if it has not."""
    layout = Layout(folder)
    if not layout.manifest.exists():
        raise ValueError(f"{layout.manifest}: no collection here; run `dvc repro collect` in {folder} first")
    found = load_collection(layout, read_json(layout.manifest))
    return [found[name] for name in sorted(found)]


def held_out_accuracies(
    scorer: Scorer, domain: DomainTensors, episodes: int, seed: int, shots: Sequence[int] = SHOTS
) -> dict[str, float]:
    """Mean accuracy on new 5-way episodes of a domain, by shots."""
    found = {}
    for n_shot in shots:
        drawn = evaluation_episodes(domain, 5, n_shot, QUERIES, episodes, seed)
        found[str(n_shot)] = round(float(episode_accuracies(scorer, domain.features_ND, drawn).mean()), 5)
    return found


def state_of(domains: Sequence[DomainTensors], settings: Training, **more: Any) -> str:
    """A short digest of what every result of a run depends on beside its own key."""
    facts = {"domains": [digest(domain) for domain in domains], "settings": settings.model_dump(), **more}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


class Kept:
    """Results as JSON lines, each with its key: a run that was cut goes on where it was, one of another state starts anew."""

    def __init__(self, path: Path, state: str) -> None:
        self.path, self.state = path, state
        self.results: dict[str, dict[str, Any]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the process was killed while it wrote
            if row["state"] == state:
                self.results[row["key"]] = row["result"]

    def __contains__(self, key: str) -> bool:
        return key in self.results

    def add(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep a result."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        begun = self.path.read_bytes() if self.path.exists() else b"\n"
        with self.path.open("a", encoding="utf-8") as file:
            torn = "" if begun.endswith(b"\n") else "\n"
            file.write(torn + json.dumps({"state": self.state, "key": key, "result": result}) + "\n")
        self.results[key] = dict(result)


def over_seeds(values_HS: Sequence[Sequence[float]]) -> tuple[float, float | None]:
    """Mean over groups and half of its 95 % interval, None for one seed: groups are fixed, seeds are drawn.

    A seed stands for weights, training and judged episodes, other ones in each group; so the squared standard error is the sum
    of the groups' s^2 / S over H^2, and Student's t has H (S - 1) degrees of freedom.
    """
    table_HS = np.asarray(values_HS, dtype=np.float64)
    groups, seeds = table_HS.shape
    mean = float(table_HS.mean())
    if seeds < 2:
        return mean, None
    error = float(np.sqrt((table_HS.var(axis=1, ddof=1) / seeds).sum())) / groups
    return mean, float(student.ppf(0.975, groups * (seeds - 1))) * error


def told(mean: float, half: float | None, *, signed: bool = False) -> str:
    """A mean with its interval, as a cell."""
    text = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    text = text.replace("0.", ".", 1)
    return text if half is None else f"{text} ± {half:.3f}".replace("± 0.", "± .")
