"""Episodes with what the learner says of their queries, as pictures."""

from typing import Any

import polars as pl

from training.report.gallery import records
from training.report.inputs import Inputs


def episodes(inputs: Inputs) -> list[dict[str, Any]]:
    """For each held-out domain the ways of its episode: label, pictures of supports, and queries with probabilities.

    Raises ValueError (one line) if the episode names an image that the domain does not hold.
    """
    shown = []
    for example in inputs.examples:
        name = example["domain"]
        keys = pl.read_parquet(inputs.layout.domain(name) / "index.parquet", columns=["key"])["key"].to_list()
        rows = [side["row"] for side in (*example["supports"], *example["queries"])]
        if max(rows) >= len(keys):
            raise ValueError(f"{inputs.layout.measurement}: an episode of {name!r} is of other shards; run `dvc repro`")
        pictures = records(inputs, [(name, keys[row]) for row in rows])
        classes = example["classes"]
        ways = [
            {
                "label": label,
                "supports": [pictures[name, keys[side["row"]]] for side in example["supports"] if side["way"] == way],
                "queries": [
                    _query(query, classes) | {"picture": pictures[name, keys[query["row"]]]}
                    for query in example["queries"]
                    if query["way"] == way
                ],
            }
            for way, label in enumerate(classes)
        ]
        queries = [query for way in ways for query in way["queries"]]
        right = sum(query["right"] for query in queries)
        shown.append({"domain": name, "ways": ways, "right": right, "queries": len(queries)})
    return shown


def _query(query: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """What was said of a query: the likeliest class, whether it is right, and the probability of each class."""
    shares = query["shares"]
    best = max(range(len(classes)), key=lambda way: shares[way])
    return {
        "said": classes[best],
        "right": best == query["way"],
        "share": shares[best],
        "bars": [{"label": label, "share": share} for label, share in zip(classes, shares, strict=True)],
    }
