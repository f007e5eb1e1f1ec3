"""What `add` foretells of a domain agrees with what curation and episodes then do."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.add.prospects import prospects
from pipelines.balance import balance
from pipelines.features import Features
from pipelines.params import Params
from pipelines.split import split

PARAMS = Params.model_validate({"domains": {"a": "train", "b": "held_out"}})
NO_FEATURES = Features(pl.Series([], dtype=pl.String), np.empty((0, 1), np.float32))  # a draw by lot needs none


def ledger(classes: dict[str, int]) -> pl.DataFrame:
    rows = [(f"{name}-{n}", name) for name, size in classes.items() for n in range(size)]
    frame = pl.DataFrame(rows, schema={"key": pl.String, "label": pl.String}, orient="row")
    nothing = pl.lit(None, dtype=pl.String)
    return frame.with_columns(verdict=nothing, reason=nothing, split=nothing, override=nothing, cluster=nothing, group=nothing)


@given(st.lists(st.integers(1, 24), min_size=1, max_size=60))
def test_a_domain_without_a_warning_can_be_trained_on(sizes: list[int]) -> None:
    classes = {f"c{number:02d}": size for number, size in enumerate(sizes)}
    lines = prospects(classes, "train", PARAMS)
    decided = balance(ledger(classes), NO_FEATURES, PARAMS.curation)
    rare = decided.filter(pl.col("verdict") == "rare_class")["label"].n_unique()
    assert (f"{rare} class" in lines[0]) if rare else (not lines or lines[0].startswith("warning"))
    kept = decided.with_columns(verdict=pl.col("verdict").fill_null("kept"))
    if kept.filter(pl.col("verdict") == "kept").is_empty():
        assert lines[-1].startswith("warning: 0 classes would be kept")
        return
    done, by, _ = split(kept, PARAMS.curation)
    in_train = done.filter(pl.col("split") == "train").group_by("label").len()
    able = in_train.filter(pl.col("len") > PARAMS.training.max_shot).height
    if not any(line.startswith("warning") for line in lines):
        assert able >= PARAMS.training.n_way
    elif by == "image":  # by class the draw decides, and the warning counts with the worst
        assert able < PARAMS.training.n_way


@pytest.mark.parametrize(
    ("sizes", "role", "minimum", "said"),
    [
        ([20] * 5, "train", None, []),
        ([20] * 5 + [9], "train", None, ["1 class has fewer than 10 pictures"]),
        ([9] * 6, "held_out", None, ["6 classes have fewer than 10", "--min-per-class 9 keeps enough"]),
        ([9] * 6, "held_out", 9, []),
        ([9] * 6, "train", 9, []),
        ([7] * 6, "train", 7, ["6 classes would be kept, 0 of them large enough"]),  # 5 of the 7 are in the train split
        ([7] * 6, "held_out", 7, []),
        (
            [20] * 4,
            "spare",
            None,
            ["4 classes would be kept; an episode takes 5 classes of 6 pictures (training.n_way and max_shot)"],
        ),
        ([20], "held_out", None, ["1 class would be kept; ", "the source is too small"]),
    ],
)
def test_lines(sizes: list[int], role: str, minimum: int | None, said: list[str]) -> None:
    classes = {f"c{number}": size for number, size in enumerate(sizes)}
    text = "\n".join(prospects(classes, role, PARAMS, minimum))  # type: ignore[arg-type]
    assert bool(text) == bool(said)
    for words in said:
        assert words in text


def test_what_is_suggested_helps() -> None:
    for sizes in ([30, 30, 12, 9, 8, 8, 3], [9] * 5, [40, 8, 8, 8, 8]):
        classes = {f"c{number}": size for number, size in enumerate(sizes)}
        (line,) = [line for line in prospects(classes, "train", PARAMS) if line.startswith("warning")]
        suggested = int(line.partition("--min-per-class ")[2].split()[0])
        assert not any(line.startswith("warning") for line in prospects(classes, "train", PARAMS, suggested))
        assert any(line.startswith("warning") for line in prospects(classes, "train", PARAMS, suggested + 1))
