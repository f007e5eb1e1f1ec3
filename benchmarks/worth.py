"""What each domain of a collection is worth, as Markdown: `python -m benchmarks.worth PROJECT`.

Reads reports/metrics.json of a project in which `dvc repro` ended. Tables whose design was not run are left out.
Percentage points with 95 % intervals.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.files import read_json
from pipelines.layout import Layout
from training.measure.in_words import VERDICTS
from training.measure.worth import MEAN

Metrics = Mapping[str, Any]


def signed(value: float, decimals: int = 2) -> str:
    """A number with its sign."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def told(value: Metrics) -> str:
    """A difference of accuracies in points, with its interval."""
    return f"{signed(100 * value['mean'])} ({signed(100 * value['low'])} to {signed(100 * value['high'])})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def removal(metrics: Metrics) -> str:
    """What is lost without each train domain, and its Shapley value where that is known."""
    shapley = metrics.get("shapley", {})
    places = [place for place in next(iter(metrics["removal"].values())) if place != MEAN]
    head = ["domain", *(f"lost on {place}" for place in places), "lost on their mean", "p", "in deviations of a training"]
    rows = [
        [
            name,
            *(told(row[place]) for place in places),
            told(row[MEAN]),
            f"{row[MEAN]['p']:.3f}",
            signed(row[MEAN]["effect"], 1),
        ]
        for name, row in metrics["removal"].items()
    ]
    if shapley:
        head = [*head, "Shapley value"]
        rows = [[*row, told(shapley[row[0]])] for row in rows]
    return table(head, rows)


def verdicts(metrics: Metrics) -> str:
    """The replaceability matrix, a row each pair."""
    rows = [
        [name, spare, told(cell), f"**{VERDICTS[cell['verdict']]}**", cell.get("side", ""), cell.get("needed", "")]
        for name, row in metrics["replaceability"].items()
        for spare, cell in row.items()
    ]
    return table(["domain", "replaced by", "won", "verdict", "side", "to tell it would take"], rows)


def pairs(metrics: Metrics) -> str:
    """Interactions of two train domains."""
    rows = [
        [one, other, told(cell), f"{cell['p']:.3f}"]
        for one, row in metrics["interaction"].items()
        for other, cell in row.items()
    ]
    return table(["domain", "and", "interaction", "p"], rows)


def addition(metrics: Metrics) -> str:
    """What each spare adds beside all train domains."""
    return table(
        ["spare", "added", "p"], [[name, told(row[MEAN]), f"{row[MEAN]['p']:.3f}"] for name, row in metrics["addition"].items()]
    )


def transfer(metrics: Metrics) -> str:
    """Accuracy of learners that saw one domain alone; per cent."""
    rows = metrics["transfer"]
    places = list(dict.fromkeys(place for row in rows.values() for place in row))

    def cell(row: Metrics, place: str) -> str:
        return f"{100 * row[place]['mean']:.1f}" if place in row else ""

    return table(
        ["trained on \\ judged on, %", *places], [[name, *(cell(row, place) for place in places)] for name, row in rows.items()]
    )


def ranks(metrics: Metrics) -> str:
    """Rank correlations of distance between domains with loss (locality) and with what a replacement wins (similarity)."""
    rows = [
        [what, name, signed(cell["rank"]), f"{cell['p']:.3f}", f"{cell['pairs']:.0f}"]
        for what in ("locality", "similarity")
        for name, cell in (metrics.get(what) or {}).items()
    ]
    return table(["", "distance", "rank correlation", "p", "pairs"], rows)


def whole(metrics: Metrics) -> str:
    """Figures of the collection as a whole, a line each."""
    lines = []
    if "modularity" in metrics:
        found = metrics["modularity"]
        lines.append(f"modularity index {found['mean']:.2f} ({found['low']:.2f} to {found['high']:.2f})")
    else:
        lines.append("modularity index absent: subsets do not surely differ by more than chance")
    if "datamodel" in metrics:
        found = metrics["datamodel"]
        lines.append(
            f"datamodel over {found['subsets']:.0f} subsets: R² {found['r2']:.2f} and rank {found['rank']:.2f} on held-out ones"
        )
    if metrics.get("continual"):
        lines += [f"in sequence: {name} {told(value)}" for name, value in metrics["continual"].items()]
    if metrics.get("swap_cost"):
        lines.append("swap cost: " + ", ".join(f"{name} {value:,.3g}" for name, value in metrics["swap_cost"].items()))
    return "\n".join(f"- {line}" for line in lines)


def main() -> None:
    """Print every table that the metrics hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path, help="a project in which `dvc repro` ended")
    layout = Layout(parser.parse_args().project)
    metrics = read_json(layout.reports / "metrics.json")
    parts = {"removal": removal, "replaceability": verdicts, "interaction": pairs, "addition": addition, "transfer": transfer}
    for name, part in parts.items():
        if metrics.get(name):
            print(part(metrics), end="\n\n")
    if metrics.get("locality") or metrics.get("similarity"):
        print(ranks(metrics), end="\n\n")
    print(whole(metrics))


if __name__ == "__main__":
    main()
