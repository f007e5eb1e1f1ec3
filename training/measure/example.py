"""One episode of each held-out domain as the learner reads it: which images it was given, and what it says of the queries."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from training.calibration import Calibration, nearest
from training.collection import DomainTensors
from training.learner import Learner
from training.measure.context import drawn_if_there
from training.seen import features_of

N_SHOT, N_QUERY = 3, 2


def examples(
    learner: Learner,
    calibrations: Sequence[Calibration],
    held_out: Mapping[str, DomainTensors],
    *,
    n_way: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The episodes, a domain each; one too small for it is left out.

    `classes` are the labels of the ways; `supports` and `queries` are rows of the domain's index with the way each is of;
    a query has the probability of each way. Ways stand in the order of their classes, queries likewise.
    """
    found = []
    for name, domain in held_out.items():
        drawn = drawn_if_there(domain, n_way, N_SHOT, N_QUERY, 1, seed)
        if drawn is None:
            continue
        features_ND = features_of(learner, domain.features_ND)
        with torch.inference_mode():
            scores_QW = learner(
                features_ND[drawn.support_BS], drawn.support_label_BS, features_ND[drawn.query_BQ], drawn.n_way
            )[0]
        scale = nearest(calibrations, N_SHOT)
        share_QW = torch.softmax(scores_QW.float() / (scale.temperature if scale else 1.0), dim=-1)
        supports = sorted(zip(drawn.support_label_BS[0].tolist(), drawn.support_BS[0].tolist(), strict=True))
        of_way = {way: domain.classes[int(domain.class_N[row])] for way, row in supports}
        there = [place for place in range(len(share_QW)) if drawn.weight_BQ[0, place] > 0]
        queries: list[dict[str, Any]] = [
            {
                "row": int(drawn.query_BQ[0, place]),
                "way": int(drawn.query_label_BQ[0, place]),
                "shares": [round(share, 4) for share in share_QW[place].tolist()],
            }
            for place in there
        ]
        queries.sort(key=lambda query: (query["way"], query["row"]))
        of_image: list[dict[str, Any]] = [{"row": row, "way": way} for way, row in supports]
        found.append(
            {
                "domain": name,
                "classes": [of_way[way] for way in sorted(of_way)],
                "supports": of_image,
                "queries": queries,
            }
        )
    return found
