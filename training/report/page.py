"""The report as one HTML file: what the template needs, and the template rendered with every value escaped."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipelines.ledger import VERDICTS
from pipelines.quality import LADDER
from training.measure.in_words import points
from training.measure.shots import judged_at
from training.report import figures, gallery, planted, quality
from training.report.charts import swatch
from training.report.compare import (
    Side,
    accuracy_changes,
    baseline_changes,
    company_changes,
    kept_changes,
    worth_changes,
)
from training.report.episodes import episodes
from training.report.findings import findings
from training.report.gpicl import gpicl_section
from training.report.inputs import Inputs
from training.report.mechanism import mechanism_section
from training.report.metrics import COMPARED, LEARNERS
from training.report.on_the_way import domain_rows
from training.report.phases import phases_section
from training.report.plots import data_uri
from training.report.stage_times import DOMAIN_STAGES, before_report, duration, last_run
from training.report.worth import worth_section

HERE = Path(__file__).parent
PACKAGES = ("tessera", "torch", "polars", "numpy", "pillow", "scikit-learn")
VERDICT_WORDS = {verdict: verdict.replace("_", " ") for verdict in VERDICTS}


def render(inputs: Inputs, metrics: Mapping[str, Any], scored: pl.DataFrame, tables: Mapping[str, str]) -> str:
    """The whole page, `tables` (CSV by name) among it to be saved. The same inputs give the same bytes."""
    return template("report.html.j2").render(
        style=style(),
        data={name: data_uri(text) for name, text in tables.items()},
        **_glance(inputs, metrics),
        **_curation(inputs, metrics, scored),
        **_learning(inputs, metrics),
        **worth_section(inputs, metrics),
        mechanism=mechanism_section(inputs.layout),
        gpicl=gpicl_section(inputs.layout),
        phases=phases_section(inputs.layout),
        **_cost(inputs),
    )


def render_comparison(first: Side, second: Side) -> str:
    """Two collections beside each other as a page of its own."""
    return template("compare.html.j2").render(
        style=style(),
        first=first.name,
        second=second.name,
        company=company_changes(first, second),
        kept=kept_changes(first, second),
        accuracy=accuracy_changes(first, second),
        baselines=baseline_changes(first, second),
        worth=worth_changes(first, second),
    )


def template(name: str) -> Template:
    """A template of this folder, every value escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "size": size, "seconds": duration, "count": count}
    environment.filters |= {"signed": signed}
    environment.filters |= {"points": points, "span": figures.span_points}
    return environment.get_template(name)


def style() -> Markup:
    """The style sheet that every page carries."""
    return Markup((HERE / "style.css").read_text(encoding="utf-8"))


def _glance(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, Any]:
    counted = [d.stats for d in inputs.domains.values()]
    return {
        "roles": {role: len(inputs.in_role(role)) for role in ("train", "held_out", "spare")},
        "kept": sum(stats["kept"] for stats in counted),
        "records": sum(stats["records"] for stats in counted),
        "findings": findings(metrics, inputs.stages),
        "tables": _accuracy_tables(metrics["held_out"]),
        "learners": {name: figures.NAMES[name] for name in LEARNERS},
        "own_backbone": inputs.manifest.get("encoding", {}).get("tensor") == "pixels",
        "sheets": gallery.contact_sheets(inputs),
    }


def _accuracy_tables(held_out: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One table a number of shots, most first: (domain, cells, best); the mean comes last."""
    tables = []
    for shot in reversed(list(held_out.get("mean", {}))):
        rows = []
        for domain, by_shot in held_out.items():
            found = by_shot[shot]
            best = max((found[name]["mean"] for name in LEARNERS if name in found), default=0.0)
            rows.append({"domain": domain, "cells": [found.get(name) for name in LEARNERS], "best": best})
        mean = held_out["mean"][shot]
        less = [(figures.NAMES[other], mean.get(f"learner_minus_{other}")) for other in COMPARED]
        differences = [(name, points(v["mean"]), figures.span_points(v)) for name, v in less if v]
        tables.append({"title": shot.replace("_", "-"), "rows": rows, "differences": differences})
    return tables


def _curation(inputs: Inputs, metrics: Mapping[str, Any], scored: pl.DataFrame) -> dict[str, Any]:
    used = [v for v in VERDICTS if v != "kept" and any(counts[v] for counts in metrics["curation"].values())]
    return {
        "verdicts": VERDICT_WORDS,
        "curation": metrics["curation"],
        "legend": [swatch(f"v-{verdict}", VERDICT_WORDS[verdict]) for verdict in used],
        "verdict_rows": figures.verdict_rows(metrics["curation"]),
        "balance": [(name, figures.balance(name, d.stats["class_counts"], d.settings)) for name, d in inputs.domains.items()],
        "domain_weights": metrics["training"].get("domain_weights"),
        "shares": figures.share_rows(metrics["training"].get("shares", {})),
        "conflicts": gallery.copies(inputs, "label_conflict"),
        "suspects": gallery.suspects(inputs),
        "duplicates": gallery.copies(inputs, "duplicate"),
        "unreadable": gallery.unreadable(inputs),
        "between": gallery.between(inputs),
        "scores": quality.scores(inputs),
        "ladder": LADDER,
        "planted": metrics["planted"],
        "planted_kinds": list(planted.by_kind(scored).iter_rows(named=True)),
        "planted_wrong": list(scored.filter(pl.col("outcome") != "found").head(20).iter_rows(named=True)),
    }


def _learning(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "learning": figures.learning_charts(inputs.training),
        "on_the_way": domain_rows(inputs.validation, [(n, r) for r in ("train", "spare") for n in inputs.in_role(r)]),
        "accuracy": figures.accuracy_charts(metrics["held_out"]),
        "context": figures.context_charts(inputs.context),
        "episodes": episodes(inputs),
        "learner_legend": [swatch(name, figures.NAMES[name]) for name in LEARNERS],
        "judged_at": judged_at(inputs.results),
        "spares": inputs.in_role("spare"),
    }


def _cost(inputs: Inputs) -> dict[str, Any]:
    known, ran = before_report(inputs.stages), last_run(inputs.stages)
    cells = {(time.group, time.domain): {"time": time, "ran": time.stage in ran} for time in known}
    return {
        "domain_stages": DOMAIN_STAGES,
        "cost_rows": [(name, [cells.get((stage, name)) for stage in DOMAIN_STAGES]) for name in inputs.domains],
        "shared_cells": [cell for (_, domain), cell in cells.items() if not domain],
        "ran": [time for time in known if time.stage in ran],
        "unchanged": [time for time in known if time.stage not in ran],
        "versions": {name: version(name) for name in PACKAGES if _installed(name)},
        "encoder": inputs.manifest["encoder"],
        "licences": sorted(inputs.manifest["licences"].items()),
        "digests": [(name, d.entry) for name, d in inputs.domains.items()],
        "settings": {name: _flat(d.settings) for name, d in inputs.domains.items()},
        "learner": inputs.learner,
    }


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except ModuleNotFoundError:  # run from the tree without being installed
        return False


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def percent(value: float) -> str:
    """A share with one decimal, without the sign."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """A correlation, with its sign."""
    return f"{value:+.2f}".replace("-", "\u2212")


def count(value: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def size(value: int) -> str:
    """Bytes in a unit that leaves a small number."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= bytes_:
            return f"{value / bytes_:.1f} {unit}"
    return f"{value} B"
