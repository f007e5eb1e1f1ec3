"""A plan of trainings in lines: how many each design asks for, how many are finished, and about how long the rest takes."""

from collections.abc import Sequence
from statistics import median

from training.measure.sweep import Plan
from training.measure.trial import Job, Trial

NAMED = 3  # subsets that are left out


def told(found: Plan, trial: Trial, workers: int) -> list[str]:
    """A line for each design, which may share trainings, one for all together, and what that takes and leaves out."""
    finished = {job.key for job in found.jobs if trial.store.finished(job.key)}
    kept = {job.subset for job in found.jobs}
    every = {job.subset: 0 for job in (*found.jobs, *found.left_out)}
    for job in found.jobs:
        every[job.subset] += job.key in finished
    seeds = trial.measurement.seeds
    lines = [f"{'design':<12}{'subsets':>9}{'trainings':>11}{'finished':>10}{'left out':>10}"]
    for name, asked in (*found.designs.items(), ("together", list(every))):
        out = sum(subset not in kept for subset in asked)
        lines.append(
            f"{name:<12}{len(asked):>9}{seeds * len(asked):>11}{sum(every[s] for s in asked):>10}{seeds * out or '-':>10}"
        )
    if found.left_out:
        out_of = list(dict.fromkeys(job.subset for job in found.left_out))
        more = f" and {len(out_of) - NAMED} more" if len(out_of) > NAMED else ""
        named = ", ".join("+".join(subset) or "none" for subset in out_of[:NAMED])
        lines.append(f"measurement.max_trainings: {trial.measurement.max_trainings} leaves out {named}{more}")
    return [*lines, remaining(trial, [job for job in found.jobs if job.key not in finished], found.jobs, workers)]


def remaining(trial: Trial, left: Sequence[Job], jobs: Sequence[Job], workers: int) -> str:
    """About how long the trainings that are left take."""
    if not left:
        return "every training is finished"
    each = seconds_each(trial, jobs)
    beside = min(workers, len(left))
    together = in_words(each * -(-len(left) // beside))
    return f"about {together} for {len(left)} trainings of {each:.0f} s in {beside} process{'es' * (beside > 1)}"


def seconds_each(trial: Trial, jobs: Sequence[Job]) -> float:
    """Seconds of a training: the median of those finished, else that of a few steps, scaled up."""
    known = [seconds for job in jobs if job.subset and (seconds := trial.store.seconds(job.key)) is not None]
    return median(known) if known else trial.seconds_tried()


def in_words(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
