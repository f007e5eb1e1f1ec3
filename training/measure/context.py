"""Accuracy by the number of examples in the context: what the learner and its baselines make of more shots."""

from collections.abc import Mapping

import polars as pl

from training.baselines import BASELINES
from training.collection import DomainTensors
from training.episodes import Episodes, evaluation_episodes
from training.evaluate import Scorer, episode_accuracies, interval
from training.learner import Learner
from training.seen import features_of

SHOTS = (1, 2, 3, 5, 8, 12)
EPISODES = 200
CONTEXT_SCHEMA = {
    "domain": pl.String,
    "n_shot": pl.Int64,
    "learner": pl.String,
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def context_curve(
    learner: Learner, held_out: Mapping[str, DomainTensors], *, n_way: int, n_query: int, seed: int, episodes: int = EPISODES
) -> pl.DataFrame:
    """Mean accuracy, 0 to 1, with its 95 % interval over episodes for each held-out domain and number of shots.

    Numbers of shots that a domain's classes are too small for are left out.
    """
    rows: list[tuple[object, ...]] = []
    for name, domain in held_out.items():
        features_ND = features_of(learner, domain.features_ND)
        for n_shot in SHOTS:
            drawn = drawn_if_there(domain, n_way, n_shot, n_query, episodes, seed)
            scorers: dict[str, Scorer] = {"learner": learner, **BASELINES} if drawn else {}
            for who, scorer in scorers.items():
                assert drawn
                rows.append((name, n_shot, who, *interval(episode_accuracies(scorer, features_ND, drawn))))
    return pl.DataFrame(rows, schema=CONTEXT_SCHEMA, orient="row")


def drawn_if_there(domain: DomainTensors, n_way: int, n_shot: int, n_query: int, episodes: int, seed: int) -> Episodes | None:
    """Episodes of this form, or None where the domain is too small for them."""
    try:
        return evaluation_episodes(domain, n_way, n_shot, n_query, episodes, seed)
    except ValueError:
        return None
