"""All trainings of stage phases, over the cores, and the numbers that they make together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from pipelines.phases_settings import Phases
from training.phases.circuits import MEASURES
from training.phases.decode import rank_correlation
from training.phases.known import Known
from training.phases.phase import PHASES, Phase, entered
from training.phases.trial import Found, Trial, run_trial
from training.seeds import each_alone, over_seeds

Progress = Callable[[str], None]
ACCURACIES = ("accuracy", "shown", "not_shown", "candidates")


def run_trials(settings: Phases, workers: int = 1, progress: Progress | None = None) -> list[Found]:
    """What `run_trial` found of each seed, in their order; the number of `workers` (processes) changes no figure."""
    trials = [Trial(settings, seed) for seed in range(settings.seed, settings.seed + settings.seeds)]
    found = {}
    for trial, result in each_alone(run_trial, trials, workers):
        found[trial.seed] = result
        if progress:
            progress(f"seed {trial.seed}: {PHASES[result['looks'][-1]['phase']]}")
    return [found[trial.seed] for trial in trials]


def numbers(found: Sequence[Found]) -> dict[str, Any]:
    """reports/phases.json but for its settings: shares from 0 to 1, means over seeds with 95 % intervals (Student's t)."""
    lasts = [run["looks"][-1] for run in found]
    return {
        "known": {name: fmean(run["known"][name] for run in found) for name in found[0]["known"]},
        "end": {name: summary([last[name] for last in lasts]) for name in ACCURACIES},
        "phases": {phase: of_phase(phase, found) for phase in PHASES},
        "decodability": {part: of_part(part, found) for part in lasts[0]["decodability"]},
    }


def of_phase(phase: Phase, found: Sequence[Found]) -> dict[str, Any]:
    """When a phase was entered for good by each seed, and what it was like: medians over its looks, mean over the seeds that
    came through it."""
    when = {
        f"seed_{run['seed']}": entered(curve(run, "accuracy"), curve(run, "step"), Known(**run["known"]))[phase]
        for run in found
    }
    through = [looks for run in found if (looks := [look for look in run["looks"] if look["phase"] == phase])]
    row: dict[str, Any] = {"entered": when, "seeds": len(through)}
    if through:
        row["accuracy"] = summary([middle(looks, lambda look: look["accuracy"]) for looks in through])
        row["circuits"] = {
            f"layer_{layer + 1}_head_{head + 1}": {
                name: fmean(middle(looks, lambda look, at=(layer, name, head): value_of(look, *at)) for looks in through)
                for name in MEASURES
            }
            for layer, head in heads(found)
        }
        row["decodability"] = {
            part: fmean(middle(looks, lambda look, part=part: look["decodability"][part]) for looks in through)
            for part in through[0][0]["decodability"]
        }
    return row


def value_of(look: Mapping[str, Any], layer: int, name: str, head: int) -> float:
    """One measure of one head."""
    value: float = look["circuits"][layer][name][head]
    return value


def middle(looks: Sequence[Found], value: Callable[..., float]) -> float:
    """The median over looks."""
    return median(value(look) for look in looks)


def of_part(part: str, found: Sequence[Found]) -> dict[str, Any]:
    """How well the task is decoded from one hidden state at the end, and its rank correlation with accuracy over the looks."""
    curves = [[look["decodability"][part] for look in run["looks"]] for run in found]
    ranks = [rank_correlation(of, curve(run, "accuracy")) for of, run in zip(curves, found, strict=True)]
    return {"end": summary([of[-1] for of in curves]), "rank_correlation": summary(ranks)}


def summary(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and 95 % interval over seeds; none where a seed has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "low": None, "high": None}
    low, high = over_seeds(known)
    if low is not None and high is not None:  # shares and correlations end at 1, Student's t does not
        low, high = max(-1.0, low), min(1.0, high)
    return {"mean": fmean(known), "low": low, "high": high}


def curve(run: Mapping[str, Any], name: str) -> list[Any]:
    """One value of each look."""
    return [look[name] for look in run["looks"]]


def heads(found: Sequence[Found]) -> Iterator[tuple[int, int]]:
    """Every (layer, head), from 0."""
    for layer, measures in enumerate(found[0]["looks"][0]["circuits"]):
        yield from ((layer, head) for head in range(len(measures[MEASURES[0]])))
