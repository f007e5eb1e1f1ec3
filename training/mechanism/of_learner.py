"""The project's own learner beside the classical rules, over its held-out domains, as a table with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.params import Params
from training.about import must_read, read_about
from training.collection import load_collection
from training.episodes import Episodes, evaluation_episodes
from training.evaluate import interval, mean_interval
from training.learner import load_learner
from training.mechanism.likeness import likenesses
from training.mechanism.run import Progress
from training.seen import features_of

MEAN = "mean"


def of_learner(params: Params, layout: Layout, progress: Progress | None = None) -> dict[str, Any]:
    """<held-out domain|mean>.<n>_shot.<rule>.<measure>: {mean, low, high} over episodes; `like` names the most alike rule.

    Raises ValueError (one line) if there is no learner, if it reads another encoder's features, or if a domain is too small.
    """
    if not layout.model.exists():
        raise ValueError(
            f"{layout.model}: no such learner; `dvc repro` trains one, or set mechanism.learner_episodes to 0 to leave it out"
        )
    manifest = read_json(layout.manifest)
    must_read(read_about(layout.model), manifest, layout.model)
    learner, collection = load_learner(layout.model), load_collection(layout, manifest)
    held_out = [name for name, entry in manifest["domains"].items() if entry["role"] == "held_out"]
    drawn = {
        (name, n_shot): _episodes(params, collection[name], n_shot)
        for n_shot in params.measurement.n_shots
        for name in held_out
    }
    found: dict[int, dict[str, dict[str, dict[str, Tensor]]]] = {}
    for (name, n_shot), episodes in drawn.items():
        features_ND = features_of(learner, collection[name].features_ND)
        found.setdefault(n_shot, {})[name] = likenesses(learner, features_ND, episodes)
        if progress:
            progress(f"the learner on {name}, {n_shot} shots")
    table: dict[str, Any] = {}
    for n_shot, by_domain in found.items():
        for name, row in over_domains(by_domain).items():
            table.setdefault(name, {})[f"{n_shot}_shot"] = row
    return table


def _episodes(params: Params, domain: Any, n_shot: int) -> Episodes:
    asked, count = params.measurement, params.mechanism.learner_episodes
    return evaluation_episodes(domain, asked.n_way, n_shot, asked.n_query, count, asked.seed)


def over_domains(by_domain: Mapping[str, Mapping[str, Mapping[str, Tensor]]]) -> dict[str, Any]:
    """Intervals of each domain and of the plain mean over domains, for each rule and measure."""
    names = list(by_domain)
    table: dict[str, dict[str, Any]] = {
        name: {rule: _intervals([measures]) for rule, measures in by_domain[name].items()} for name in names
    }
    first = by_domain[names[0]]
    table[MEAN] = {rule: _intervals([by_domain[name][rule] for name in names]) for rule in first}
    for row in table.values():
        row["like"] = most_alike(row)
    return table


def most_alike(row: Mapping[str, Any]) -> str:
    """The rule whose sensitivities are nearest to the learner's, its own read-out left out: that one is no other rule."""
    return max((rule for rule in row if rule != "readout"), key=lambda rule: row[rule]["sensitivity_cosine"]["mean"])


def _intervals(groups: Sequence[Mapping[str, Tensor]]) -> dict[str, dict[str, float]]:
    found = {}
    for measure in groups[0]:
        values = [group[measure].numpy() for group in groups]
        mean, low, high = interval(values[0]) if len(values) == 1 else mean_interval(values)
        found[measure] = {"mean": mean, "low": low, "high": high}
    return found
