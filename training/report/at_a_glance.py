"""The few figures that two collections are compared by in DVC's tables and pictures: metrics.json alone has hundreds.

All are per cent or percentage points, the mean over held-out domains unless a domain is named.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from training.measure.worth import MEAN

ENDS = ("mean", "low", "high")
Row = tuple[str, float, float, float]


def headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """`reports/summary.json`, for `dvc metrics diff` and `dvc exp show`.

    accuracy.<n>_shot.<held-out domain or mean>, above_ridge.<n>_shot, lost_without.<train domain>,
    won_by_swap.<train domain>.<spare>, shapley.<train domain>, swap.<seconds, stages, share_of_rebuild>. What was not
    measured is left out.
    """
    found: dict[str, Any] = {"accuracy": {}, "above_ridge": {}}
    for domain, by_shot in metrics["held_out"].items():
        for shot, learners in by_shot.items():
            if "learner" in learners:
                found["accuracy"].setdefault(shot, {})[domain] = _percent(learners["learner"]["mean"])
            if domain == MEAN and "learner_minus_ridge" in learners:
                found["above_ridge"][shot] = _percent(learners["learner_minus_ridge"]["mean"])
    found["lost_without"] = {name: _percent(row[MEAN]["mean"]) for name, row in metrics["removal"].items()}
    swaps = metrics["replacement"]
    found["won_by_swap"] = {name: {spare: _percent(v["mean"]) for spare, v in row.items()} for name, row in swaps.items()}
    found["shapley"] = {name: _percent(value["mean"]) for name, value in metrics.get("shapley", {}).items()}
    cost = metrics["swap_cost"]
    found["swap"] = {name: cost[name] for name in ("seconds", "stages", "share_of_rebuild") if name in cost}
    return {name: part for name, part in found.items() if part}


def tables(metrics: Mapping[str, Any]) -> dict[str, tuple[Sequence[str], list[Row]]]:
    """Heads and rows for `dvc plots diff`, an interval each: learner, lost, won."""
    held_out = metrics["held_out"]
    accuracy = [
        (f"{domain}, {shot.replace('_', '-')}", by_shot[shot]["learner"])
        for shot in sorted(held_out.get(MEAN, {}), key=lambda shot: -int(shot.removesuffix("_shot")))
        for domain, by_shot in held_out.items()
        if "learner" in by_shot.get(shot, {})
    ]
    lost = [(name, row[MEAN]) for name, row in metrics["removal"].items()]
    won = [(f"{spare} for {name}", value) for name, row in metrics["replacement"].items() for spare, value in row.items()]
    return {
        "learner": (("domain", *ENDS), [_row(*one) for one in accuracy]),
        "lost": (("domain", *ENDS), [_row(*one) for one in lost]),
        "won": (("swap", *ENDS), [_row(*one) for one in won]),
    }


def _row(name: str, value: Mapping[str, float]) -> Row:
    mean, low, high = (_percent(value[end]) for end in ENDS)
    return name, mean, low, high


def _percent(share: float) -> float:
    return round(100 * share, 2) + 0.0  # no -0.0
