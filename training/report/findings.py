"""The findings of a run as sentences, each computed from the metrics: nothing is claimed that its interval does not carry."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from training.report.figures import points, span_points, sure
from training.report.metrics import MEAN
from training.report.stage_times import StageTime, before_report, last_run, swap_seconds


def findings(metrics: Mapping[str, Any], stages: Sequence[StageTime]) -> list[tuple[str, str]]:
    """(heading, sentence) pairs, in the order in which a reader asks."""
    told = [
        ("The learner", learner_sentence(metrics["held_out"])),
        ("What matters most", removal_sentence(metrics["removal"])),
        ("What can be replaced", replacement_sentence(metrics["replacement"])),
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
    return f"{name}: without it, held-out accuracy falls by {100 * value['mean']:.1f} points (loss {span_points(value)})."


def replacement_sentence(replacement: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Which replacement costs least, and how many cost nothing that the measurement can see."""
    swaps = [(name, spare, value) for name, row in replacement.items() for spare, value in row.items()]
    if not swaps:
        return ""
    name, spare, value = max(swaps, key=lambda item: item[2]["mean"])
    harmless = sum(v["high"] >= 0 for _, _, v in swaps)
    return (
        f"The best swap, {name} by {spare}, changes accuracy by {points(value['mean'])} points ({span_points(value)}). "
        f"{harmless} of {len(swaps)} replacements cost no accuracy that the intervals show."
    )


def swap_sentence(stages: Sequence[StageTime], cost: Mapping[str, float]) -> str:
    """What a swap costs against building everything, and what the last run did."""
    known = before_report(stages)
    costs = swap_seconds(stages)
    if not costs:
        return ""
    whole = sum(time.seconds for time in known)
    if cost:
        told = f"About {cost['seconds']:.0f} s and {cost['bytes'] / 1e6:.0f} MB written by {cost['stages']:.0f} stages"
        told += f", {100 * cost['share_of_rebuild']:.0f} % of the time that everything takes. "
    else:
        told = f"About {median(costs.values()):.0f} s, against {whole:.0f} s for everything. "
    ran = [time for time in known if time.stage in last_run(stages)]
    return f"{told}The last dvc repro ran {len(ran)} of {len(known)} stages in {sum(time.seconds for time in ran):.0f} s."
