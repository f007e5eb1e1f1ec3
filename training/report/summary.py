"""The short table that ends a run on the terminal."""

from collections.abc import Mapping
from typing import Any

from pipelines.files import read_json
from pipelines.layout import Layout
from training.measure.worth import MEAN
from training.report.figures import NAMES
from training.report.metrics import LEARNERS
from training.report.stage_times import GROUPS, StageTime, last_run, read_stages

WIDTH = 100
LABEL = 16


def terminal_summary(layout: Layout) -> str:
    """Held-out accuracy with 95 % intervals beside the baselines, seconds of each stage, and where the report is.

    Plain text of at most 100 columns. Raises ValueError if no report was written yet.
    """
    path = layout.reports / "metrics.json"
    if not path.exists():
        raise ValueError(f"{path}: missing; run `dvc repro` to make it")
    stages = read_stages(layout.state / "stages", list(read_json(layout.manifest)["domains"]))
    parts = [*_accuracy(read_json(path)["held_out"]), *_seconds(stages), f"report: {layout.reports / 'index.html'}"]
    return "\n".join(parts) + "\n"


def _accuracy(held_out: Mapping[str, Any]) -> list[str]:
    shots = sorted(held_out.get(MEAN, {}), key=lambda shot: -int(shot.removesuffix("_shot")))
    domains = [*sorted(name for name in held_out if name != MEAN), MEAN]
    lines = []
    for shot in shots:
        title = f"{shot.replace('_', '-')} accuracy on held-out domains, %, with 95 % intervals"
        lines += [title, " " * LABEL + "".join(f"{NAMES[name].lower():>19}" for name in LEARNERS)]
        lines += [_cut(name) + "".join(_cell(held_out[name][shot].get(learner)) for learner in LEARNERS) for name in domains]
        lines.append("")
    return lines


def _cell(value: Mapping[str, float] | None) -> str:
    if value is None:
        return f"{'-':>19}"
    return f"{100 * value['mean']:.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]".rjust(19)


def _cut(name: str) -> str:
    return f"{name if len(name) < LABEL else name[: LABEL - 2] + '…':<{LABEL}}"


def _seconds(stages: list[StageTime]) -> list[str]:
    if not stages:
        return []
    ran = last_run(stages) | {time.stage for time in stages if time.group == "report"}
    lines = ["stage                    seconds   ran in this run"]
    for group in (*GROUPS, *sorted({time.group for time in stages} - set(GROUPS))):
        times = [time for time in stages if time.group == group]
        if times:
            fresh = sum(time.stage in ran for time in times)
            lines.append(f"{group:<{LABEL}}{sum(time.seconds for time in times):>16.1f}   {fresh} of {len(times)}")
    return [*lines, f"{'together':<{LABEL}}{sum(time.seconds for time in stages):>16.1f}", ""]
