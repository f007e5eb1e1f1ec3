"""The figures of the report: what is drawn, from which numbers, and how each reads in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.ledger import VERDICTS
from training.measure.in_words import points
from training.measure.worth import MEAN
from training.report import charts
from training.report.metrics import LEARNERS

NAMES = {"learner": "Learner", "class_mean": "Class mean", "ridge": "Ridge", "knn": "k-NN"}
DRAWS = {"random": "drawn by lot", "farthest_first": "drawn farthest first", "kmeans": "drawn by k-means++"}
Interval = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """One line of a chart: its label, the drawing, and the value in words."""

    label: str
    drawing: Markup
    value: str = ""
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """Rows over a common axis, with what they show in words for those who cannot see them."""

    rows: list[Row]
    axis: Markup
    alt: str
    title: str = ""


@dataclass(frozen=True)
class Balance:
    """The classes of a domain before and after curation."""

    drawing: Markup
    change: str  # images a class, before → after
    rule: str  # minimum, cap and draw in words


def span_points(value: Interval) -> str:
    """An interval of differences, in percentage points."""
    return f"{points(value['low'])} to {points(value['high'])}"


def sure(value: Interval) -> bool:
    """Whether the interval leaves zero out."""
    return value["low"] > 0 or value["high"] < 0


def accuracy_charts(held_out: Mapping[str, Any]) -> list[Chart]:
    """One chart a number of shots: each held-out domain with the learner and the baselines; most shots first."""
    if not held_out:
        return []
    values = [v for by_shot in held_out.values() for by in by_shot.values() for name, v in by.items() if name in LEARNERS]
    scale = charts.nice_scale(min(v["low"] for v in values), max(v["high"] for v in values))
    labels = [f"{100 * tick:.0f} %" for tick in scale.ticks]
    drawn = []
    for shot in reversed(list(held_out[MEAN])):
        rows, told = [], []
        for domain, by_shot in held_out.items():
            found = [(name, by_shot[shot][name]) for name in LEARNERS if name in by_shot[shot]]
            rows.append(Row(domain, charts.interval_track(found, scale, row=14)))
            told.append(f"{domain}: " + ", ".join(f"{NAMES[name]} {100 * v['mean']:.1f} %" for name, v in found))
        title = shot.replace("_", "-")
        drawn.append(Chart(rows, charts.axis(scale, labels), f"Accuracy, {title}. " + "; ".join(told), title))
    return drawn


def context_charts(context: pl.DataFrame) -> list[Chart]:
    """Accuracy by shots, learner and baselines: a chart for each held-out domain, on one scale."""
    if context.is_empty():
        return []
    x = charts.nice_scale(0.0, float(context["n_shot"].max() or 1), 4)  # type: ignore[arg-type]
    y = charts.nice_scale(float(context["mean"].min() or 0.0), float(context["mean"].max() or 1.0), 4)  # type: ignore[arg-type]
    drawn = []
    for (domain,), rows in context.group_by("domain", maintain_order=True):
        series, told = [], []
        for name in reversed(LEARNERS):  # the learner is drawn last, over the others
            part = rows.filter(pl.col("learner") == name).sort("n_shot")
            shots, means = part["n_shot"].to_list(), part["mean"].to_list()
            series.append((f"{name} marked", shots, means))
            told.append(
                f"{NAMES[name]} from {100 * means[0]:.1f} % at {shots[0]} to {100 * means[-1]:.1f} % at {shots[-1]} shots"
            )
        alt = f"Accuracy on {domain} by shots: " + "; ".join(reversed(told))
        drawn.append(Chart([], charts.lines(series, x, y, ".0%", alt), alt, str(domain)))
    return drawn


def effect_chart(rows: Sequence[tuple[str, Interval]], what: str) -> Chart | None:
    """Dots with intervals around zero, in percentage points; None where there is nothing to show."""
    if not rows:
        return None
    scale = charts.nice_scale(min(0.0, *(v["low"] for _, v in rows)), max(0.0, *(v["high"] for _, v in rows)))
    drawn = [
        Row(
            label,
            charts.interval_track([("learner" if sure(v) else "unsure", v)], scale, zero=0.0, row=20),
            points(v["mean"]),
            span_points(v),
        )
        for label, v in rows
    ]
    told = "; ".join(f"{label} {points(v['mean'])} points ({span_points(v)})" for label, v in rows)
    return Chart(
        drawn,
        charts.axis(scale, [f"{100 * tick:+.3g}".replace("-", "−") if tick else "0" for tick in scale.ticks]),
        f"{what}: {told}",
    )


def removal_chart(removal: Mapping[str, Mapping[str, Interval]]) -> Chart | None:
    """What is lost on average without each train domain, the most important first."""
    rows = sorted(((name, row[MEAN]) for name, row in removal.items()), key=lambda item: (-item[1]["mean"], item[0]))
    return effect_chart(rows, "Accuracy lost without each train domain, mean over held-out domains")


def replacement_chart(replacement: Mapping[str, Mapping[str, Interval]]) -> Chart | None:
    """What each swap wins on average, the best first."""
    rows = [(f"{name} → {spare}", v) for name, row in replacement.items() for spare, v in row.items()]
    rows.sort(key=lambda item: (-item[1]["mean"], item[0]))
    return effect_chart(rows, "Accuracy won by each replacement, mean over held-out domains")


def heat(value: Interval, largest: float) -> dict[str, Any]:
    """A cell of a heat map: the numbers in words, the colour's strength 0 to 100 and its side."""
    strength = min(100.0, 100.0 * abs(value["mean"]) / (largest or 1.0))
    return {
        "words": points(value["mean"]),
        "span": span_points(value),
        "strength": round(strength * 0.72, 1),  # the darkest cell still carries dark text
        "side": "gain" if value["mean"] >= 0 else "loss",
        "sure": sure(value),
    }


def heat_rows(table: Mapping[str, Mapping[str, Interval]]) -> list[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """(row, [(column, cell)]) of a table of intervals, all on one scale of colour."""
    largest = max((abs(value["mean"]) for row in table.values() for value in row.values()), default=0.0)
    return [(name, [(column, heat(value, largest)) for column, value in row.items()]) for name, row in table.items()]


def verdict_rows(curation: Mapping[str, Mapping[str, int]]) -> list[Row]:
    """One bar a domain: the records set aside, by verdict, on a common scale; the share kept in words."""
    aside = [verdict for verdict in VERDICTS if verdict != "kept"]
    most = max((sum(counts[v] for v in aside) for counts in curation.values()), default=0)
    rows = []
    for domain, counts in curation.items():
        parts = [(f"v-{v}", float(counts[v]), f"{v.replace('_', ' ')}: {counts[v]}") for v in aside if counts[v]]
        share = counts["kept"] / max(1, sum(counts.values()))
        rows.append(Row(domain, charts.stacked_bar(parts, most), f"{100 * share:.1f} %", f"{sum(counts[v] for v in aside)}"))
    return rows


def balance(domain: str, class_counts: Mapping[str, Mapping[str, int]], settings: Mapping[str, Any]) -> Balance:
    """Images of each class before and after curation, the largest class first, with the bounds that `settings` set."""
    order = sorted(class_counts.items(), key=lambda item: (-item[1]["before"], item[0]))
    before, after = [c["before"] for _, c in order], [c["after"] for _, c in order]
    titles = [f"{label}: {c['before']} → {c['after']}" for label, c in order]
    kept = [count for count in after if count]
    was, now = _range(before), _range(kept)
    alt = f"{domain}: {len(before)} classes of {was} images before, {len(kept)} of {now} after"
    least, cap = settings["min_per_class"], settings["cap_per_class"]
    rule = f"at least {least}, at most {cap} {DRAWS[settings['draw']]}"
    rule += f", of at most {settings['max_classes']} classes" if settings["max_classes"] else ""
    return Balance(charts.columns(before, after, titles, [least, cap], f"{alt}; {rule}"), f"{was} → {now}", rule)


def share_rows(shares: Mapping[str, float]) -> list[Row]:
    """One bar a train domain: its share of the episodes that the learner was trained on, in the order of the domains."""
    most = max(shares.values(), default=1.0)
    return [
        Row(name, charts.stacked_bar([("learner", share, f"{name}: {100 * share:.1f} %")], most), f"{100 * share:.1f} %")
        for name, share in shares.items()
    ]


def _range(counts: Sequence[int]) -> str:
    if not counts:
        return "0"
    return f"{min(counts)}–{max(counts)}" if min(counts) < max(counts) else str(counts[0])


def learning_charts(training: pl.DataFrame) -> list[Chart]:
    """Loss, and accuracy on training and validation episodes, over the steps."""
    x = charts.nice_scale(0.0, float(training["step"].max() or 1), 4)  # type: ignore[arg-type]
    drawn = []
    for title, form, names in (
        ("Loss", "g", [("loss", "learner")]),
        ("Accuracy", ".0%", [("accuracy", "learner"), ("validation_accuracy", "class_mean marked")]),
    ):
        series, told = [], []
        for column, kind in names:
            part = training.select("step", column).drop_nulls()
            if part.height:
                steps, values = part["step"].to_list(), part[column].to_list()
                series.append((kind, steps, values))
                told.append(f"{column.replace('_', ' ')} from {values[0]:.3f} to {values[-1]:.3f}")
        if series:
            y = charts.nice_scale(min(min(s[2]) for s in series), max(max(s[2]) for s in series), 4)
            alt = f"{title} over {training.height} logged steps: " + "; ".join(told)
            drawn.append(Chart([], charts.lines(series, x, y, form, alt), alt, title))
    return drawn
