"""All trainings of stage mechanism, over the cores, and the table that they make together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.mechanism_settings import Mechanism
from training.measure.trial import threads
from training.mechanism.experiment import GD, References, Trial, best, references, run_trial
from training.mechanism.models import Model, models
from training.seeds import each_alone, over_seeds

Progress = Callable[[str], None]  # what has just ended
Found = dict[str, Any]
AGREEMENT = ("sensitivity_cosine", "sensitivity_l2", "prediction_difference")


def run_trials(settings: Mechanism, workers: int = 1, progress: Progress | None = None) -> list[Found]:
    """What `run_trial` found of each model and seed, in the order of `models`. Each runs on one thread, so that the number of
    `workers` (processes) changes no figure. Raises ValueError (one line) if a training comes to no number.
    """
    with threads(1):
        known: dict[tuple[int, bool], References] = {}
        trials = []
        for model in models(settings):
            key = (model.shape.layers, model.shape.tied)
            if key not in known:
                known[key] = references(settings, model)
            seeds = range(settings.seed, settings.seed + settings.seeds)
            trials += [Trial(settings, model, known[key], seed) for seed in seeds]
        found = {}
        longest_first = sorted(trials, key=lambda trial: -trial.model.shape.layers)
        for trial, result in each_alone(run_trial, longest_first, workers):
            found[trial.model.name, trial.seed] = result | {"references": trial.references}
            if progress:
                progress(f"{trial.model.name}, seed {trial.seed}")
        return [found[trial.model.name, trial.seed] for trial in trials]


def table(settings: Mechanism, found: Sequence[Found]) -> dict[str, Any]:
    """metrics by model name: means over seeds, with 95 % intervals in `intervals`."""
    named = {model.name: [one for one in found if one["name"] == model.name] for model in models(settings)}
    return {model.name: _row(model, named[model.name]) for model in models(settings)}


def _row(model: Model, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One model: its agreement with what it is to be like stands at the top, with each reference below its name."""
    rates: References = runs[0]["references"]
    like = best(rates)
    values: dict[str, list[float]] = {name: [run[like][name] for run in runs] for name in AGREEMENT}
    values["loss"] = [run["loss"] for run in runs]
    if "rates" in runs[0]:
        values["eta_learned"] = [_mean(run["rates"]["eta"]) for run in runs]
        values["gamma_learned"] = [_mean(run["rates"]["gamma"]) for run in runs]
        values["key_query_likeness"] = [run["key_query_likeness"] for run in runs]
        values["output_row_likeness"] = [run["output_row_likeness"] for run in runs]
    row: dict[str, Any] = {name: _mean(each) for name, each in values.items()}
    if "rates" in runs[0]:
        row["eta_by_layer"] = [_mean(of) for of in zip(*(run["rates"]["eta"] for run in runs), strict=True)]
    row["layers"], row["seeds"], row["like"] = model.shape.layers, len(runs), like
    for name, of in rates.items():
        row[f"loss_{name}"] = runs[0][f"loss_{name}"]
        row[name] = {measure: _mean([run[name][measure] for run in runs]) for measure in AGREEMENT}
        row[name] |= {"eta": list(of.eta), "gamma": list(of.gamma)}
    row["eta_line_searched"] = _mean(rates[GD].eta)
    if "interpolated" in runs[0]:  # by per cent of the way: DVC reads a dot in a name as a level
        shares = runs[0]["interpolated"]
        row["interpolated"] = {f"{100 * share:.0f}": _mean([run["interpolated"][share] for run in runs]) for share in shares}
    row["intervals"] = {name: over_seeds(each) for name, each in values.items()}
    return row


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
