"""The tables beside reports/phases.json: what its pictures, and DVC's plots, are drawn from."""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

from training.gpicl.tables import as_csv
from training.phases.circuits import MEASURES
from training.phases.run import ACCURACIES, heads
from training.phases.trial import Found

Row = Sequence[Any]
FIRST = ("layer_1", "layer_2", "readout_2")  # of DVC's plot: a column each, empty where there is no such layer


def looks(found: Sequence[Found]) -> Iterator[Row]:
    """Each look at each training."""
    for run in found:
        for look in run["looks"]:
            yield run["seed"], look["step"], look["loss"], look["phase"], *(look[name] for name in ACCURACIES)


def circuits(found: Sequence[Found]) -> Iterator[Row]:
    """Measures of each head at each look."""
    for run in found:
        for look in run["looks"]:
            for layer, head in heads(found):
                values = (look["circuits"][layer][name][head] for name in MEASURES)
                yield run["seed"], look["step"], layer + 1, head + 1, *values


def decodability(found: Sequence[Found]) -> Iterator[Row]:
    """How well the task is decoded from each state at each look."""
    for run in found:
        for look in run["looks"]:
            yield from ((run["seed"], look["step"], part, value) for part, value in look["decodability"].items())


def attention(found: Sequence[Found]) -> Iterator[Row]:
    """Of the first training: how much each token attends to each at the last look in each phase."""
    for phase, layers in found[0]["attention"].items():
        for layer, share_HTT in enumerate(layers, 1):
            for head, share_TT in enumerate(share_HTT, 1):
                for row, share_T in enumerate(share_TT):
                    yield from ((phase, layer, head, row, column, share) for column, share in enumerate(share_T))


def on_the_way(found: Sequence[Found]) -> Iterator[Row]:
    """Means over trainings and heads."""
    for at in zip(*(run["looks"] for run in found), strict=True):
        first, last = ({name: mean_of_heads(at, layer, name) for name in MEASURES} for layer in (0, -1))
        decoded = [
            fmean(look["decodability"][part] for look in at) if part in at[0]["decodability"] else None for part in FIRST
        ]
        accuracy = fmean(look["accuracy"] for look in at)
        yield at[0]["step"], accuracy, first["chunk_example"], first["label_attention"], last["bigram"], *decoded


def mean_of_heads(at: Sequence[Found], layer: int, name: str) -> float:
    """One measure of one layer."""
    return fmean(fmean(look["circuits"][layer][name]) for look in at)


Table = tuple[Sequence[str], Callable[[Sequence[Found]], Iterator[Row]]]
TABLES: dict[str, Table] = {
    "looks": (("seed", "step", "loss", "phase", *ACCURACIES), looks),
    "circuits": (("seed", "step", "layer", "head", *MEASURES), circuits),
    "decodability": (("seed", "step", "state", "decoded"), decodability),
    "attention": (("phase", "layer", "head", "row", "column", "share"), attention),
    "on_the_way": (
        ("step", "accuracy", "first_chunk_example", "first_label_attention", "last_bigram", *(f"decoded_{of}" for of in FIRST)),
        on_the_way,
    ),
}


def texts(found: Sequence[Found]) -> dict[str, str]:
    """Every table as CSV by the name of its file."""
    return {f"{name}.csv": as_csv(header, rows(found)) for name, (header, rows) in TABLES.items()}
