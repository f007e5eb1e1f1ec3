"""What a domain is worth to the learner: subsets of domains trained with one budget and judged on the same episodes.

Read design.py (which subsets), trial.py (one training), sweep.py (all of them), then values.py and contrasts.py (what it says).
"""

import polars as pl

# one row for each (subset, seed, domain judged on, shots, learner), with the accuracy of every episode
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "subset": pl.List(
        pl.String
    ),  # domains trained on, in the order of the collection; null for stage train's learner and baselines
    "seed": pl.Int64,
    "domain": pl.String,
    "n_shot": pl.Int32,
    "learner": pl.String,
    "accuracies": pl.List(pl.Float32),
}
