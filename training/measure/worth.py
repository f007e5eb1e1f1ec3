"""What each domain is worth by the results of a measurement: all that `reports/metrics.json` and the report say of it.

Every measure is there if the trainings that it needs are, and absent else; docs/measures.md defines them. All is judged at
one number of shots. Accuracies and differences are 0 to 1, intervals are of `level`, p-values corrected (Holm) in their table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from training.measure import contrasts
from training.measure.additive import datamodel, modularity
from training.measure.bootstrap import Estimates, estimate, resample
from training.measure.contrasts import Contrast, measured, weights
from training.measure.design import EXACT, Company, generator, random_orders
from training.measure.values import Floats, Values, from_frame
from training.measure.variance import training_deviation_G
from training.measure.verdicts import holm, judge, needed

Interval = dict[str, float]  # mean, low, high
MEAN = "mean"  # of the held-out domains, which are fixed


@dataclass(frozen=True)
class Question:
    """What is asked of the results: the company, how far apart counts as equal, and by what chance."""

    company: Company
    margin: float  # accuracy, 0 to 1
    random_orders: int = 32  # of the Shapley value beyond EXACT train domains, as measurement.random_subsets
    seed: int = 0  # of the measurement
    level: float = 0.95


def values_of(results: pl.DataFrame, n_shot: int, held_out: Sequence[str]) -> Values | None:
    """The trainings on subsets, judged on these domains at so many shots; None where there are none.

    Raises ValueError (one line) where the table does not hold together.
    """
    rows = results.filter(
        pl.col("subset").is_not_null(), pl.col("domain").is_in(list(held_out)), n_shot=n_shot, learner="learner"
    )
    if rows.is_empty():
        return None
    return from_frame(rows.rename({"subset": "domains", "domain": "held_out"}))


def worth(values: Values | None, asked: Question) -> dict[str, Any]:
    """removal, replacement, replaceability, addition, interaction, shapley, datamodel, modularity_index and modularity."""
    found: dict[str, Any] = {"removal": {}, "replacement": {}, "replaceability": {}}
    if values is None:
        return found
    found |= {
        "removal": by_domain(values, asked, contrasts.removals(asked.company)),
        **replacements(values, asked),
        "addition": by_domain(values, asked, contrasts.additions(asked.company)),
        "interaction": interactions(values, asked),
        "shapley": shapley(values, asked),
        **additive(values, asked),
    }
    return {name: table for name, table in found.items() if table or name in ("removal", "replacement", "replaceability")}


def by_domain(values: Values, asked: Question, wanted: Sequence[Contrast]) -> dict[str, dict[str, Interval]]:
    """<domain>.<held-out domain|mean>: mean, low, high, p (corrected over the domains), effect (in standard deviations of a
    training with another seed; absent with one seed)."""
    there = measured(values, wanted)
    if not there:
        return {}
    known = estimate(values, weights(values, there), level=asked.level, seed=asked.seed)
    deviation_G = training_deviation_G(values)
    tables: dict[str, dict[str, Interval]] = {contrast.names[0]: {} for contrast in there}
    for group, place in enumerate((*values.held_out, MEAN)):
        p_M = holm(known.p_MG[:, group].tolist())
        for at, name in enumerate(tables):
            cell = interval(known, at, group) | {"p": round(p_M[at], 6)}
            if deviation_G is not None and deviation_G[group] > 0:
                cell["effect"] = round(float(known.mean_MG[at, group] / deviation_G[group]), 3)
            tables[name][place] = cell
    return tables


def replacements(values: Values, asked: Question) -> dict[str, Any]:
    """replacement.<train>.<spare>: V(replaced) - V(full) with its interval; replaceability.<train>.<spare>: the verdict too."""
    there = measured(values, contrasts.replacements(asked.company))
    if not there:
        return {}
    known = estimate(values, weights(values, there), values.groups_GH[-1:], level=asked.level, seed=asked.seed)
    columns = (known.mean_MG[:, 0].tolist(), known.error_MG[:, 0].tolist(), known.degrees_MG[:, 0].tolist())
    said = judge(*columns, known.seeds_M.tolist(), asked.margin)
    share = shares(values, asked)
    tables: dict[str, Any] = {"replacement": {}, "replaceability": {}}
    for at, (contrast, judgement) in enumerate(zip(there, said, strict=True)):
        name, spare = contrast.names
        value = interval(known, at, 0)
        tables["replacement"].setdefault(name, {})[spare] = value
        cell: dict[str, Any] = {"verdict": judgement.verdict, "side": judgement.side, **value, "margin": asked.margin}
        cell |= {"p_loses_less": round(judgement.p_loses_less, 6), "p_loses_more": round(judgement.p_loses_more, 6)}
        if judgement.verdict == "cannot_tell_yet":
            cell["needed"] = needed(known.parts, at, 0, asked.margin, len(there))
        if (name, spare) in share:
            cell["share"] = share[name, spare]
        tables["replaceability"].setdefault(name, {})[spare] = cell
    return tables


def shares(values: Values, asked: Question) -> dict[tuple[str, str], Interval]:
    """Of what a train domain brought, the share that a spare brings back; only where it surely brought something."""
    there = [pair for pair in contrasts.shares(asked.company) if len(measured(values, pair)) == 2]
    if not there:
        return {}
    both = [contrast for pair in there for contrast in pair]
    known = estimate(values, weights(values, both), values.groups_GH[-1:], level=asked.level, seed=asked.seed)
    drawn_MR = resample(values, weights(values, both), values.groups_GH[-1:], seed=asked.seed)[:, 0]
    tail, found = 100 * (1 - asked.level) / 2, {}
    for at, (top, _) in enumerate(there):
        if known.low_MG[2 * at + 1, 0] > 0:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio_R = drawn_MR[2 * at] / drawn_MR[2 * at + 1]
            low, high = np.percentile(ratio_R[np.isfinite(ratio_R)], [tail, 100 - tail])
            mean = float(known.mean_MG[2 * at, 0] / known.mean_MG[2 * at + 1, 0])
            found[top.names[0], top.names[1]] = _rounded(mean, float(low), float(high))
    return found


def interactions(values: Values, asked: Question) -> dict[str, dict[str, Interval]]:
    """interaction.<a>.<b>: mean, low, high, p (corrected over the pairs)."""
    there = measured(values, contrasts.interactions(asked.company))
    if not there:
        return {}
    known = estimate(values, weights(values, there), values.groups_GH[-1:], level=asked.level, seed=asked.seed)
    tables: dict[str, dict[str, Interval]] = {}
    for at, (contrast, p) in enumerate(zip(there, holm(known.p_MG[:, 0].tolist()), strict=True)):
        tables.setdefault(contrast.names[0], {})[contrast.names[1]] = interval(known, at, 0) | {"p": round(p, 6)}
    return tables


def shapley(values: Values, asked: Question) -> dict[str, Interval]:
    """shapley.<domain>: mean, low, high, p (corrected), and `exact`, 1 or 0; of random orders the error of the draw is within
    the interval."""
    train = asked.company.train
    if len(train) <= EXACT:
        there = measured(values, contrasts.shapley(asked.company))
        if len(there) < len(train):
            return {}
        known, drawn_M = (
            estimate(values, weights(values, there), values.groups_GH[-1:], level=asked.level, seed=asked.seed),
            None,
        )
    else:
        orders = random_orders(len(train), asked.random_orders, generator("shapley", asked.seed))
        rows = contrasts.shapley_by_orders(asked.company, [order.tolist() for order in orders])
        rows = [row for row in rows if len(measured(values, row)) == len(train)]
        if len(rows) < 4:
            return {}
        weights_OMU = np.stack([weights(values, row) for row in rows])
        known = estimate(values, weights_OMU.mean(axis=0), values.groups_GH[-1:], level=asked.level, seed=asked.seed)
        drawn_M = order_error(weights_OMU @ values.mean_U())
    p_M = holm(known.p_MG[:, 0].tolist())
    return {
        name: interval(known, at, 0, 0.0 if drawn_M is None else float(drawn_M[at]))
        | {"p": round(p_M[at], 6), "exact": float(drawn_M is None)}
        for at, name in enumerate(train)
    }


def order_error(value_OM: Floats) -> Floats:
    """Standard error of a mean over random orders; an order and its reverse, which stand beside each other, count as one."""
    pairs = value_OM[: len(value_OM) // 2 * 2].reshape(-1, 2, value_OM.shape[1]).mean(axis=1)
    found: Floats = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    return found


def additive(values: Values, asked: Question) -> dict[str, Any]:
    """datamodel {weights.<domain>, r2, rank, subsets}; modularity_index, and modularity with its interval."""
    found: dict[str, Any] = {}
    company = asked.company
    model = datamodel(values, (*company.train, *company.spares)) or datamodel(values, company.train)
    if model:
        known = estimate(values, model.weights_DU, values.groups_GH[-1:], level=asked.level, seed=asked.seed)
        each = {name: interval(known, at, 0) for at, name in enumerate(model.domains)}
        rates = {"r2": round(model.r2, 4), "rank": round(model.rank, 4), "subsets": model.subsets}
        found["datamodel"] = {"weights": each, **rates}
    index = modularity(values, company.train, level=asked.level, seed=asked.seed)
    if index:
        found["modularity_index"] = round(index.mean, 4)
        found["modularity"] = _rounded(index.mean, index.low, index.high) | {"subsets": index.subsets}
    return found


def interval(known: Estimates, contrast: int, group: int, more_error: float = 0.0) -> Interval:
    """mean, low, high of a contrast; `more_error` is a standard error that comes to its own."""
    mean, low, high = (float(each[contrast, group]) for each in (known.mean_MG, known.low_MG, known.high_MG))
    if more_error:
        half = float(np.hypot(high - mean, 2.0 * more_error))
        low, high = mean - half, mean + half
    return _rounded(mean, low, high)


def _rounded(mean: float, low: float, high: float) -> Interval:
    return {"mean": round(mean, 6), "low": round(low, 6), "high": round(high, 6)}
