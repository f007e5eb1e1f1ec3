"""What swapping one train domain for another costs, against building everything again.

A swap runs the newcomer's own stages, the stages that all domains share, and, of the measurement, the trainings whose subset
holds the newcomer; the others are finished. Each train domain stands in turn for the newcomer, and the medians are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import polars as pl

from training.measure.run import TRAININGS
from training.measure.store import Store
from training.report.stage_times import StageTime

AGAIN = ("collect", "train")  # besides `measure` and `report`, once a collection and after every swap


@dataclass(frozen=True)
class Training:
    """A finished training of the measurement and the seconds that it took, judging included."""

    subset: frozenset[str]
    seconds: float


def read_trainings(measurement: Path, store: Store) -> list[Training]:
    """The trainings of the last measurement; none if one of them is not in this machine's store."""
    path = measurement / TRAININGS
    if not path.exists():
        return []
    found = []
    for subset, key in pl.read_parquet(path).select("subset", "key").iter_rows():
        seconds = store.seconds(key)
        if seconds is None:
            return []
        found.append(Training(frozenset(subset), seconds))
    return found


def seconds_by_domain(
    stages: Sequence[StageTime], trainings: Sequence[Training], train: Sequence[str], workers: int
) -> dict[str, float]:
    """Seconds that bringing in each train domain takes, its trainings in so many `workers`; report left out.

    Empty where no stage was recorded on this machine or a training's time is not known.
    """
    own = {domain: sum(time.seconds for time in stages if time.domain == domain) for domain in train}
    if not trainings or not {time.domain for time in stages} >= set(train):
        return {}
    shared = sum(time.seconds for time in stages if time.group in AGAIN)
    return {
        domain: seconds + shared + sum(training.seconds for training in trainings if domain in training.subset) / workers
        for domain, seconds in own.items()
    }


def swap_cost(
    stages: Sequence[StageTime], trainings: Sequence[Training], train: Sequence[str], workers: int
) -> dict[str, float | int]:
    """swap_cost.seconds, .bytes (that stages write), .stages and .share_of_rebuild, seconds against seconds.

    Trainings run in so many `workers`. Empty where no stage was recorded on this machine or a training's time is not known.
    """
    seconds = seconds_by_domain(stages, trainings, train, workers)
    if not seconds:
        return {}
    shared = [time for time in stages if time.group in AGAIN]
    last = [time for time in stages if time.group in ("measure", "report")]
    measuring = sum(training.seconds for training in trainings) / workers
    # the report is left out of both: its own time is not known while it is written
    rebuild = measuring + sum(time.seconds for time in stages if time.group not in ("measure", "report"))
    size, count = [], []
    for domain in seconds:
        ran = [time for time in stages if time.domain == domain] + shared
        size.append(sum(time.bytes for time in (*ran, *last)))
        count.append(len({time.stage for time in ran}) + 2)  # and measure and report
    return {
        "seconds": round(median(seconds.values()), 3),
        "bytes": round(median(size)),
        "stages": round(median(count)),
        "share_of_rebuild": round(median(seconds.values()) / rebuild, 4) if rebuild else 1.0,
    }
