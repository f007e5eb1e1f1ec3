"""The numbers of the report, in the fixed form of `reports/metrics.json`: later work adds to it and renames nothing.

Accuracies are shares, 0 to 1; every interval is 95 %: of `held_out` over episodes, of all others over seeds and episodes.
`removal` is what is lost when a domain is taken out, V(full) - V(without): positive where the domain helps.
`replacement` is V(replaced) - V(full): positive where the spare helps more. docs/measures.md defines the others.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.params import Runner
from training.evaluate import interval, mean_interval
from training.measure.design import Company
from training.measure.related import foretold, locality, transfer
from training.measure.sequence import continual_of
from training.measure.shots import judged_at, shots
from training.measure.worth import MEAN, Question, values_of, worth
from training.report.inputs import Inputs
from training.report.planted import totals
from training.report.stage_times import before_report
from training.report.swap_cost import swap_cost

Interval = dict[str, float]  # mean, low, high
Accuracies = dict[str, NDArray[np.float64]]  # held-out domain -> accuracy of each episode
LEARNERS = ("learner", "class_mean", "ridge", "knn")
COMPARED = ("class_mean", "ridge")


def metrics(inputs: Inputs, scored: pl.DataFrame) -> dict[str, Any]:
    """All of metrics.json. `scored` is what `planted.score` found."""
    results = inputs.results
    return {
        "held_out": held_out(results),
        **worth_of(inputs),
        "training": training(inputs.learner),
        "curation": {name: dict(domain.stats["verdicts"]) for name, domain in inputs.domains.items()},
        "planted": totals(scored),
        "swap_cost": swap_cost(inputs.stages, inputs.trainings, inputs.in_role("train"), Runner().here),
        "seconds": {time.stage: time.seconds for time in before_report(inputs.stages)},
    }


def training(learner: Mapping[str, str]) -> dict[str, Any]:
    """training.domain_weights, training.shares.<train domain>: how often an episode was of each; by the model's file."""
    about = json.loads(learner.get("about", "{}"))
    return {name: about[name] for name in ("domain_weights", "shares") if name in about}


def held_out(results: pl.DataFrame) -> dict[str, Any]:
    """held_out.<domain|mean>.<n>_shot.<learner or difference>: accuracies of the trained learner and the baselines."""
    tables: dict[str, Any] = {}
    for n_shot in shots(results.filter(pl.col("subset").is_null())):
        found = {name: accuracies(results, None, n_shot, name) for name in LEARNERS}
        columns = {name: found[name] for name in LEARNERS if found[name]}
        for other in COMPARED:
            if found["learner"] and found[other]:
                columns[f"learner_minus_{other}"] = difference(found["learner"], found[other])
        for name, by_domain in columns.items():
            bounds = (-1.0, 1.0) if "minus" in name else (0.0, 1.0)
            for domain, value in over_domains(by_domain, bounds).items():
                tables.setdefault(domain, {}).setdefault(f"{n_shot}_shot", {})[name] = value
    return tables


def worth_of(inputs: Inputs) -> dict[str, Any]:
    """removal, replacement, replaceability and what else the designs allow (training/measure/worth.py), with transfer.<domain>.
    <judged on>, locality and similarity (training/measure/related.py), continual.<acc, bwt, fwt, forgetting> (sequence.py)."""
    asked, company = inputs.asked, Company(*(tuple(inputs.listed(role)) for role in ("train", "spare")))
    n_shot = judged_at(inputs.results)
    values = values_of(inputs.results, n_shot, inputs.in_role("held_out"))
    found = worth(values, Question(company, asked["margin"], asked["random_subsets"], asked["seed"]))
    more = {
        "transfer": transfer(inputs.results, n_shot, (*company.train, *company.spares)),
        "locality": locality(found["removal"], inputs.similarity),
        "continual": continual_of(inputs.sequence),
        "similarity": foretold(found["replacement"], inputs.similarity),
    }
    return found | {name: table for name, table in more.items() if table}


def accuracies(results: pl.DataFrame, subset: Sequence[str] | None, n_shot: int, learner: str = "learner") -> Accuracies:
    """Accuracy of every episode, [E] a held-out domain, mean over the seeds; empty where the subset was not measured.

    `subset` in any order; None for stage train's learner and the baselines.
    """
    main = pl.col("subset").is_null()
    held_out = results.filter(main)["domain"].unique(maintain_order=True).implode()
    rows = results.filter(
        main if subset is None else pl.col("subset").list.sort() == sorted(subset),
        pl.col("domain").is_in(held_out),
        n_shot=n_shot,
        learner=learner,
    )
    seeds: dict[str, list[list[float]]] = {}
    for name, values in rows.select("domain", "accuracies").iter_rows():
        seeds.setdefault(name, []).append(values)
    return {name: np.mean(np.asarray(each, dtype=np.float64), axis=0) for name, each in seeds.items()}


def difference(first: Accuracies, second: Accuracies) -> Accuracies:
    """first - second, episode by episode. Raises ValueError if a domain's episodes are not the same in both."""
    if first.keys() != second.keys() or any(first[name].shape != second[name].shape for name in first):
        raise ValueError("models/measurement/results.parquet: subsets were judged on different episodes; run `dvc repro`")
    return {name: first[name] - second[name] for name in first}


def over_domains(
    by_domain: Mapping[str, NDArray[np.float64]], bounds: tuple[float, float] = (-1.0, 1.0)
) -> dict[str, Interval]:
    """The interval of each domain, and of the plain mean of their means; ends are kept within `bounds`."""
    table = {name: _interval(interval(values), bounds) for name, values in by_domain.items()}
    return table | {MEAN: _interval(mean_interval(list(by_domain.values())), bounds)}


def _interval(found: tuple[float, float, float], bounds: tuple[float, float]) -> Interval:
    mean, low, high = (min(max(value, bounds[0]), bounds[1]) for value in found)
    return {"mean": round(mean, 6), "low": round(low, 6), "high": round(high, 6)}
