"""The quality scores for people who choose thresholds: what each would set aside in each domain, and the worst pictures."""

from typing import Any

import polars as pl

from pipelines.pictures import raw_thumbnails
from pipelines.quality import LADDER, NAMES
from training.report.gallery import picture_uri
from training.report.inputs import Domain, Inputs

SIDE = 72  # px of a picture
MOST_WORST = 8  # of a score
MOST_OF_DOMAIN = 3  # of them, so that one domain does not hide the others
MEANINGS = {
    "dark": "Even the lightest parts are dark.",
    "bright": "Even the darkest parts are bright.",
    "blurry": "Edges are about as soft as after one more blur.",
    "low_information": "Most of the picture is empty; a drawing of few strokes is in the middle.",
    "odd_aspect": "Long and narrow: 0.5 is 2 : 1, 0.9 is 10 : 1.",
    "tiny": "0.5 is a shorter side of 16 px; an eighth more for each halving.",
    "near_constant": "There is next to nothing to see.",
}


def scores(inputs: Inputs) -> list[dict[str, Any]]:
    """For each score its meaning, its threshold in words, the domains where one would bite, and the worst pictures."""
    worst = _worst(inputs)
    pictures = {
        name: raw_thumbnails(inputs.layout.raw(name), part["source_id"].to_list(), SIDE)
        for (name,), part in worst.group_by("domain")
    }
    return [
        {
            "name": name.replace("_", " "),
            "meaning": MEANINGS[name],
            "rule": _rule([_threshold(domain, name) for domain in inputs.domains.values()]),
            "rows": [row for domain in inputs.domains.values() if (row := _row(domain, name))],
            "worst": [
                row | {"uri": picture_uri(pictures[row["domain"]].get(row["source_id"]))}
                for row in worst.filter(pl.col("score") == name).iter_rows(named=True)
            ],
        }
        for name in NAMES
    ]


def _threshold(domain: Domain, score: str) -> float | None:
    limit = domain.settings["quality"][score]
    return None if limit is None else float(limit)


def _rule(limits: list[float | None]) -> str:
    """What the thresholds of all domains come to, in words."""
    if len(set(limits)) > 1:
        return "Thresholds differ between domains."
    return "Sets nothing aside." if limits[0] is None else f"Set aside from {limits[0]} on."


def _row(domain: Domain, score: str) -> dict[str, Any] | None:
    """Kept records at or above each threshold, and those set aside already; None where there are neither."""
    limit = _threshold(domain, score)
    counts = {row["threshold"]: row["records"] for row in domain.stats["quality"] if row["score"] == score}
    aside = pl.col("verdict") == "low_quality"
    gone = 0 if limit is None else domain.ledger.filter(aside & (pl.col(f"quality_{score}") >= limit)).height
    if not gone and not any(counts.values()):
        return None
    cells = [{"count": counts[step], "gone": limit is not None and step >= limit} for step in LADDER]
    return {"domain": domain.name, "cells": cells, "limit": limit, "gone": gone}


def _worst(inputs: Inputs) -> pl.DataFrame:
    """The worst pictures of every score: score, domain, source_id, label, value, aside (set aside for their looks)."""
    seen = [
        domain.ledger.filter(pl.col("verdict").is_in(["kept", "low_quality"])).select(
            pl.lit(domain.name).alias("domain"),
            "source_id",
            "label",
            pl.col("verdict").eq("low_quality").alias("aside"),
            *(pl.col(f"quality_{name}").alias(name) for name in NAMES),
        )
        for domain in inputs.domains.values()
    ]
    long = pl.concat(seen).unpivot(NAMES, index=["domain", "source_id", "label", "aside"], variable_name="score")
    ranked = long.filter(pl.col("value") > 0).sort("value", "domain", "source_id", descending=[True, False, False])
    few = ranked.group_by("score", "domain", maintain_order=True).head(MOST_OF_DOMAIN)
    few = few.sort("value", "domain", "source_id", descending=[True, False, False])
    return few.group_by("score", maintain_order=True).head(MOST_WORST)
