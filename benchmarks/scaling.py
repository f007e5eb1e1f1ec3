"""Held-out accuracy by what a training sees, at a fixed budget: `python -m benchmarks.scaling PROJECT [--quick]`.

PROJECT is one in which `dvc repro collect` has run (docs/regimes.md). The domain with most classes is always trained on; of the
others every second one is held out, then the rest, so each is judged once. Steps and episodes are the same for every training.
- classes by images: every pair of CLASSES in all and IMAGES a class, of all train domains;
- domains: FEW_CLASSES classes with FEW_IMAGES images each, of one, two and three domains, drawn by lot, and of all.

Prints Markdown, and writes all results as a table for the figure: docs/pictures/scaling.csv, unless --quick. Results are kept
in PROJECT/reports/scaling.jsonl, so a run that was cut goes on. `python -m benchmarks.scaling_figure` draws.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import torch

from benchmarks.scaling_figure import DATA, rows_of_table
from benchmarks.trials import FORM, Kept, collection_of, held_out_accuracies, state_of
from pipelines.settings import validate
from pipelines.training_settings import Training
from training.collection import DomainTensors
from training.noise import key, uniform
from training.train import train

CLASSES = (25, 50, 100, 200)
IMAGES = (4, 8, 16)  # of a class
FEW_CLASSES, FEW_IMAGES = 25, 8
FEW_DOMAINS = (1, 2, 3)
MAX_SHOT = 3  # four images of a class are the supports and a query
SHOTS = (1, 3)
FOLDS = 2
DOMAINS = 61  # keeps the lot of the domains apart from other noise


class Sizes(NamedTuple):
    """How much work a run is."""

    steps: int = 300
    episodes: int = 200


class Trial(NamedTuple):
    """One training; `domains` is None for all."""

    seed: int
    fold: int
    domains: int | None
    classes: int
    images: int  # of a class


def trials(seeds: int) -> Iterator[Trial]:
    """All of them, one seed after another."""
    for seed in range(seeds):
        for fold in range(FOLDS):
            yield from (Trial(seed, fold, None, classes, images) for classes in CLASSES for images in IMAGES)
            yield from (Trial(seed, fold, domains, FEW_CLASSES, FEW_IMAGES) for domains in FEW_DOMAINS)


def sides(collection: Sequence[DomainTensors], fold: int) -> tuple[list[DomainTensors], list[DomainTensors]]:
    """Train domains, every image to be trained on and the one with most classes first, and held-out domains."""
    largest = max(collection, key=lambda domain: len(domain.classes))
    others = [domain for domain in collection if domain is not largest]
    held_out = others[fold::FOLDS]
    seen = [largest, *(domain for domain in others if not any(domain is one for one in held_out))]
    return [replace(domain, split_N=("train",) * len(domain.split_N)) for domain in seen], held_out


def drawn_domains(domains: Sequence[DomainTensors], count: int, classes: int, seed: int) -> list[DomainTensors]:
    """So many domains by lot, of which the first has all the classes that are asked for, so that it can stand alone."""
    lot = [domains[place] for place in uniform(key(seed, DOMAINS), len(domains)).argsort().tolist()]
    first = next(domain for domain in lot if len(domain.classes) >= classes)
    return [first, *(domain for domain in lot if domain is not first)][:count]


def result_of(trial: Trial, collection: Sequence[DomainTensors], sizes: Sizes) -> dict[str, Any]:
    """Train on what the trial says and judge on each held-out domain."""
    seed = 100 * trial.seed + trial.fold
    domains, held_out = sides(collection, trial.fold)
    if trial.domains is not None:
        domains = drawn_domains(domains, trial.domains, trial.classes, seed)
    budget = {"classes": trial.classes, "images": trial.classes * trial.images}
    settings = validate(Training, FORM | {"max_shot": MAX_SHOT, "budget": budget}, "budget")
    learner = train(domains, settings, steps=sizes.steps, seed=seed)
    judged = {domain.name: held_out_accuracies(learner, domain, sizes.episodes, seed, SHOTS) for domain in held_out}
    return {"domains": len(domains), "held_out": judged}


def as_table(kept: Kept, wanted: Sequence[Trial]) -> pl.DataFrame:
    """A row for each training that is done, held-out domain and number of shots."""
    rows = []
    for trial in wanted:
        result = kept.results.get(str(tuple(trial)))
        for name, found in result["held_out"].items() if result else ():
            for n_shot, accuracy in found.items():
                asked = (trial.seed, trial.domains or 0, result["domains"], trial.classes, trial.images)
                rows.append((*asked, name, int(n_shot), accuracy))
    names = ("seed", "few", "domains", "classes", "images_a_class", "held_out", "shots", "accuracy")
    return pl.DataFrame(rows, schema=names, orient="row")


def main() -> None:
    """Do what is not done yet, print the table and write the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--quick", action="store_true", help="one seed, few steps: whether it runs")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    collection = collection_of(asked.project)
    sizes = Sizes(10, 20) if asked.quick else Sizes()
    state = state_of(collection, validate(Training, FORM, "FORM"), sizes=sizes, max_shot=MAX_SHOT)
    kept = Kept(asked.project / "reports" / "scaling.jsonl", state)
    wanted = list(trials(1 if asked.quick else asked.seeds))
    todo = [trial for trial in wanted if str(tuple(trial)) not in kept]
    for done, trial in enumerate(todo, 1):
        kept.add(str(tuple(trial)), result_of(trial, collection, sizes))
        print(f"{done} of {len(todo)}: {trial}", file=sys.stderr, flush=True)
    results = as_table(kept, wanted)
    print("\n".join(rows_of_table(results)))
    if not asked.quick:
        results.write_csv(DATA)


if __name__ == "__main__":
    main()
