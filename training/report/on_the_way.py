"""What validation said of each domain while the learner trained."""

from collections.abc import Sequence
from typing import Any

import polars as pl


def domain_rows(validation: pl.DataFrame, domains: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """A row for each (domain, role) that is looked at in training: accuracy first, at best with its step, and last.

    Where a domain was too small for validation episodes there are no figures.
    """
    rows = []
    for name, role in domains:
        seen = validation.filter(pl.col("domain") == name).sort("step")
        row: dict[str, Any] = {"domain": name, "role": role.replace("_", "-"), "measured": not seen.is_empty()}
        if not seen.is_empty():
            accuracies, steps = seen["accuracy"].to_list(), seen["step"].to_list()
            best = max(accuracies)
            row |= {"first": accuracies[0], "best": best, "step": steps[accuracies.index(best)], "last": accuracies[-1]}
        rows.append(row)
    return rows
