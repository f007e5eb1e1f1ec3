"""At how many shots the worth of domains is judged."""

import polars as pl


def shots(results: pl.DataFrame) -> list[int]:
    """The numbers of shots measured, ascending."""
    return [int(value) for value in results["n_shot"].unique().sort()]


def judged_at(results: pl.DataFrame) -> int:
    """5 where subsets were judged at it, else the most there are."""
    measured = shots(results.filter(pl.col("subset").is_not_null())) or shots(results)
    return 5 if 5 in measured else max(measured, default=5)
