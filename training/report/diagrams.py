"""Two pictures that are no rows: a graph of domains that act together, and a cloud of points with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

from markupsafe import Markup

from training.report.charts import Scale, joined

WIDE, HIGH = 520, 380  # px; text keeps its size up to this width
RADIUS = 120


@dataclass(frozen=True)
class Node:
    """A domain of the graph; `weight` 0 to 1 is how large its dot is."""

    name: str
    weight: float
    title: str


@dataclass(frozen=True)
class Edge:
    """Two domains; `weight` -1 to 1 is how thick and of which side the line is, dashed where it is not `sure`."""

    first: str
    second: str
    weight: float
    sure: bool
    title: str


@dataclass(frozen=True)
class Point:
    """A point with its interval across y; `kind` is its class, which gives the colour."""

    x: float
    y: Mapping[str, float]  # mean, low, high
    kind: str
    title: str


def ring(nodes: Sequence[Node], edges: Sequence[Edge], alt: str) -> Markup:
    """Nodes on a circle, the first at the top; lines between them, the weakest drawn first."""
    places = {node.name: _place(number, len(nodes)) for number, node in enumerate(nodes)}
    drawn = [_edge(edge, places) for edge in sorted(edges, key=lambda edge: abs(edge.weight))]
    return _canvas([*drawn, *(_node(node, places[node.name]) for node in nodes)], alt, "ring")


def _place(number: int, of: int) -> tuple[float, float]:
    angle = 2 * pi * number / max(1, of) - pi / 2
    return WIDE / 2 + RADIUS * cos(angle), HIGH / 2 + RADIUS * sin(angle)


def _edge(edge: Edge, places: Mapping[str, tuple[float, float]]) -> Markup:
    (x1, y1), (x2, y2) = places[edge.first], places[edge.second]
    kind = f"edge {'gain' if edge.weight >= 0 else 'loss'}{'' if edge.sure else ' open'}"
    return Markup(
        '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke-width="{:.2f}"><title>{}</title></line>'
    ).format(kind, x1, y1, x2, y2, 1 + 8 * min(1.0, abs(edge.weight)), edge.title)


def _node(node: Node, place: tuple[float, float]) -> Markup:
    x, y = place
    side = x - WIDE / 2
    anchor = "middle" if abs(side) < 1 else "start" if side > 0 else "end"
    size = 6 + 10 * max(0.0, min(1.0, node.weight))
    aside = 0 if anchor == "middle" else size + 6 if side > 0 else -size - 6
    down = 4 if anchor != "middle" else -size - 8 if y < HIGH / 2 else size + 18
    return Markup(
        '<circle class="dot node" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{}</title></circle>'
        '<text class="name" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
    ).format(x, y, size, node.title, x + aside, y + down, anchor, node.name)


def cloud(points: Sequence[Point], x: Scale, y: Scale, names: tuple[str, str], labels: Sequence[str], alt: str) -> Markup:
    """Points with whiskers over a grid. `names` are those of the axes; `labels` those of the y ticks."""
    left, right, top, bottom = 52, WIDE - 12, 24, HIGH - 44

    def across(value: float) -> float:
        return left + (right - left) * x.percent(value) / 100

    def down(value: float) -> float:
        return bottom - (bottom - top) * y.percent(value) / 100

    drawn = []
    for tick, label in zip(y.ticks, labels, strict=True):
        kind = "zero" if tick == 0 else "grid"
        drawn += [_stroke(kind, left, down(tick), right, down(tick)), _words(left - 8, down(tick) + 4, label, "end")]
    for tick in x.ticks:
        drawn += [_stroke("grid", across(tick), bottom, across(tick), bottom + 4)]
        drawn += [_words(across(tick), bottom + 18, f"{tick:g}", "middle")]
    drawn += [_words(right, HIGH - 8, names[0], "end"), _words(0, 12, names[1], "start")]
    for point in points:
        at = across(point.x)
        drawn.append(_stroke(f"whisker {point.kind}", at, down(point.y["low"]), at, down(point.y["high"])))
        drawn.append(
            Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="5"><title>{}</title></circle>').format(
                point.kind, at, down(point.y["mean"]), point.title
            )
        )
    return _canvas(drawn, alt, "cloud")


def _canvas(drawn: Sequence[Markup], alt: str, kind: str) -> Markup:
    return Markup('<svg class="diagram {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        kind, WIDE, HIGH, alt, joined(drawn)
    )


def _stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def _words(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)
