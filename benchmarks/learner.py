"""The learner's settings on trial: domains are held out, the learner is trained on the others and judged on them.

    python -m benchmarks.learner FOLDER [--judge NAME ...] [--folds N] [--steps N] [--seeds N ...] [--set NAME=VALUE ...]

FOLDER is a project with a collected `collections/manifest.json`, or holds one <domain>.safetensors a domain with the tensors
`features` [N, D] and `labels` [N], and the encoder's `encoder.safetensors` if the features have parts. Domains named by
`--judge` are held out together; without it every domain is held out once, in `--folds` trainings. Prints Markdown: a row for
each domain judged and one for their mean, of the learner's accuracy less the class mean's and less ridge's over the same
episodes, in points, with 95 % intervals over episodes (seeds count as episodes more).
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors.torch import load_file

from pipelines.encoders import Encoder
from pipelines.encoders.parts import parts
from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.settings import validate
from pipelines.training_settings import Training
from training.baselines import BASELINES
from training.collection import DomainTensors, load_collection, unit_rows
from training.episodes import evaluation_episodes
from training.evaluate import Scorer, episode_accuracies, interval, mean_interval
from training.feature_parts import feature_parts
from training.parts_readout import Parts
from training.train import train

SHOTS = (1, 5)
EPISODES = 600
QUERIES = 15
BESIDE = ("class_mean", "ridge")
Differences = dict[tuple[str, int, str], list[NDArray[np.float32]]]  # (domain, shots, baseline): a list of seeds


def read(folder: Path) -> tuple[dict[str, DomainTensors], Parts | None]:
    """Every domain in the folder by name, and the parts of their features. Raises ValueError if there are fewer than two."""
    layout = Layout(folder)
    if layout.manifest.exists():
        manifest = read_json(layout.manifest)
        domains, found = load_collection(layout, manifest), feature_parts(layout, manifest)
    else:
        encoder = folder / "encoder.safetensors"
        domains = {path.stem: plain_domain(path) for path in sorted(folder.glob("*.safetensors")) if path != encoder}
        found = None
        if encoder.exists():
            basis_DE, sizes = parts(Encoder.load(encoder))
            found = Parts(torch.from_numpy(basis_DE), sizes)
    if len(domains) < 2:
        raise ValueError(f"{folder}: expected at least 2 domains, found {len(domains)}")
    return domains, found


def plain_domain(path: Path) -> DomainTensors:
    """A domain from a file of features and labels; all of its images may be trained on."""
    tensors = load_file(path)
    labels_N = tensors["labels"].long()
    count = len(labels_N)
    names = tuple(str(number) for number in range(int(labels_N.max()) + 1))
    return DomainTensors(
        path.stem, unit_rows(tensors["features"].float()), labels_N, torch.arange(count), ("train",) * count, names
    )


def folds_of(names: Sequence[str], judge: Sequence[str], folds: int) -> list[list[str]]:
    """Domains to hold out together. Raises ValueError for a name that is none."""
    if unknown := sorted(set(judge) - set(names)):
        raise ValueError(f"--judge {unknown[0]}: expected one of {', '.join(names)}")
    return [list(judge)] if judge else [found for fold in range(folds) if (found := list(names[fold::folds]))]


def trials(
    domains: Mapping[str, DomainTensors], held: Sequence[Sequence[str]], settings: Training, seed: int, found: Parts | None
) -> Iterator[tuple[str, int, str, NDArray[np.float32]]]:
    """(domain, shots, baseline, the learner's accuracy less the baseline's in each episode)."""
    for held_out in held:
        others = [domain for name, domain in domains.items() if name not in held_out]
        learner = train(others, settings, steps=settings.steps, seed=seed, parts=found)
        scorers: dict[str, Scorer] = {"learner": learner} | {name: BASELINES[name] for name in BESIDE}
        for name in held_out:
            for n_shot in SHOTS:
                drawn = evaluation_episodes(domains[name], settings.n_way, n_shot, QUERIES, EPISODES, seed)
                right = {who: episode_accuracies(scorers[who], domains[name].features_ND, drawn) for who in scorers}
                for who in BESIDE:
                    yield name, n_shot, who, right["learner"] - right[who]


def table(differences: Differences) -> Iterator[str]:
    """Markdown: a row for each domain, and their mean."""
    columns = [(n_shot, who) for n_shot in SHOTS for who in BESIDE]
    named = [f"{n_shot} shot{'s' * (n_shot > 1)} - {who.replace('_', ' ')}" for n_shot, who in columns]
    yield f"| judged on | {' | '.join(named)} |"
    yield f"|---|{'---|' * len(named)}"
    names = list(dict.fromkeys(name for name, _, _ in differences))
    for name in names:
        cells = [points(interval(np.concatenate(differences[name, *column]))) for column in columns]
        yield f"| {name} | {' | '.join(cells)} |"
    means = [mean_interval([np.concatenate(differences[name, *column]) for name in names]) for column in columns]
    yield f"| **mean** | {' | '.join(points(mean) for mean in means)} |"


def points(found: tuple[float, float, float]) -> str:
    """A mean with its interval, in points."""
    mean, low, high = (100 * value for value in found)
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--judge", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a training parameter")
    asked = parser.parse_args()
    changes = {name: yaml.safe_load(value) for name, value in (text.split("=", 1) for text in asked.set)}
    settings = validate(Training, changes | ({"steps": asked.steps} if asked.steps else {}), "--set")
    domains, found = read(asked.folder)
    held = folds_of(sorted(domains), asked.judge, asked.folds)
    differences: Differences = {}
    started = time.monotonic()
    for seed in asked.seeds:
        for name, n_shot, who, difference in trials(domains, held, settings, seed, found):
            differences.setdefault((name, n_shot, who), []).append(difference)
    seconds = (time.monotonic() - started) / len(asked.seeds) / len(held)
    print(f"{', '.join(asked.set) or 'defaults'}; {settings.steps} steps, seeds {asked.seeds}, {seconds:.0f} s a training\n")
    print("\n".join(table(differences)))


if __name__ == "__main__":
    main()
