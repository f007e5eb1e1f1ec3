"""Design `sequence` (GEOM-S): train domains one after another, in two orders, judged at the end of each one's turn.

A training meets each domain for as many steps as the others, `measurement.steps` together, with the replay that training.replay
says. Judged are the held-out domains, on the episodes of everybody, and the train domains, on images that they keep back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy import stats

from training.checkpoints import code_digest
from training.episodes import evaluation_episodes
from training.measure.continual import continual
from training.measure.design import Company, Subset
from training.measure.in_turn import Judged, train_in_turn
from training.measure.store import key_of
from training.measure.sweep import in_threads, processes
from training.measure.trial import Trial, threads

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "order": pl.List(pl.String),  # of training
    "seed": pl.Int64,
    "turn": pl.Int32,  # domains met; 0: before the first step
    "domain": pl.String,  # judged on
    "accuracy": pl.Float64,
}
MEASURES = ("acc", "bwt", "fwt", "forgetting")
Table = NDArray[np.float32]  # [T + 1, J]: turns, with that before any, and judged domains


@dataclass(frozen=True)
class Turns:
    """One training in turn."""

    order: Subset
    seed: int

    def __str__(self) -> str:
        return f"{', then '.join(self.order)}, seed {self.seed}"


def turns_of(trial: Trial, company: Company) -> list[Turns]:
    """The order of the collection and its reverse, each with every seed; none unless asked, or of a single domain."""
    asked = trial.measurement
    if "sequence" not in asked.designs or len(company.train) < 2:
        return []
    seeds = range(trial.training.seed, trial.training.seed + asked.seeds)
    return [Turns(order, seed) for order in (company.train, company.train[::-1]) for seed in seeds]


def sequence(
    trial: Trial, wanted: Sequence[Turns], *, workers: int = 2, tell: Callable[[str], None] = lambda _: None
) -> pl.DataFrame:
    """The table of all, SCHEMA. What the store has is not done again. Raises ValueError (one line) as training does."""
    found = {turns: table for turns in wanted if (table := _known(trial, turns)) is not None}
    left = [turns for turns in wanted if turns not in found]
    if left:
        with processes(trial, min(workers, len(left)), finish) as do:
            for turns, table in in_threads(workers)(do, left):
                found[turns] = table
                tell(str(turns))
    rows: list[tuple[Any, ...]] = []
    for turns in wanted:
        names = list(judged_of(trial, turns.order))
        for turn, row in enumerate(found[turns]):
            rows += [(list(turns.order), turns.seed, turn, name, float(value)) for name, value in zip(names, row, strict=True)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def judged_of(trial: Trial, order: Sequence[str]) -> Judged:
    """Features and episodes at the most shots: of the held-out domains, and of what training does not see of the others.

    A train domain with too few such images for an episode is not among them.
    """
    asked, n_shot = trial.measurement, max(trial.measurement.n_shots)
    found = {name: (one.features_ND, trial.episodes((name, n_shot))) for name, one in trial.held_out.items()}
    for name in sorted(order):
        unseen = trial.domains[name].in_splits("validation", "test")
        try:
            drawn = evaluation_episodes(unseen, asked.n_way, n_shot, asked.n_query, asked.episodes, asked.seed)
        except ValueError:
            continue
        found[name] = (unseen.features_ND, drawn)
    return found


def finish(trial: Trial, turns: Turns) -> Table:
    """Train in turn and judge after each, on one thread; kept when it is done."""
    settings = trial.training.model_copy(update={"regime": "sequence", "order": "given"})
    judged = judged_of(trial, turns.order)
    domains = [trial.domains[name] for name in turns.order]
    with threads(1):
        made = train_in_turn(domains, settings, judged, steps=trial.measurement.steps, seed=turns.seed, parts=trial.parts)
    table: Table = torch.cat([made.untrained_J[None], made.accuracy_TJ]).float().numpy()
    trial.store.keep_accuracies(*_key(trial, turns), table)
    return table


def _known(trial: Trial, turns: Turns) -> Table | None:
    return trial.store.accuracies(*_key(trial, turns))


def _key(trial: Trial, turns: Turns) -> tuple[str, str]:
    """The names of a training in turn and of what it was judged on."""
    judged = {name: trial.digests[name] for name in sorted((*trial.held_out, *turns.order))}
    asked = trial.measurement.model_dump(mode="json", include={"n_way", "n_shots", "n_query", "episodes", "seed"})
    return trial.job(turns.order, turns.seed).key, "turns-" + key_of(asked | {"judged": judged, "code": code_digest()})


def continual_of(table: pl.DataFrame, level: float = 0.95) -> dict[str, dict[str, float]]:
    """continual.<acc, bwt, fwt, forgetting>: mean, low, high over trainings (Student's t), over the train domains judged.

    Empty where fewer than two trainings were made or fewer than two train domains judged.
    """
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _, rows in table.group_by("order", "seed", maintain_order=True):
        judged = set(rows["domain"])
        places = [place for place, name in enumerate(rows["order"][0], start=1) if name in judged]
        names = [rows["order"][0][place - 1] for place in places]
        if len(names) < 2:
            return {}
        by_turn = {(turn, name): value for turn, name, value in rows.select("turn", "domain", "accuracy").iter_rows()}
        last = max(rows["turn"])
        ends = [*places[:-1], last]  # what comes after the last judged one counts as its turn
        accuracy_TT = torch.tensor([[by_turn[turn, name] for name in names] for turn in ends], dtype=torch.float64)
        untrained_T = torch.tensor([by_turn[0, name] for name in names], dtype=torch.float64)
        for name, value in continual(accuracy_TT, untrained_T)._asdict().items():
            found[name].append(value)
    count = len(found["acc"])
    if count < 2:
        return {}
    quantile = float(stats.t.ppf((1 + level) / 2, count - 1))
    return {name: _interval(values, quantile) for name, values in found.items()}


def _interval(values: Sequence[float], quantile: float) -> dict[str, float]:
    mean = float(np.mean(values))
    half = quantile * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return {"mean": round(mean, 6), "low": round(mean - half, 6), "high": round(mean + half, 6)}


def curves(table: pl.DataFrame) -> Mapping[str, dict[tuple[str, ...], list[float]]]:
    """<judged domain>.<order>: accuracy by turn, mean over seeds."""
    found: dict[str, dict[tuple[str, ...], list[float]]] = {}
    means = table.group_by("domain", "order", "turn", maintain_order=True).agg(pl.col("accuracy").mean())
    for domain, order, _, accuracy in means.sort("turn", maintain_order=True).iter_rows():
        found.setdefault(domain, {}).setdefault(tuple(order), []).append(accuracy)
    return found
