"""Groups and units: what may not be parted by a split or meet across an episode.

A group is what the card's rule says belongs together: frames of one video, photographs of one thing, slides of one patient.
Copies (one cluster) and groups overlap, so splits and episodes go by units: images that hang together by clusters and groups.
"""

import re

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.cards import Card


def group(ledger: pl.DataFrame, card: Card) -> pl.DataFrame:
    """The ledger with `group` as the card's rule has it. A record to which the rule says nothing is a group of its own: null.

    The column of a table has come with the records; a pattern is looked for in source_id. Raises ValueError (one line) if a
    rule says nothing of any record.
    """
    if card.group is not None:
        ledger = ledger.with_columns(_matched(ledger["source_id"], card.group.pattern))
    if ledger.height and ledger["group"].is_null().all():
        if card.group is not None:
            first = ledger["source_id"].min()
            raise ValueError(
                f"domain {card.id}: group.pattern: {card.group.pattern!r} is found in none of {ledger.height} source_ids, "
                f"of which the first is {first!r}; mend it in the card"
            )
        if card.source.label.group_column is not None:
            raise ValueError(
                f"domain {card.id}: source.label.group_column: column {card.source.label.group_column!r} is empty for all "
                f"{ledger.height} records; mend the card, or run `dvc repro` if the records are older than it"
            )
    return ledger


def _matched(names: pl.Series, pattern: str) -> pl.Series:
    rule = re.compile(pattern)
    place: int | str = "group" if "group" in rule.groupindex else 1
    found = (rule.search(name) for name in names)
    return pl.Series("group", [match[place] if match else None for match in found], dtype=pl.String)


def units(records: pl.DataFrame) -> pl.Series:
    """The unit of each record (columns key, cluster, group): the smallest key among those that it hangs together with."""
    if records.is_empty():
        return pl.Series("unit", [], dtype=pl.String)
    count = records.height
    codes = [records["cluster"].fill_null(records["key"]), _own_where_null(records)]
    offsets, nodes = count, []
    for column in codes:
        numbers = column.rank("dense").to_numpy().astype(np.int64) - 1
        nodes.append(numbers + offsets)
        offsets += int(numbers.max()) + 1
    part_N = _components(np.tile(np.arange(count), 2), np.concatenate(nodes), offsets)[:count]
    named = records.select("key").with_columns(pl.Series("part", part_N))
    return named.select(pl.col("key").min().over("part").alias("unit"))["unit"]


def _own_where_null(records: pl.DataFrame) -> pl.Series:
    """The group, or the key where there is none, told apart."""
    own = pl.format("key {}", "key")
    return records.select(pl.coalesce(pl.format("group {}", "group"), own).alias("group"))["group"]


def joined(ones: pl.Series, others: pl.Series) -> pl.DataFrame:
    """Names of `ones` that share a name of `others` row by row: one row a different name, with the smallest that it hangs
    together with (columns name, part)."""
    pairs = pl.DataFrame({"name": ones, "other": others}).unique()
    name_P = pairs["name"].rank("dense").to_numpy().astype(np.int64) - 1
    other_P = pairs["other"].rank("dense").to_numpy().astype(np.int64) - 1
    names = int(name_P.max(initial=-1)) + 1
    part_C = _components(name_P, other_P + names, names + int(other_P.max(initial=-1)) + 1)[:names]
    found = pl.DataFrame({"name": pairs["name"].unique().sort(), "part": part_C})
    return found.with_columns(pl.col("name").min().over("part").alias("part"))


def _components(from_P: npt.NDArray[np.int64], to_P: npt.NDArray[np.int64], nodes: int) -> npt.NDArray[np.int64]:
    """Number of the component of each of `nodes` nodes, of edges from one to another."""
    edges = coo_array((np.ones(len(from_P), np.int8), (from_P, to_P)), shape=(nodes, nodes))
    return np.asarray(connected_components(edges, directed=False)[1], np.int64)
