"""The table and the figure of benchmarks.scaling: `python -m benchmarks.scaling_figure`.

Reads docs/pictures/scaling.csv and writes docs/pictures/scaling.svg, the same bytes for the same data; prints the tables.

Shape letters: H held-out domains, S seeds.
"""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import polars as pl

from benchmarks.trials import over_seeds, told
from pipelines.files import atomic_path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
DATA, FIGURE = PICTURES / "scaling.csv", PICTURES / "scaling.svg"
COLOURS = ("#9db4ab", "#5f9ea0", "#3c6e71", "#1b2a2b")


def by_seed(rows: pl.DataFrame) -> list[list[float]]:
    """Accuracies, a row for each held-out domain, a column for each seed that all of them have."""
    seeds = rows.group_by("seed").len().filter(pl.col("len") == rows["held_out"].n_unique())["seed"].sort()
    whole = rows.filter(pl.col("seed").is_in(seeds.to_list())).sort("held_out", "seed")
    return [part["accuracy"].to_list() for _, part in whole.group_by("held_out", maintain_order=True)]


def slopes(results: pl.DataFrame, shots: int) -> list[tuple[float, float | None]]:
    """What a doubling of classes, a doubling of images a class, and the first less the second do to accuracy.

    Least squares of accuracy on both logarithms, for each held-out domain and seed.
    """
    grid = results.filter((pl.col("few") == 0) & (pl.col("shots") == shots))
    found: list[list[list[float]]] = [[], [], []]
    for _, of_domain in grid.sort("held_out", "seed").group_by("held_out", maintain_order=True):
        rows = []
        for _, part in of_domain.group_by("seed", maintain_order=True):
            logs = part.select(pl.col("classes").log(2), pl.col("images_a_class").log(2)).to_numpy()
            factors = np.column_stack([logs, np.ones(len(logs))])
            classes, images, _ = np.linalg.lstsq(factors, part["accuracy"].to_numpy(), rcond=None)[0]
            rows.append((classes, images, classes - images))
        for place, values in enumerate(zip(*rows, strict=True)):
            found[place].append(list(values))
    return [over_seeds(values_HS) for values_HS in found]


def rows_of_table(results: pl.DataFrame) -> Iterator[str]:
    """All cells as Markdown, then the slopes."""
    shots = results["shots"].unique().sort().to_list()
    heads = [f"{n_shot} shot{'s' if n_shot > 1 else ''}" for n_shot in shots]
    yield f"| domains | classes | images a class | images | {' | '.join(heads)} |"
    yield "|---" * (4 + len(shots)) + "|"
    order = ["few", "classes", "images_a_class"]
    for (few, classes, images), part in results.sort(order).group_by(order, maintain_order=True):
        cells = [told(*over_seeds(by_seed(part.filter(pl.col("shots") == n)))) for n in shots]
        yield f"| {few or 'all'} | {classes} | {images} | {classes * images} | {' | '.join(cells)} |"
    yield ""
    for n_shot in shots:
        classes, images, less = (told(*value, signed=True) for value in slopes(results, n_shot))
        yield f"{n_shot} shots: doubling classes {classes}, doubling images a class {images}, difference {less}"


def draw(results: pl.DataFrame, target: Path) -> None:
    """Two panels at the larger number of shots: images, a line for each number of classes; and domains."""
    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams |= {"svg.hashsalt": "tessera", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}
    results = results.filter(pl.col("shots") == pl.col("shots").max())
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2), width_ratios=(3, 2), sharey=True, layout="constrained")
    grid = results.filter(pl.col("few") == 0)
    for colour, classes in zip(COLOURS, grid["classes"].unique().sort(), strict=False):
        points = points_of(grid.filter(pl.col("classes") == classes), pl.col("classes") * pl.col("images_a_class"))
        left.errorbar(*points, color=colour, marker="o", markersize=4, capsize=2, label=f"{classes} classes")
    left.set(xscale="log", xlabel="images in all", ylabel=f"held-out accuracy, {results['shots'].max()} shots")
    left.set_xticks(ticks := [100, 200, 400, 800, 1600, 3200], [str(tick) for tick in ticks])
    left.minorticks_off()
    left.legend(frameon=False)
    few = results.filter(pl.col("few") > 0)
    same = grid.filter((pl.col("classes") == few["classes"][0]) & (pl.col("images_a_class") == few["images_a_class"][0]))
    everything = same.with_columns(few=pl.lit(few["few"].max() + 1, few["few"].dtype))
    right.errorbar(
        *points_of(pl.concat([few, everything]), pl.col("few")), color=COLOURS[2], marker="o", markersize=4, capsize=2
    )
    numbers = few["few"].unique().sort().to_list()
    right.set_xticks([*numbers, numbers[-1] + 1], [*map(str, numbers), "all"])
    right.set(
        xlabel=f"domains, of {few['classes'][0]} classes and {few['classes'][0] * few['images_a_class'][0]} images in all"
    )
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(target) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def points_of(rows: pl.DataFrame, place: pl.Expr) -> tuple[list[float], list[float], list[float]]:
    """x, mean and half interval of each x."""
    rows = rows.with_columns(x=place)
    found = [(x, *over_seeds(by_seed(part))) for (x,), part in rows.sort("x").group_by("x", maintain_order=True)]
    return [x for x, _, _ in found], [mean for _, mean, _ in found], [half or 0.0 for _, _, half in found]


def main() -> None:
    """Draw and print."""
    results = pl.read_csv(DATA)
    draw(results, FIGURE)
    print("\n".join(rows_of_table(results)))


if __name__ == "__main__":
    main()
