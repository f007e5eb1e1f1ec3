"""Leave-some-out trial of the learner's settings: every domain is held out once, by settings and by fold.

    python -m benchmarks.learner FOLDER [--steps N] [--set NAME=VALUE ...] [--seed N]

FOLDER is a project with a collected `collections/manifest.json`, or holds one <domain>.safetensors a domain with the tensors
`features` [N, D] and `labels` [N]. Prints a Markdown row for docs/learner.md: the learner's mean held-out accuracy less the
class mean's and less ridge's over the same episodes, at 1 and 5 shots, with 95 % intervals over episodes, and the seconds of a
training.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors.torch import load_file

from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.settings import validate
from pipelines.training_settings import Training
from training.baselines import BASELINES
from training.collection import DomainTensors, load_collection, unit_rows
from training.episodes import evaluation_episodes
from training.evaluate import Scorer, episode_accuracies, mean_interval
from training.train import train

SHOTS = (1, 5)
EPISODES = 200
QUERIES = 10
FOLDS = 3


def domains_of(folder: Path) -> list[DomainTensors]:
    """Every domain in the folder, by name. Raises ValueError if there are fewer than the folds."""
    layout = Layout(folder)
    if layout.manifest.exists():
        found = list(load_collection(layout, read_json(layout.manifest)).values())
    else:
        found = [plain_domain(path) for path in sorted(folder.glob("*.safetensors"))]
    if len(found) < FOLDS:
        raise ValueError(f"{folder}: expected at least {FOLDS} domains, found {len(found)}")
    return sorted(found, key=lambda domain: domain.name)


def plain_domain(path: Path) -> DomainTensors:
    """A domain from a file of features and labels; all of its images may be trained on."""
    tensors = load_file(path)
    labels_N = tensors["labels"].long()
    count = len(labels_N)
    names = tuple(str(number) for number in range(int(labels_N.max()) + 1))
    return DomainTensors(
        path.stem, unit_rows(tensors["features"].float()), labels_N, torch.arange(count), ("train",) * count, names
    )


def trial(
    domains: Sequence[DomainTensors], settings: Training, steps: int, seed: int
) -> tuple[dict[int, list[tuple[float, float, float]]], float]:
    """Hold out every third domain in turn.

    Returns the intervals of learner - class mean and of learner - ridge by shots, and the seconds of a training.
    """
    differences: dict[tuple[int, str], list[NDArray[np.float32]]] = {}
    seconds = 0.0
    for fold in range(FOLDS):
        started = time.monotonic()
        learner = train([d for i, d in enumerate(domains) if i % FOLDS != fold], settings, steps=steps, seed=seed)
        seconds += time.monotonic() - started
        for domain in domains[fold::FOLDS]:
            for n_shot in SHOTS:
                episodes = evaluation_episodes(domain, settings.n_way, n_shot, QUERIES, EPISODES, seed)
                scorers: dict[str, Scorer] = {"learner": learner, **BASELINES}
                found = {name: episode_accuracies(scorers[name], domain.features_ND, episodes) for name in scorers}
                for name in ("class_mean", "ridge"):
                    differences.setdefault((n_shot, name), []).append(found["learner"] - found[name])
    return {s: [mean_interval(differences[s, name]) for name in ("class_mean", "ridge")] for s in SHOTS}, seconds / FOLDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a training parameter")
    asked = parser.parse_args()
    changes = {name: yaml.safe_load(value) for name, value in (text.split("=", 1) for text in asked.set)}
    settings = validate(Training, changes, "--set")
    steps = asked.steps or settings.steps
    found, seconds = trial(domains_of(asked.folder), settings, steps, asked.seed)
    cells = [f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]" for s in SHOTS for mean, low, high in found[s]]
    named = ", ".join(asked.set) or "defaults"
    print(f"| {named}; {steps} steps, seed {asked.seed} | {' | '.join(cells)} | {seconds:.0f} s |")


if __name__ == "__main__":
    main()
