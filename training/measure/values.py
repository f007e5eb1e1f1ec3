"""The results of a sweep for one number of shots: what every measure of a domain's worth is computed from.

Letters of the shapes, here and in the modules beside: U subsets, S seeds, H held-out domains, E episodes (they may differ
by held-out domain), M contrasts, R draws of the bootstrap, G groups of held-out domains: each alone, then their mean.

A subset is the set of domains that a learner was trained on; the empty one stands for a learner before its first step.
Each subset is trained once a seed with the same budget, and all are judged on the same episodes. V(subset) on a held-out
domain is the mean over seeds and episodes; V(subset) is the plain mean of that over the held-out domains, which are fixed.
A subset may lack seeds (a sweep that is not done): a contrast then takes the seeds that all of its subsets have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Subset = frozenset[str]
Floats = NDArray[np.float64]

# what `from_frame` reads: one row for each training and held-out domain
FRAME: dict[str, pl.DataType] = {
    "domains": pl.List(pl.String),
    "seed": pl.Int64(),
    "held_out": pl.String(),
    "accuracies": pl.List(pl.Float32),
}


@dataclass(frozen=True)
class Values:
    """Accuracies, 0 to 1, of every subset, seed and episode, by held-out domain; 0 where a subset lacks a seed."""

    subsets: tuple[Subset, ...]
    seeds: tuple[int, ...]
    held_out: tuple[str, ...]
    accuracies: tuple[Floats, ...]  # of each held-out domain, [U, S, E]
    trained_US: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Raises ValueError (one line) for a subset given twice or never trained, fewer than two episodes, or no number."""
        shape = (len(self.subsets), len(self.seeds))
        assert self.trained_US.shape == shape
        assert len(self.accuracies) == len(self.held_out) > 0
        if len(set(self.subsets)) < len(self.subsets):
            raise ValueError("measurement results: a subset stands there twice")
        if not self.trained_US.any(axis=1).all():
            subset = self.subsets[int(np.argmin(self.trained_US.any(axis=1)))]
            raise ValueError(f"measurement results: subset {named(subset)} has no training")
        for domain, accuracy_USE in zip(self.held_out, self.accuracies, strict=True):
            assert accuracy_USE.shape[:2] == shape
            if accuracy_USE.shape[2] < 2:
                raise ValueError(f"measurement results: {domain} has {accuracy_USE.shape[2]} episodes, expected at least 2")
            if not np.isfinite(accuracy_USE).all():
                raise ValueError(f"measurement results: {domain} has an accuracy that is no number")

    @property
    def groups_GH(self) -> Floats:
        """Weights of the held-out domains in each group: each alone, then the mean of all."""
        n = len(self.held_out)
        return np.vstack([np.eye(n), np.full((1, n), 1 / n)])

    def mean_U(self, group_H: Floats | None = None) -> Floats:
        """V of every subset over the seeds that it has; the mean over the held-out domains, or as `group_H` weighs them."""
        weight_H = self.groups_GH[-1] if group_H is None else group_H
        seeds_U = self.trained_US.sum(axis=1)
        found_U: Floats = np.sum(
            [w * a.mean(axis=2).sum(axis=1) / seeds_U for w, a in zip(weight_H, self.accuracies, strict=True)], axis=0
        )
        return found_U


def named(subset: Subset) -> str:
    """A subset for a reader: its domains in order of name."""
    return "{" + ", ".join(sorted(subset)) + "}"


def from_frame(frame: pl.DataFrame) -> Values:
    """Results from a table with the columns of FRAME, in any order of rows.

    Raises ValueError (one line) if there is no row, a training stands there twice or lacks a held-out domain, or numbers of
    episodes differ within a held-out domain.
    """
    missing = sorted(set(FRAME) - set(frame.columns))
    if missing or frame.is_empty():
        raise ValueError(f"measurement results: expected rows with the columns {', '.join(FRAME)}" + _lacks(missing))
    subsets = tuple(dict.fromkeys(frozenset(domains) for domains in frame["domains"]))
    seeds, held_out = tuple(sorted(set(frame["seed"]))), tuple(dict.fromkeys(frame["held_out"]))
    place_U, place_S = ({name: at for at, name in enumerate(names)} for names in (subsets, seeds))
    accuracies, trained = [], []
    for domain in held_out:
        rows = frame.filter(pl.col("held_out") == domain)
        lengths = set(rows["accuracies"].list.len())
        if len(lengths) > 1:
            raise ValueError(f"measurement results: {domain} has {min(lengths)} and {max(lengths)} episodes, expected the same")
        accuracy_USE = np.zeros((len(subsets), len(seeds), lengths.pop()))
        trained_US = np.zeros((len(subsets), len(seeds)), dtype=bool)
        for domains, seed, accuracy in rows.select("domains", "seed", "accuracies").iter_rows():
            at = place_U[frozenset(domains)], place_S[seed]
            if trained_US[at]:
                raise ValueError(f"measurement results: {named(frozenset(domains))} with seed {seed} stands there twice")
            accuracy_USE[at], trained_US[at] = accuracy, True
        accuracies.append(accuracy_USE)
        trained.append(trained_US)
    _same(subsets, seeds, held_out, trained)
    return Values(subsets, seeds, held_out, tuple(accuracies), trained[0])


def _same(
    subsets: Sequence[Subset], seeds: Sequence[int], held_out: Sequence[str], trained: Sequence[NDArray[np.bool_]]
) -> None:
    for domain, trained_US in zip(held_out, trained, strict=True):
        differ = np.argwhere(trained_US != trained[0])
        if len(differ):
            u, s = differ[0]
            pair = f"{held_out[0]} and {domain}"
            raise ValueError(f"measurement results: {named(subsets[u])} with seed {seeds[s]} is not in both of {pair}")


def _lacks(missing: Sequence[str]) -> str:
    return f", found no {missing[0]}" if missing else ", found none"
