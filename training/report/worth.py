"""The section on the worth of domains: verdicts, bars, graph, maps and cloud, drawn from metrics.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipelines.params import Runner
from training.measure.in_words import VERDICTS, points
from training.measure.sequence import curves
from training.measure.similarity import DISTANCES, distance_of
from training.measure.worth import MEAN
from training.report import charts, figures
from training.report.diagrams import Edge, Node, Point, cloud, ring
from training.report.figures import Chart, Interval, span_points, sure
from training.report.inputs import Inputs
from training.report.stage_times import swap_seconds
from training.report.swap_cost import seconds_by_domain

ORDER_KINDS = ("learner", "class_mean")
MARKS = {"replaceable": "✓", "not_replaceable": "✗", "cannot_tell_yet": "?"}
DISTANCE_NAMES = {"frechet": "Fréchet distance", "classwise": "transport between classes"}


def worth_section(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """All that the template shows of it; what was not measured is None or empty."""
    return {
        "board": board(inputs, metrics),
        "asked": inputs.asked,
        "removal_heat": figures.heat_rows(metrics["removal"]),
        "removal": figures.removal_chart(metrics["removal"]),
        "replacement": figures.replacement_chart(metrics["replacement"]),
        "verdicts_on": verdict_matrix(metrics["replaceability"]),
        "shapley": shapley_chart(metrics.get("shapley", {})),
        "trained": sum(value["mean"] for value in metrics.get("shapley", {}).values()),
        "shapley_exact": all(value["exact"] for value in metrics.get("shapley", {}).values()),
        "addition": addition_chart(metrics.get("addition", {})),
        "interaction": interaction_graph(metrics.get("interaction", {}), metrics["removal"]),
        "interaction_rows": interaction_chart(metrics.get("interaction", {})),
        "transfer": transfer_map(metrics.get("transfer", {})),
        "transfer_columns": _places(metrics.get("transfer", {})),
        "datamodel": metrics.get("datamodel"),
        "datamodel_chart": datamodel_chart(metrics.get("datamodel", {})),
        "modularity": metrics.get("modularity"),
        "turns": turn_charts(inputs),
        "turn_legend": [charts.swatch(kind, words) for kind, words in zip(ORDER_KINDS, _orders(inputs), strict=False)],
        "continual": metrics.get("continual", {}),
        "clouds": similarity_clouds(inputs, metrics),
        "locality": metrics.get("locality", {}),
        "similarity": metrics.get("similarity", {}),
        "distance_names": DISTANCE_NAMES,
    }


def board(inputs: Inputs, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each train domain: what is lost without it, its Shapley value, what replaces it, and what a swap takes."""
    train, values = inputs.in_role("train"), metrics.get("shapley", {})
    seconds = seconds_by_domain(inputs.stages, inputs.trainings, train, Runner().here) or swap_seconds(inputs.stages)
    rows = []
    for name, row in sorted(metrics["removal"].items(), key=lambda item: -item[1][MEAN]["mean"]):
        cells = metrics["replaceability"].get(name, {})
        rows.append(
            {
                "domain": name,
                "lost": row[MEAN],
                "lost_sure": sure(row[MEAN]),
                "shapley": values.get(name),
                "shapley_sure": name in values and sure(values[name]),
                "verdicts": [verdict_cell(spare, cell) for spare, cell in cells.items()],
                "seconds": seconds.get(name),
            }
        )
    return rows


def verdict_cell(spare: str, cell: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict for a reader: its mark, words, colour and the numbers it rests on."""
    side = f", {cell['side']}" if cell["side"] in ("better", "equal") else ""
    share = cell.get("share")
    return {
        "spare": spare,
        "kind": "better" if cell["side"] == "better" else cell["verdict"],
        "mark": MARKS[cell["verdict"]],
        "words": VERDICTS[cell["verdict"]] + side,
        "won": points(cell["mean"]),
        "span": span_points(cell),
        "share": f"{100 * share['mean']:.0f} % of its worth" if share else "",
        "needed": cell.get("needed", ""),
    }


def verdict_matrix(table: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(train domain, cells) with the spares in the same order in every row."""
    return [(name, [verdict_cell(spare, cell) for spare, cell in row.items()]) for name, row in table.items()]


def shapley_chart(values: Mapping[str, Interval]) -> Chart | None:
    """Shapley values with intervals, the largest first."""
    return figures.effect_chart(_ordered(values.items()), "Shapley value of each train domain")


def addition_chart(table: Mapping[str, Mapping[str, Interval]]) -> Chart | None:
    """What each spare adds to the whole collection."""
    return figures.effect_chart(_ordered((name, row[MEAN]) for name, row in table.items()), "Won by adding each spare")


def interaction_chart(table: Mapping[str, Mapping[str, Interval]]) -> Chart | None:
    """Interactions in points, the largest first."""
    rows = [(f"{one} × {other}", value) for one, row in table.items() for other, value in row.items()]
    return figures.effect_chart(_ordered(rows), "Interaction of each two train domains")


def datamodel_chart(found: Mapping[str, Any]) -> Chart | None:
    """The weights of the datamodel, the largest first."""
    return figures.effect_chart(_ordered(found.get("weights", {}).items()), "Weight of each domain in the linear datamodel")


def _ordered(rows: Iterable[tuple[str, Interval]]) -> list[tuple[str, Interval]]:
    return sorted(rows, key=lambda item: (-item[1]["mean"], item[0]))


def interaction_graph(
    table: Mapping[str, Mapping[str, Interval]], removal: Mapping[str, Mapping[str, Interval]]
) -> Markup | None:
    """Train domains on a ring, as large as what is lost without them; lines where two need or stand in for each other."""
    pairs = [(one, other, value) for one, row in table.items() for other, value in row.items()]
    if not pairs:
        return None
    most = max(abs(value["mean"]) for _, _, value in pairs) or 1.0
    loss = {name: row[MEAN]["mean"] for name, row in removal.items()}
    largest = max((abs(value) for value in loss.values()), default=1.0) or 1.0
    names = list(dict.fromkeys(name for one, other, _ in pairs for name in (one, other)))
    nodes = [
        Node(name, max(0.0, loss.get(name, 0.0)) / largest, f"{name}: {points(loss.get(name, 0.0))} points lost without it")
        for name in names
    ]
    edges = [
        Edge(one, other, v["mean"] / most, sure(v), f"{one} and {other}: {points(v['mean'])} points ({span_points(v)})")
        for one, other, v in pairs
    ]
    told = "; ".join(edge.title for edge in edges)
    return ring(nodes, edges, f"Interactions of train domains: {told}")


def transfer_map(table: Mapping[str, Mapping[str, Interval]]) -> list[tuple[str, list[dict[str, Any] | None]]]:
    """(domain trained on, cells by the domain judged on), coloured within each column."""
    columns = _places(table)
    spans = {c: [row[c]["mean"] for row in table.values() if c in row] for c in columns}
    rows: list[tuple[str, list[dict[str, Any] | None]]] = []
    for name, row in table.items():
        cells: list[dict[str, Any] | None] = []
        for column in columns:
            value = row.get(column)
            cells.append({**value, "strength": _strength(value["mean"], spans[column])} if value else None)
        rows.append((name, cells))
    return rows


def _places(table: Mapping[str, Mapping[str, Interval]]) -> list[str]:
    return list(dict.fromkeys(place for row in table.values() for place in row))


def _strength(value: float, among: Sequence[float]) -> float:
    low, high = min(among), max(among)
    return round(72 * (value - low) / (high - low), 1) if high > low else 0.0


def turn_charts(inputs: Inputs) -> list[Chart]:
    """Accuracy on each judged domain, turn by turn: a line an order."""
    found = curves(inputs.sequence)
    if not found:
        return []
    values = [value for by_order in found.values() for line in by_order.values() for value in line]
    y = charts.nice_scale(min(values), max(values), 4)
    drawn = []
    for domain, by_order in found.items():
        series, told = [], []
        for kind, (order, line) in zip(ORDER_KINDS, by_order.items(), strict=False):
            series.append((f"{kind} marked", [float(turn) for turn in range(len(line))], line))
            told.append(f"{' then '.join(order)}: " + ", ".join(f"{100 * value:.1f} %" for value in line))
        x = charts.Scale(0.0, float(len(line) - 1), tuple(float(turn) for turn in range(len(line))))
        alt = f"Accuracy on {domain} before the first and after each turn. " + "; ".join(told)
        role = inputs.domains[domain].role.replace("_", " ") if domain in inputs.domains else ""
        drawn.append(Chart([], charts.lines(series, x, y, ".0%", alt), alt, f"{domain} · {role}"))
    return drawn


def _orders(inputs: Inputs) -> list[str]:
    orders = dict.fromkeys(tuple(order) for order in inputs.sequence["order"].to_list())
    return [" → ".join(order) for order in orders]


def similarity_clouds(inputs: Inputs, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each distance: every replacement by how far its spare is from what it replaces, and what it won."""
    pairs = [(name, spare, cell) for name, row in metrics["replaceability"].items() for spare, cell in row.items()]
    drawn = []
    for distance in DISTANCES if len(pairs) > 1 else ():
        known = distance_of(inputs.similarity, distance)
        dots = [
            Point(
                known[frozenset((name, spare))],
                cell,
                "better" if cell["side"] == "better" else cell["verdict"],
                f"{name} by {spare}: {points(cell['mean'])} points, {VERDICTS[cell['verdict']]}",
            )
            for name, spare, cell in pairs
            if frozenset((name, spare)) in known
        ]
        x = charts.nice_scale(0.0, max((dot.x for dot in dots), default=1.0), 5)
        y = charts.nice_scale(min(0.0, *(d.y["low"] for d in dots)), max(0.0, *(d.y["high"] for d in dots)))
        labels = [f"{100 * tick:+.3g}".replace("-", "−") if tick else "0" for tick in y.ticks]
        told = "; ".join(dot.title for dot in dots)
        names = (DISTANCE_NAMES[distance], "points won by the swap")
        alt = f"Replacements by {DISTANCE_NAMES[distance]}: {told}"
        drawn.append({"name": DISTANCE_NAMES[distance], "drawing": cloud(dots, x, y, names, labels, alt)})
    return drawn
