"""Sentences of the report's first screen that depend on how sure a figure is."""

import pytest

from training.report.findings import modularity_sentence, swap_sentence
from training.report.stage_times import StageTime, duration


def told(low: float, high: float) -> str:
    return modularity_sentence({"modularity": {"mean": 0.77, "low": low, "high": high, "subsets": 15}})


def test_an_index_is_told_where_its_interval_says_something() -> None:
    assert told(0.6, 0.9) == "A sum of what each brings explains 77 % of what subsets differ in (60 to 90 %; 15 subsets)."


def test_an_index_with_a_wide_interval_cannot_be_told_yet() -> None:
    assert told(-0.42, 1).startswith("It cannot be told yet: a sum of what each brings explains 77 %")
    assert "(−42 to 100 %; 15 subsets)" in told(-0.42, 1)


def test_nothing_is_told_of_an_index_that_is_not_there() -> None:
    assert modularity_sentence({}) == ""


@pytest.mark.parametrize(("seconds", "words"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 00 s"), (1097.3, "18 min 17 s")])
def test_a_duration_is_told_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_a_swap_costs_is_told_as_the_board_tells_it() -> None:
    groups = ("download", "collect", "train", "measure")
    stages = [StageTime(name, name, "glyphs" if name == "download" else "", 40.0, 5, "run", "") for name in groups]
    cost = {"seconds": 1097.3, "bytes": 21e6, "stages": 8, "share_of_rebuild": 0.473}
    assert swap_sentence(stages, cost) == (
        "About 18 min 17 s and 21 MB written by 8 stages, 47 % of the time that everything takes. "
        "The last dvc repro ran 4 of 4 stages in 2 min 40 s."
    )
