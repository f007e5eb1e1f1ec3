"""The regimes beside each other, every domain held out once: `python -m benchmarks.regimes PROJECT [--quick]`.

PROJECT is one in which `dvc repro collect` has run, with `curation.splits.by: image` and `encoding.views: 10`; docs/regimes.md
says how the eight real sets come there. Every training takes as many steps of as many episodes. Prints Markdown: accuracy on
the domain that was held out, less that of GEOM on the same episodes; and, on images of the trained domains that no training
saw, what was kept of each. Results are kept in PROJECT/reports/regimes.jsonl, so a run that was cut goes on.

Shape letters: H held-out domains, S seeds.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.trials import FORM, SHOTS, Kept, collection_of, held_out_accuracies, over_seeds, state_of, told
from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.settings import validate
from pipelines.training_settings import Training
from training.baselines import BASELINES
from training.budget import within_budget
from training.collection import DomainTensors
from training.episodes import evaluation_episodes
from training.feature_parts import feature_parts
from training.measure.continual import Continual, continual
from training.measure.in_turn import Judged, accuracies, train_in_turn
from training.parts_readout import Parts
from training.regimes import single_domain
from training.train import train

GEOM = "GEOM"
ORDERS = ("given", "easy_to_hard", "hard_to_easy", "by_subject", "random")
REPLAY = 0.3
EQUAL = "GEOM, cut to the same"
METHODS: dict[str, dict[str, Any]] = {
    GEOM: {},
    "GEOM-M": {"regime": "merged"},
    **{f"GEOM-S {order.replace('_', ' ')}": {"regime": "sequence", "order": order} for order in ORDERS},
    f"GEOM-S given, replay {REPLAY}": {"regime": "sequence", "replay": REPLAY},
    "GEOM-U": {"regime": "pseudo"},
    "single": {"regime": "single"},
    EQUAL: {},
}
CUT = ("single", EQUAL)  # to the classes and images that both can have
DEFAULT = "default read-out: "
DEFAULT_METHODS = (GEOM, "GEOM-M", "GEOM-S given", "GEOM-U", "single")
TRAINED_SHOTS = 3  # what images outside of split train allow


class Sizes(NamedTuple):
    """How much work a run is."""

    steps: int = 300
    default_steps: int = 100
    episodes: int = 200
    trained_episodes: int = 40


class Trial(NamedTuple):
    """One training, or a baseline where `method` is none of METHODS."""

    seed: int
    fold: int
    method: str


def trials(folds: int, seeds: int) -> Iterator[Trial]:
    """All of them, one seed after another, so that what there is when a run is cut is a whole table of fewer seeds."""
    for seed in range(seeds):
        for fold in range(folds):
            yield from (Trial(seed, fold, method) for method in (*BASELINES, *METHODS))
    for fold in range(folds):
        yield from (Trial(0, fold, DEFAULT + method) for method in DEFAULT_METHODS)


def settings_of(method: str, domains: Sequence[DomainTensors], seed: int) -> Training:
    """The settings of a method on these train domains."""
    name = method.removeprefix(DEFAULT)
    form = {} if name != method else FORM
    settings = validate(Training, form | METHODS[name], name)
    if name not in CUT:
        return settings
    single = [single_domain(domains, settings)]
    able = Training.model_validate(form | {"budget": {"classes": classes_of(single[0], settings)}})
    images = min(int(sum(kept.sum() for kept in within_budget(part, able, seed))) for part in (single, domains))
    return settings.model_copy(update={"budget": able.budget.model_copy(update={"images": images})})


def classes_of(domain: DomainTensors, settings: Training) -> int:
    """Classes of a domain with images enough for the largest episode."""
    train = domain.in_splits("train")
    return int((torch.bincount(train.class_N) > settings.max_shot).sum())


def judged_of(domains: Sequence[DomainTensors], episodes: int, seed: int) -> Judged:
    """Episodes of the images that no training sees, by domain."""
    parts = [domain.in_splits("validation", "test") for domain in domains]
    return {part.name: (part.features_ND, evaluation_episodes(part, 5, TRAINED_SHOTS, 10, episodes, seed)) for part in parts}


def result_of(trial: Trial, collection: Sequence[DomainTensors], sizes: Sizes, parts: Parts | None) -> dict[str, Any]:
    """Train on all domains but one and judge on that one, and on what was kept back of the others."""
    held_out = collection[trial.fold]
    seed = 100 * trial.seed + trial.fold
    if trial.method in BASELINES:
        return {"held_out": held_out_accuracies(BASELINES[trial.method], held_out, sizes.episodes, seed)}
    domains = [domain for domain in collection if domain is not held_out]
    settings = settings_of(trial.method, domains, seed)
    judged = judged_of(domains, sizes.trained_episodes, seed)
    steps = sizes.default_steps if trial.method.startswith(DEFAULT) else sizes.steps
    used = parts if settings.readout == "parts" else None
    started = time.monotonic()
    found: dict[str, Any] = {}
    if settings.regime == "sequence":
        in_turn = train_in_turn(domains, settings, judged, steps=steps, seed=seed, parts=used)
        learner, (accuracy_TT, untrained_T) = in_turn.learner, in_turn.own()
        found |= {"order": in_turn.order, "accuracy": accuracy_TT.tolist(), "untrained": untrained_T.tolist()}
    else:
        learner = train(domains, settings, steps=steps, seed=seed, parts=used)
    found["seconds"] = round(time.monotonic() - started, 1)
    found["trained"] = accuracies(learner, judged)
    return found | {"held_out": held_out_accuracies(learner, held_out, sizes.episodes, seed)}


def table(kept: Kept, folds: int, seeds: int) -> Iterator[str]:
    """Rows of Markdown over the seeds that all folds of a method and of GEOM have."""
    heads = ["trained by", "1 shot", "less GEOM", "5 shots", "less GEOM", "trained domains: ACC", "BWT", "FWT", "forgetting"]
    yield f"| {' | '.join([*heads, 'seeds'])} |"
    yield "|---" * (len(heads) + 1) + "|"
    for method in (*BASELINES, *METHODS, *(DEFAULT + name for name in DEFAULT_METHODS)):
        beside = DEFAULT + GEOM if method.startswith(DEFAULT) else GEOM
        whole = [s for s in range(seeds) if all(str((s, f, m)) in kept for f in range(folds) for m in (method, beside))]
        if whole:
            results = [[kept.results[str((s, f, method))] for s in whole] for f in range(folds)]
            others = [[kept.results[str((s, f, beside))] for s in whole] for f in range(folds)]
            yield f"| {' | '.join([method, *cells(results, others, same=method == beside), str(len(whole))])} |"


def cells(results: list[list[dict[str, Any]]], others: list[list[dict[str, Any]]], *, same: bool) -> Iterator[str]:
    """A method's figures from its results by fold and seed, and those of what it is compared with."""
    for n_shot in map(str, SHOTS):
        own_HS = [[result["held_out"][n_shot] for result in fold] for fold in results]
        other_HS = [[result["held_out"][n_shot] for result in fold] for fold in others]
        less_HS = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(own_HS, other_HS, strict=True)]
        yield told(*over_seeds(own_HS))
        yield "" if same else told(*over_seeds(less_HS), signed=True)
    if "trained" not in results[0][0]:
        yield from [""] * 4
        return
    yield told(*over_seeds([[sum(result["trained"]) / len(result["trained"]) for result in fold] for fold in results]))
    if "accuracy" not in results[0][0]:
        yield from [""] * 3
        return
    measures = [[measures_of(result) for result in fold] for fold in results]
    for name in ("bwt", "fwt", "forgetting"):
        yield told(*over_seeds([[getattr(found, name) for found in fold] for fold in measures]), signed=name != "forgetting")


def measures_of(result: dict[str, Any]) -> Continual:
    """The continual measures of a training in turn."""
    return continual(torch.tensor(result["accuracy"]), torch.tensor(result["untrained"]))


def main() -> None:
    """Do what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--quick", action="store_true", help="two folds, one seed, few steps: whether it runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only print what there is")
    asked = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    collection = collection_of(asked.project)
    layout = Layout(asked.project)
    parts = feature_parts(layout, read_json(layout.manifest))
    sizes = Sizes(14, 7, 20, 10) if asked.quick else Sizes()
    folds, seeds = (2, 1) if asked.quick else (len(collection), asked.seeds)
    kept = Kept(layout.reports / "regimes.jsonl", state_of(collection, validate(Training, FORM, "FORM"), sizes=sizes))
    todo = [trial for trial in trials(folds, seeds) if str(tuple(trial)) not in kept]
    for done, trial in enumerate([] if asked.table else todo, 1):
        result = result_of(trial, collection, sizes, parts)
        kept.add(str(tuple(trial)), result)
        told_now = f"{done} of {len(todo)}: seed {trial.seed}, {collection[trial.fold].name} held out, {trial.method}: "
        print(told_now + str(result["held_out"]) + f" {result.get('seconds', '')} s", file=sys.stderr, flush=True)
    print("\n".join(table(kept, folds, seeds)))


if __name__ == "__main__":
    main()
