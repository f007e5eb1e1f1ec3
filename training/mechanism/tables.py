"""The tables beside reports/mechanism.json: what its pictures, and DVC's plots, are drawn from."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.files import atomic_folder, write_text
from training.mechanism.experiment import GD, GD_PLUS_PLUS
from training.mechanism.run import AGREEMENT, Found

FIRST = "one_layer"  # the model that DVC's plots are of
LOSSES = ("loss", "loss_gd", "loss_gd_plus_plus")
Row = Sequence[Any]


def write_tables(target: Path, found: Sequence[Found]) -> None:
    """Replace the folder `target`, atomically."""
    with atomic_folder(target) as folder:
        for name, (header, rows) in TABLES.items():
            write_text(folder / f"{name}.csv", as_csv(header, rows(found)))


def curves(found: Sequence[Found]) -> Iterator[Row]:
    """Each look at each training."""
    for run in found:
        for look in run["curve"]:
            alike = [look.get(of, {}).get(name) for of in (GD, GD_PLUS_PLUS) for name in AGREEMENT]
            yield run["name"], run["seed"], look["step"], *(look.get(name) for name in LOSSES), *alike


def one_layer(found: Sequence[Found]) -> Iterator[Row]:
    """One layer on the way, mean over seeds."""
    runs = [run["curve"] for run in found if run["name"] == FIRST]
    for looks in zip(*runs, strict=True):
        losses = [[look[name] for look in looks] for name in ("loss", "loss_gd")]
        alike = [[look[GD][name] for look in looks] for name in AGREEMENT]
        yield looks[0]["step"], *(sum(values) / len(looks) for values in (*losses, *alike))


def out_of_range(found: Sequence[Found]) -> Iterator[Row]:
    """Losses on wider tasks."""
    for run in found:
        for row in run["out_of_range"]:
            yield run["name"], run["seed"], row["stretched"], row["factor"], *(row.get(name) for name in LOSSES)


def predictions(found: Sequence[Found]) -> Iterator[Row]:
    """Of the first seed of each model: what its reference says, and what it says."""
    for run in firsts(found):
        trained, exact = run["predictions"]
        yield from ((run["name"], there, here) for here, there in zip(trained, exact, strict=True))


def one_layer_predictions(found: Sequence[Found]) -> Iterator[Row]:
    """Those of one layer alone."""
    yield from (row[1:] for row in predictions(found) if row[0] == FIRST)


def weights(found: Sequence[Found]) -> Iterator[Row]:
    """Each entry of the products of the first seed of each linear model."""
    for run in firsts(found):
        for product, (trained_LHEE, theory_LHEE) in run.get("products", {}).items():
            for place, trained, theory in _entries((), trained_LHEE, theory_LHEE):
                yield run["name"], product, *place, trained, theory


def _entries(place: tuple[int, ...], one: Any, other: Any) -> Iterator[tuple[tuple[int, ...], float, float]]:
    if isinstance(one, float):
        yield place, one, other
        return
    for number, pair in enumerate(zip(one, other, strict=True)):
        yield from _entries((*place, number), *pair)


def firsts(found: Sequence[Found]) -> Iterator[Found]:
    """The first seed of each model."""
    seen: set[str] = set()
    for run in found:
        if run["name"] not in seen:
            seen.add(run["name"])
            yield run


def as_csv(header: Sequence[str], rows: Iterator[Row]) -> str:
    """A table as text; floats have six digits, what there is none of is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return text.getvalue()


TEXT, WHOLE = (
    {"model", "product", "stretched"},
    {"seed", "step", "layer", "head", "row", "column"},
)  # columns; others are floats


def read_table(target: Path, name: str) -> pl.DataFrame:
    """A table of the folder `target`. Raises OSError or PolarsError where it is missing or of another form."""
    header, _ = TABLES[name]
    kinds = {column: pl.String if column in TEXT else pl.Int64 if column in WHOLE else pl.Float64 for column in header}
    return pl.read_csv(target / f"{name}.csv", schema=kinds)


Table = tuple[Sequence[str], Callable[[Sequence[Found]], Iterator[Row]]]
TABLES: dict[str, Table] = {
    "training": (
        ("model", "seed", "step", *LOSSES, *(f"{of}.{name}" for of in (GD, GD_PLUS_PLUS) for name in AGREEMENT)),
        curves,
    ),
    "one_layer": (("step", "loss", "loss_gd", *AGREEMENT), one_layer),
    "out_of_range": (("model", "seed", "stretched", "factor", *LOSSES), out_of_range),
    "predictions": (("model", "reference", "trained"), predictions),
    "one_layer_predictions": (("reference", "trained"), one_layer_predictions),
    "weights": (("model", "product", "layer", "head", "row", "column", "trained", "theory"), weights),
}
