"""What a domain is worth to the learner: trainings without it or with another in its place, judged on the same episodes."""

import polars as pl

# one row for each (subset, held-out domain, shots, learner), with the accuracy of every episode
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "subset": pl.String,
    "kind": pl.String,
    "removed": pl.String,
    "added": pl.String,
    "domain": pl.String,
    "n_shot": pl.Int32,
    "learner": pl.String,
    "accuracies": pl.List(pl.Float32),
}
