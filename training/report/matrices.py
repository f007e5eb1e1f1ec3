"""Matrices as heat maps and pairs of numbers as scatter, in the manner of charts.py but square: they scale as a whole."""

from collections.abc import Sequence

from markupsafe import Markup

from training.report.charts import joined

GAP = 0.04  # of a cell, left free on each side
Matrix = Sequence[Sequence[float]]


def heat_map(matrix: Matrix, largest: float, alt: str) -> Markup:
    """One cell an entry, blue for positive and orange for negative, as strong as its share of `largest`."""
    cells = []
    for row, values in enumerate(matrix):
        for column, value in enumerate(values):
            strength = min(100.0, 100.0 * abs(value) / (largest or 1.0))
            cells.append(
                Markup('<rect class="{}" style="--s:{:.0f}%" x="{:g}" y="{:g}" width="{:g}" height="{:g}"/>').format(
                    "gain" if value >= 0 else "loss", strength, column + GAP, row + GAP, 1 - 2 * GAP, 1 - 2 * GAP
                )
            )
    return _square("matrix", len(matrix), joined(cells), alt)


def scatter(pairs: Sequence[tuple[float, float]], alt: str) -> Markup:
    """Dots at (across, up) on one scale for both, over the line where both are equal."""
    furthest = max((abs(value) for pair in pairs for value in pair), default=1.0) or 1.0

    def place(value: float) -> float:
        return 50.0 + 48.0 * value / furthest

    parts = [Markup('<line class="zero" x1="2" y1="98" x2="98" y2="2"/>')]
    parts += [
        Markup('<circle class="learner" cx="{:.2f}" cy="{:.2f}" r="0.9"/>').format(place(across), 100 - place(up))
        for across, up in pairs
    ]
    return _square("scatter", 100, joined(parts), alt)


def _square(kind: str, side: int, body: Markup, alt: str) -> Markup:
    return Markup('<svg class="{0}" viewBox="0 0 {1} {1}" role="img" aria-label="{2}">{3}</svg>').format(kind, side, alt, body)
