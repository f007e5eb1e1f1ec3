"""What the stages took, from the records that the command line leaves: seconds and bytes of the last run of each."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.files import read_json

DOMAIN_STAGES = ("download", "embed", "curate", "encode")  # once a domain
SHARED_STAGES = ("collect", "train", "measure")  # once a collection; run again after every swap
ONCE_STAGES = ("encoder",)  # depends on no domain
APART = ("report", "mechanism", "gpicl", "phases")  # no part of what a swap runs again, or not yet over
GROUPS = ("encoder", "download", "embed", "curate", "encode", "collect", "train", "measure", "report")


@dataclass(frozen=True)
class StageTime:
    """The last run of one stage."""

    stage: str  # as written, e.g. curate@glyphs
    group: str  # curate
    domain: str  # glyphs, or empty
    seconds: float
    bytes: int
    run: str  # names the `dvc repro` that it belonged to
    ended: str  # ISO 8601


def read_stages(folder: Path, domains: Sequence[str]) -> list[StageTime]:
    """Records of the listed domains and of the shared stages, in the order of the chain."""
    found = [_read(path) for path in sorted(folder.glob("*.json"))]
    listed = [time for time in found if not time.domain or time.domain in domains]
    places = {name: place for place, name in enumerate(GROUPS)}
    order = {name: place for place, name in enumerate(domains)}
    return sorted(listed, key=lambda t: (places.get(t.group, len(GROUPS)), order.get(t.domain, -1), t.stage))


def _read(path: Path) -> StageTime:
    value = read_json(path)
    try:
        stage = str(value["stage"])
        group, _, domain = re.sub(r"[^a-z0-9_]", "@", stage, count=1).partition("@")
        return StageTime(
            stage, group, domain, float(value["seconds"]), int(value["bytes"]), str(value["run"]), str(value["ended"])
        )
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: expected stage, seconds, bytes, run and ended; delete it and run `dvc repro`") from None


def before_report(stages: Iterable[StageTime]) -> list[StageTime]:
    """All but what runs on request, and the report's own record: while it is written, it still tells of the run before."""
    return [time for time in stages if time.group not in APART]


def last_run(stages: Iterable[StageTime]) -> set[str]:
    """Names of the stages that ran in the same `dvc repro` as the newest record; empty where there is no record."""
    known = before_report(stages)
    if not known:
        return set()
    newest = max(known, key=lambda t: (t.ended, t.stage))
    return {time.stage for time in known if time.run == newest.run}


def swap_seconds(stages: Iterable[StageTime]) -> dict[str, float]:
    """Seconds that bringing each domain in costs: its own stages, and those that every swap runs again (report left out)."""
    known = before_report(stages)
    shared = sum(time.seconds for time in known if time.group in SHARED_STAGES)
    own: dict[str, float] = {}
    for time in known:
        if time.domain:
            own[time.domain] = own.get(time.domain, 0.0) + time.seconds
    return {domain: seconds + shared for domain, seconds in own.items()}


def duration(seconds: float) -> str:
    """A duration as people say it."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
