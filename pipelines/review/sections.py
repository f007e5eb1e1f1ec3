"""What of a domain is worth a look, as groups of records: copies, conflicts, suspects, quality tails, rare classes, hands."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

MOST_GROUPS = 40  # a section
MOST_MEMBERS = 6  # a group of copies
MOST_NEIGHBOURS = 4  # beside a suspect
MOST_WORST = 16  # of a quality score
MOST_OF_CLASS = 8  # of a rare class
MOST_BY_HAND = 120
WORDS = {
    "quality_dark": "too dark",
    "quality_bright": "too bright",
    "quality_blurry": "blurred",
    "quality_low_information": "shows next to nothing",
    "quality_odd_aspect": "too long and narrow",
    "quality_tiny": "too small",
    "quality_near_constant": "nearly one colour",
}


@dataclass(frozen=True)
class Member:
    """A record in a group: which, what to say of it, and the words that a decision starts with."""

    key: str
    note: str = ""
    chief: bool = False  # outlined: the keeper, or the suspect
    suggested: str = ""  # label that a relabelling starts with
    why: dict[str, str] = field(default_factory=dict)  # keep, drop, relabel -> reason


@dataclass(frozen=True)
class Group:
    """Records that are looked at together."""

    title: str
    members: list[Member]
    more: int = 0  # records that are not shown


@dataclass(frozen=True)
class Section:
    """One kind of thing to look at."""

    id: str
    title: str
    reading: str
    groups: list[Group]
    more: int = 0  # groups that are not shown

    @property
    def count(self) -> int:
        """How many there are to look at: groups, or records where they are not grouped."""
        whole = len(self.groups) + self.more
        return whole if any(group.title for group in self.groups) else sum(len(g.members) + g.more for g in self.groups)


def sections(ledger: pl.DataFrame, evidence: pl.DataFrame, suspects: pl.DataFrame, decided: Iterable[str]) -> list[Section]:
    """All sections of a finished ledger; `decided` are keys that hands decided on, in the ledger or since."""
    return [
        _by_hand(ledger, list(decided)),
        _copies(ledger, evidence, "label_conflict"),
        _suspects(ledger, suspects),
        _copies(ledger, evidence, "duplicate"),
        _quality(ledger),
        _rare(ledger),
    ]


def _by_hand(ledger: pl.DataFrame, decided: list[str]) -> Section:
    known = ledger.filter(pl.col("key").is_in(decided)).sort("key")
    members = [Member(row["key"], row["reason"]) for row in known.head(MOST_BY_HAND).iter_rows(named=True)]
    groups = [Group("", members, known.height - len(members))] if members else []
    return Section(
        "by-hand", "Decided by hand", "What the overrides file says already. Click a choice again to take it back.", groups
    )


def _copies(ledger: pl.DataFrame, evidence: pl.DataFrame, verdict: str) -> Section:
    """Clusters with a record of this verdict, the least alike first."""
    told = _strongest(evidence).drop("copies")
    rows = ledger.filter(pl.col("cluster").is_not_null()).join(told, on="key", how="left")
    rows = rows.with_columns(
        here=(pl.col("verdict") == verdict).any().over("cluster"),
        alike=pl.col("agreement").min().over("cluster"),
        size=pl.len().over("cluster"),
    ).filter("here")
    chief = (pl.col("verdict") == "kept").cast(pl.Int8)
    rows = rows.sort("alike", "cluster", chief, "key", descending=[False, False, True, False], nulls_last=True)
    clusters = rows["cluster"].unique(maintain_order=True)
    conflict = verdict == "label_conflict"
    why = (
        {"keep": "its label is right", "drop": "its label is wrong", "relabel": "its label is wrong"}
        if conflict
        else {"keep": "is no copy", "drop": "is a worse copy", "relabel": "its label is wrong"}
    )
    groups = []
    for cluster in clusters.head(MOST_GROUPS):
        found = rows.filter(pl.col("cluster") == cluster)
        members = [
            Member(row["key"], _evidence(row), row["verdict"] == "kept", why=why)
            for row in found.head(MOST_MEMBERS).iter_rows(named=True)
        ]
        labels = " / ".join(sorted(set(found["label"])))
        groups.append(Group(labels, members, found.height - len(members)))
    title, reading = (
        ("Label conflicts", "Copies under different labels; all are set aside until a hand keeps or relabels one of them.")
        if conflict
        else ("Copies", "The outlined picture stands for the others. The least alike come first.")
    )
    return Section("conflicts" if conflict else "copies", title, reading, groups, len(clusters) - len(groups))


def _strongest(evidence: pl.DataFrame) -> pl.DataFrame:
    """For each record the pair that agrees best, of those that count where there are any: key, step, agreement, transform."""
    columns = ("step", "agreement", "transform", "copies")
    both = pl.concat([evidence.select(pl.col(name).alias("key"), *columns) for name in ("key_a", "key_b")])
    return both.sort("key", ~pl.col("copies"), -pl.col("agreement").fill_null(0), *columns).unique(
        "key", keep="first", maintain_order=True
    )


def _evidence(row: dict[str, Any]) -> str:
    if row["step"] is None:
        return ""
    parts = [
        f"same {row['step']}" if row["step"] in ("bytes", "pixels") else str(row["step"]),
        "" if row["transform"] in (None, "none") else str(row["transform"]),
    ]
    parts += [f"{100 * row['agreement']:.0f} % agree"] if row["agreement"] is not None and row["agreement"] < 1 else []
    return ", ".join(part for part in parts if part)


def _suspects(ledger: pl.DataFrame, suspects: pl.DataFrame) -> Section:
    labels = dict(ledger.select("key", "label").iter_rows())
    groups = []
    for row in suspects.head(MOST_GROUPS).iter_rows(named=True):
        why = {
            "keep": "its label is right",
            "drop": "belongs to no class here",
            "relabel": f"is {row['suggested']}, not {row['label']}",
        }
        first = Member(row["key"], "suspected", True, row["suggested"], why)
        near = [Member(key, "neighbour") for key in row["neighbours"][:MOST_NEIGHBOURS] if key in labels]
        groups.append(
            Group(
                f"{row['label']}, or {row['suggested']}? {100 * row['share']:.0f} % of its neighbours are {row['suggested']}",
                [first, *near],
            )
        )
    reading = (
        "Pictures that look like another class than their own, beside their nearest neighbours. Advice only: all are kept."
    )
    return Section("suspects", "Suspected labels", reading, groups, suspects.height - len(groups))


def _quality(ledger: pl.DataFrame) -> Section:
    seen = ledger.filter(pl.col("verdict").is_in(["kept", "low_quality"]))
    groups = []
    for score, words in WORDS.items():
        worst = seen.filter(pl.col(score) > 0).sort(score, "key", descending=[True, False]).head(MOST_WORST)
        why = {"keep": "is good enough", "drop": words, "relabel": "its label is wrong"}
        members = [Member(key, f"{value:.2f}", why=why) for key, value in worst.select("key", score).iter_rows()]
        groups += [Group(score.removeprefix("quality_").replace("_", " "), members)] if members else []
    reading = "The worst by each score, from 0 (good) to 1 (bad). Curation's thresholds say which are set aside."
    return Section("quality", "Quality", reading, groups)


def _rare(ledger: pl.DataFrame) -> Section:
    rare = ledger.filter(pl.col("verdict") == "rare_class")
    classes = (
        rare.group_by("label")
        .agg(pl.len(), pl.col("key").sort().head(MOST_OF_CLASS))
        .sort("len", "label", descending=[True, False])
    )
    why = {"keep": "the class is worth having", "drop": "is of no use", "relabel": "belongs to a larger class"}
    groups = [
        Group(f"{label}: {count}", [Member(key, why=why) for key in keys], count - len(keys))
        for label, count, keys in classes.head(MOST_GROUPS).iter_rows()
    ]
    reading = "Classes with too few images. What a hand keeps is kept, however few they are."
    return Section("rare", "Rare classes", reading, groups, classes.height - len(groups))
