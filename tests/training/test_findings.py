"""Sentences of the report's first screen that depend on how sure a figure is."""

from training.report.findings import modularity_sentence


def told(low: float, high: float) -> str:
    return modularity_sentence({"modularity": {"mean": 0.77, "low": low, "high": high, "subsets": 15}})


def test_an_index_is_told_where_its_interval_says_something() -> None:
    assert told(0.6, 0.9) == "A sum of what each brings explains 77 % of what subsets differ in (60 to 90 %; 15 subsets)."


def test_an_index_with_a_wide_interval_cannot_be_told_yet() -> None:
    assert told(-0.42, 1).startswith("It cannot be told yet: a sum of what each brings explains 77 %")
    assert "(−42 to 100 %; 15 subsets)" in told(-0.42, 1)


def test_nothing_is_told_of_an_index_that_is_not_there() -> None:
    assert modularity_sentence({}) == ""
