"""Small charts as inline SVG whose positions are percentages: they stretch with the page while text and dots keep their size.

Colours come from the page's style sheet by class, so one picture serves light, dark and paper. All text is escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape


@dataclass(frozen=True)
class Scale:
    """A linear axis from `low` to `high` with marked `ticks`."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def percent(self, value: float) -> float:
        """Where a value lies between the ends, in percent, cut at the ends."""
        return float(np.clip(100.0 * (value - self.low) / (self.high - self.low), 0.0, 100.0))


def nice_scale(low: float, high: float, wanted: int = 5) -> Scale:
    """A scale that covers low to high with about `wanted` round ticks."""
    span = (high - low) or abs(high) or 1.0
    rough = span / wanted
    magnitude = 10.0 ** np.floor(np.log10(rough))
    step = float(next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= rough * 0.999))
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    ticks = tuple(round(step * number, 10) for number in range(first, max(last, first + 1) + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def svg(body: Markup, height: int, alt: str, kind: str = "") -> Markup:
    """A picture as wide as its place and `height` px high; `alt` is read out in its stead (decoration where it is empty)."""
    spoken = Markup('role="img" aria-label="{}"').format(alt) if alt else Markup('aria-hidden="true"')
    return Markup('<svg class="{}" width="100%" height="{}" {}>{}</svg>').format(kind, height, spoken, body)


def joined(parts: Sequence[Markup]) -> Markup:
    """The parts one after the other."""
    return Markup("").join(parts)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A line from x1 % to x2 %, y in px."""
    return Markup('<line class="{}" x1="{:.2f}%" y1="{:g}" x2="{:.2f}%" y2="{:g}"/>').format(kind, x1, y1, x2, y2)


def rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> Markup:
    """A rectangle, x and width in percent, y and height in px."""
    told = Markup("<title>{}</title>").format(title) if title else ""
    return Markup('<rect class="{}" x="{:.3f}%" y="{:.2f}" width="{:.3f}%" height="{:.2f}">{}</rect>').format(
        kind, x, y, width, height, told
    )


def text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> Markup:
    """Words at x %, y px."""
    return Markup('<text class="{}" x="{:.2f}%" y="{:g}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, words)


def interval_track(
    values: Sequence[tuple[str, Mapping[str, float]]], scale: Scale, zero: float | None = None, row: int = 18
) -> Markup:
    """Dots with intervals, one under the other: (class, {mean, low, high}); the grid of `scale` runs behind them."""
    height = row * len(values) + 6
    parts = [line(scale.percent(tick), 0, scale.percent(tick), height, "grid") for tick in scale.ticks]
    if zero is not None:
        parts.append(line(scale.percent(zero), 0, scale.percent(zero), height, "zero"))
    for place, (kind, value) in enumerate(values):
        y = 3 + row * (place + 0.5)
        parts.append(line(scale.percent(value["low"]), y, scale.percent(value["high"]), y, f"whisker {kind}"))
        parts.append(
            Markup('<circle class="dot {}" cx="{:.2f}%" cy="{:g}" r="4.5"/>').format(kind, scale.percent(value["mean"]), y)
        )
    return svg(joined(parts), height, "", "track")


def axis(scale: Scale, labels: Sequence[str]) -> Markup:
    """The ticks' labels under a track."""
    parts = []
    for tick, label in zip(scale.ticks, labels, strict=True):
        at = scale.percent(tick)
        anchor = "start" if at < 1 else "end" if at > 99 else "middle"
        parts.append(text(at, 13, label, "tick", anchor))
    return svg(joined(parts), 18, "", "axis")


def stacked_bar(parts: Sequence[tuple[str, float, str]], whole: float, height: int = 16) -> Markup:
    """One bar of parts (class, amount, title) out of `whole`."""
    drawn, start = [], 0.0
    for kind, amount, title in parts:
        width = 100.0 * amount / (whole or 1.0)
        drawn.append(rect(start, 0, width, height, kind, title))
        start += width
    return svg(joined(drawn), height, "", "bar")


def columns(
    before: Sequence[int], after: Sequence[int], titles: Sequence[str], bounds: Sequence[int], alt: str, height: int = 72
) -> Markup:
    """One column a class: what there was behind what was kept. `bounds` are lines across, those beyond the top left out."""
    top, step = max([*before, 1]), 100.0 / max(1, len(before))
    parts = [line(0, height - 0.5, 100, height - 0.5, "base")]
    for place, (was, now, title) in enumerate(zip(before, after, titles, strict=True)):
        for amount, kind in ((was, "before"), (now, "after")):
            tall = (height - 2) * amount / top
            parts.append(rect(place * step + step * 0.09, height - 1 - tall, step * 0.82, tall, kind, title))
    heights = [height - 1 - (height - 2) * bound / top for bound in bounds if bound <= top]
    return svg(joined([*parts, *(line(0, y, 100, y, "bound") for y in heights)]), height, alt, "columns")


def lines(series: Sequence[tuple[str, Sequence[float], Sequence[float]]], x: Scale, y: Scale, form: str, alt: str) -> Markup:
    """Lines (class, xs, ys) over a grid; the y labels stand on their grid lines, the x labels below. `form` formats y ticks."""
    top, deep = 14, 186
    span = deep - top

    def down(value: float) -> float:
        return deep - span * y.percent(value) / 100

    parts = [line(0, down(tick), 100, down(tick), "grid") for tick in y.ticks]
    paths = []
    for kind, xs, ys in series:
        points = " ".join(f"{10 * x.percent(a):.1f},{1000 - 10 * y.percent(b):.1f}" for a, b in zip(xs, ys, strict=True))
        paths.append(Markup('<polyline class="{}" vector-effect="non-scaling-stroke" points="{}"/>').format(kind, points))
    parts.append(
        Markup('<svg x="0" y="{}" width="100%" height="{}" viewBox="0 0 1000 1000" preserveAspectRatio="none">{}</svg>').format(
            top, span, joined(paths)
        )
    )
    for kind, xs, ys in series:
        if "marked" in kind:
            spots = zip(xs, ys, strict=True)
            parts += [
                Markup('<circle class="dot {}" cx="{:.2f}%" cy="{:.1f}" r="3.5"/>').format(kind, x.percent(a), down(b))
                for a, b in spots
            ]
    parts += [text(0, down(tick) - 3, format(tick, form), "tick halo") for tick in y.ticks]
    for tick in x.ticks:
        at = x.percent(tick)
        parts.append(text(at, deep + 16, f"{tick:,.0f}", "tick", "start" if at < 1 else "end" if at > 99 else "middle"))
    return svg(joined(parts), deep + 22, alt, "lines")


def swatch(kind: str, words: str) -> Markup:
    """A coloured square with what it stands for."""
    return Markup('<span class="swatch"><i class="{}"></i>{}</span>').format(kind, escape(words))
