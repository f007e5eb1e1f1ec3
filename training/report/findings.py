"""The findings of a run as sentences, each computed from the metrics: nothing is claimed that its interval does not carry."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from training.measure.in_words import VERDICTS, points
from training.measure.worth import MEAN
from training.report.figures import span_points, sure
from training.report.stage_times import StageTime, before_report, duration, last_run, swap_seconds

TOO_WIDE = 0.5  # of a modularity index' interval, from 0 to 1: it then says next to nothing


def findings(metrics: Mapping[str, Any], stages: Sequence[StageTime]) -> list[tuple[str, str]]:
    """(heading, sentence) pairs, in the order in which a reader asks."""
    told = [
        ("The learner", learner_sentence(metrics["held_out"])),
        ("What matters most", removal_sentence(metrics["removal"])),
        ("What can be replaced", replacement_sentence(metrics["replaceability"])),
        ("Do domains add up", modularity_sentence(metrics)),
        ("What a swap costs", swap_sentence(stages, metrics["swap_cost"])),
    ]
    return [(heading, sentence) for heading, sentence in told if sentence]


def learner_sentence(held_out: Mapping[str, Any]) -> str:
    """How the learner stands against the class mean and ridge at the most shots."""
    if not held_out:
        return ""
    shot, row = list(held_out[MEAN].items())[-1]
    parts = []
    for other, name in (("class_mean", "the class mean"), ("ridge", "ridge regression")):
        value = row.get(f"learner_minus_{other}")
        if value:
            stands = (
                f"{abs(100 * value['mean']):.1f} points {'above' if value['mean'] > 0 else 'below'}"
                if sure(value)
                else "level with"
            )
            parts.append(f"{stands} {name} ({span_points(value)})")
    if "learner" not in row or not parts:
        return ""
    return f"{100 * row['learner']['mean']:.1f} % on domains it never saw ({shot.replace('_', '-')}): {' and '.join(parts)}."


def removal_sentence(removal: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Which train domain matters most, if the measurement can tell."""
    if not removal:
        return ""
    name, value = max(((name, row[MEAN]) for name, row in removal.items()), key=lambda item: item[1]["mean"])
    if value["low"] <= 0:
        return (
            f"No single train domain is shown to be needed: the largest loss, without {name}, "
            f"is {points(value['mean'])} points ({span_points(value)})."
        )
    needed = sum(row[MEAN]["low"] > 0 for row in removal.values())
    others = f" {needed} of {len(removal)} train domains are surely missed." if len(removal) > 1 else ""
    return f"{name}: without it, held-out accuracy falls by {100 * value['mean']:.2f} points ({span_points(value)}).{others}"


def replacement_sentence(replaceability: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Which replacements are surely harmless, which are surely not, and what it takes to tell the rest."""
    swaps = [(f"{name} by {spare}", cell) for name, row in replaceability.items() for spare, cell in row.items()]
    if not swaps:
        return ""
    by_verdict = {v: [item for item in swaps if item[1]["verdict"] == v] for v in VERDICTS}
    yes, no, open_ = (sorted(by_verdict[v], key=lambda item: -item[1]["mean"]) for v in VERDICTS)
    margin = f"{100 * swaps[0][1]['margin']:g} points"
    if yes:
        told = f"{_listed(yes)}: each surely loses less than {margin}. "
        told += f"{len(no)} of {len(swaps)} replacements surely lose more" if no else "None surely loses more"
    elif no:
        told = f"No replacement is shown to lose less than {margin}; {len(no)} of {len(swaps)} surely lose more"
    else:
        told = f"Of {len(swaps)} replacements none is decided at a margin of {margin}"
    return f"{told}; {len(open_)} cannot be told yet." if open_ else f"{told}."


def _listed(swaps: Sequence[tuple[str, Mapping[str, Any]]], most: int = 3) -> str:
    named = [f"{name} ({points(cell['mean'])})" for name, cell in swaps[:most]]
    more = [f"{len(swaps) - most} more"] if len(swaps) > most else []
    parts = named + more
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def modularity_sentence(metrics: Mapping[str, Any]) -> str:
    """How modular the collection is, where subsets enough were trained."""
    index = metrics.get("modularity")
    if not index:
        return ""
    found = f"a sum of what each brings explains {100 * index['mean']:.0f} % of what subsets differ in"
    span = f"({_percent(index['low'])} to {_percent(index['high'])} %; {index['subsets']} subsets)"
    if index["high"] - index["low"] > TOO_WIDE:
        return f"It cannot be told yet: {found}, but the interval is wide {span}."
    return f"{found[0].upper()}{found[1:]} {span}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f}".replace("-", "−")


def swap_sentence(stages: Sequence[StageTime], cost: Mapping[str, float]) -> str:
    """What a swap costs against building everything, and what the last run did."""
    known = before_report(stages)
    costs = swap_seconds(stages)
    if not costs:
        return ""
    whole = sum(time.seconds for time in known)
    if cost:
        told = f"About {duration(cost['seconds'])} and {cost['bytes'] / 1e6:.0f} MB written by {cost['stages']:.0f} stages"
        told += f", {100 * cost['share_of_rebuild']:.0f} % of the time that everything takes. "
    else:
        told = f"About {duration(median(costs.values()))}, against {duration(whole)} for everything. "
    ran = [time for time in known if time.stage in last_run(stages)]
    return f"{told}The last dvc repro ran {len(ran)} of {len(known)} stages in {duration(sum(time.seconds for time in ran))}."
