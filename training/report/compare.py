"""Two collections beside each other: what their metrics.json say of accuracy, of domains and of cost, and what lies between.

Episodes of a held-out domain that did not change are the same for both, but their accuracies are not in metrics.json; so the
interval of a difference takes the two as independent, which makes it too wide rather than too narrow.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from typing import Any

from pipelines.files import read_json
from pipelines.layout import Layout
from training.measure.in_words import points
from training.measure.worth import MEAN
from training.report.figures import span_points, sure
from training.report.metrics import COMPARED, LEARNERS

METRICS = Path("reports") / "metrics.json"
HERE = "workspace"
ROLES = {"train": "trained on", "spare": "spare", "held_out": "held out"}


@dataclass(frozen=True)
class Side:
    """One of the two, under the name that the user gave it."""

    name: str
    metrics: Mapping[str, Any]

    def domains(self, role: str) -> list[str]:
        """The domains of a role, as far as the metrics tell."""
        found = self.metrics
        if role == "train":
            return sorted({*found.get("removal", {}), *found.get("training", {}).get("shares", {})})
        if role == "spare":
            return sorted({spare for row in found.get("replacement", {}).values() for spare in row})
        return sorted(name for name in found["held_out"] if name != MEAN)


def read_side(name: str, layout: Layout) -> Side:
    """The metrics of `workspace`, of a file, of a project's folder, or of a revision or experiment that DVC knows.

    Raises ValueError (one line) if there are none, or the file holds something else.
    """
    path = Path(name)
    if name == HERE:
        return Side(name, _checked(read_json(_there(layout.root / METRICS)), name))
    if path.is_file():
        return Side(name, _checked(read_json(path), name))
    if path.is_dir():
        return Side(name, _checked(read_json(_there(path / METRICS)), name))
    return Side(name, _checked(_of_revision(name, layout), name))


def _of_revision(name: str, layout: Layout) -> Any:
    import dvc.api  # takes a second to import
    from dvc.exceptions import DvcException

    try:
        return json.loads(dvc.api.read(METRICS.as_posix(), repo=str(layout.root), rev=name))
    except (DvcException, OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise ValueError(
            f"--compare {name}: expected {HERE}, a metrics.json, a project's folder, or a revision or experiment with "
            f"{METRICS.as_posix()} in DVC's cache ({why})"
        ) from None


def _there(path: Path) -> Path:
    if not path.exists():
        raise ValueError(f"{path}: missing; run `dvc repro` there to make it")
    return path


def _checked(found: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or not isinstance(found.get("held_out"), Mapping):
        raise ValueError(f"--compare {name}: expected metrics as `dvc repro` writes them, found no held_out")
    return found


@dataclass(frozen=True)
class Change:
    """A figure of both sides, None where a side lacks it, and second - first with its interval, None where one is missing."""

    what: str
    first: Mapping[str, float] | None
    second: Mapping[str, float] | None

    @property
    def less(self) -> dict[str, float] | None:
        """second - first."""
        if not self.first or not self.second:
            return None
        mean = self.second["mean"] - self.first["mean"]
        low = hypot(self.second["mean"] - self.second["low"], self.first["high"] - self.first["mean"])
        high = hypot(self.second["high"] - self.second["mean"], self.first["mean"] - self.first["low"])
        return {"mean": mean, "low": mean - low, "high": mean + high}

    @property
    def words(self) -> str:
        """The difference in percentage points with its interval."""
        less = self.less
        return f"{points(less['mean'])} ({span_points(less)})" if less else "-"

    @property
    def sure(self) -> bool:
        """Whether the difference's interval leaves zero out."""
        return bool(self.less and sure(self.less))


def accuracy_changes(first: Side, second: Side) -> dict[str, list[Change]]:
    """Of each number of shots (most first): the learner on every held-out domain that a side has, then the mean."""
    one, other = first.metrics["held_out"], second.metrics["held_out"]
    shots = sorted(
        {shot for table in (one, other) for row in table.values() for shot in row}, key=lambda s: -int(s.split("_")[0])
    )
    names = [*sorted({*one, *other} - {MEAN}), MEAN]
    return {shot: [Change(name, *(_at(t, name, shot, "learner") for t in (one, other))) for name in names] for shot in shots}


def baseline_changes(first: Side, second: Side) -> list[Change]:
    """The learner less each baseline at the most shots, mean over held-out domains."""
    shot = next(iter(accuracy_changes(first, second)), "")
    wanted = [f"learner_minus_{other}" for other in COMPARED if other in LEARNERS]
    sides = (first.metrics["held_out"], second.metrics["held_out"])
    return [Change(name.replace("_", " "), *(_at(table, MEAN, shot, name) for table in sides)) for name in wanted]


def worth_changes(first: Side, second: Side) -> list[Change]:
    """What is lost without each train domain, mean over held-out domains."""
    sides = (first.metrics.get("removal", {}), second.metrics.get("removal", {}))
    names = sorted({name for table in sides for name in table})
    return [Change(name, *(_at(table, name, MEAN) for table in sides)) for name in names]


def company_changes(first: Side, second: Side) -> list[tuple[str, list[str], list[str]]]:
    """(role in words, domains that only the first has, domains that only the second has)."""
    found = [(words, first.domains(role), second.domains(role)) for role, words in ROLES.items()]
    return [(words, sorted(set(a) - set(b)), sorted(set(b) - set(a))) for words, a, b in found]


def kept_changes(first: Side, second: Side) -> list[tuple[str, int | None, int | None]]:
    """Images kept of each domain, where the sides differ."""
    sides = [side.metrics.get("curation", {}) for side in (first, second)]
    names = sorted({name for table in sides for name in table})
    counts = [(name, *(table[name]["kept"] if name in table else None for table in sides)) for name in names]
    return [row for row in counts if row[1] != row[2]]


def _at(table: Mapping[str, Any], *path: str) -> Mapping[str, float] | None:
    found: Any = table
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return dict(found)


def as_lines(first: Side, second: Side) -> list[str]:
    """The comparison in lines of a terminal, at most 100 columns."""
    lines = [f"{first.name} -> {second.name}"]
    for words, gone, come in company_changes(first, second):
        changed = [f"- {name}" for name in gone] + [f"+ {name}" for name in come]
        lines += [f"  {words}: {', '.join(changed)}"] if changed else []
    for shot, changes in accuracy_changes(first, second).items():
        lines += _table(f"{shot.replace('_', '-')} accuracy of the learner, %", changes)
    lines += _table("lost without a domain, points", worth_changes(first, second), points)
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(title: str, changes: Iterable[Change], form: Callable[[float], str] = _percent) -> list[str]:
    rows = list(changes)
    if not rows:
        return []
    head = f"{title:<40}{'first':>8}{'second':>8}   change in points"
    sides = [[form(side["mean"]) if side else "-" for side in (c.first, c.second)] for c in rows]
    return ["", head, *(f"  {c.what[:36]:<38}{a:>8}{b:>8}   {c.words}" for c, (a, b) in zip(rows, sides, strict=True))]
