"""What is known of each context without meta-training: an MLP trained on it by SGD, the class mean and ridge regression.

Shape letters: B sequences, S pairs shown, Q asked inputs, P numbers of an input, W ways, H hidden units, T places.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from training.baselines import class_mean, ridge
from training.episodes import generator_for
from training.evaluate import Scorer
from training.gpicl.judge import Field, as_interval, ends

HIDDEN_UNITS = 64
SGD_STEPS = 100  # over the whole context each
RATES = (0.03, 0.1, 0.3, 1.0)  # of SGD; the best on unseen tasks of the train domains is taken
WEIGHTS = 31  # stream of the MLP's first weights


def sgd_mlp(
    support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int, *, rate: float, steps: int = SGD_STEPS
) -> Tensor:
    """Scores [B, Q, W] of an MLP with one hidden layer, trained from scratch on each sequence's pairs by gradient descent.

    GPICL's yardstick (arXiv 2212.04458, table 1); all of a context is a batch. First weights are the same for all sequences.
    """
    generator = generator_for(0, WEIGHTS)
    inputs, device = support_BSD.shape[2], support_BSD.device
    first_PH = torch.randn(inputs, HIDDEN_UNITS, generator=generator).to(device) * (2 / inputs) ** 0.5
    second_HW = torch.randn(HIDDEN_UNITS, n_way, generator=generator).to(device) * HIDDEN_UNITS**-0.5
    first_BPH, second_BHW = first_PH.repeat(len(support_BSD), 1, 1), second_HW.repeat(len(support_BSD), 1, 1)
    bias_B1H = torch.zeros(len(support_BSD), 1, HIDDEN_UNITS, device=device)
    bias_B1W = torch.zeros(len(support_BSD), 1, n_way, device=device)
    target_BSW = one_hot(label_BS, n_way).to(support_BSD.dtype)
    for _ in range(steps):
        hidden_BSH = (support_BSD @ first_BPH + bias_B1H).relu()
        error_BSW = ((hidden_BSH @ second_BHW + bias_B1W).softmax(dim=2) - target_BSW) / label_BS.shape[1]
        back_BSH = (error_BSW @ second_BHW.mT) * (hidden_BSH > 0)
        second_BHW = second_BHW - rate * hidden_BSH.mT @ error_BSW
        bias_B1W = bias_B1W - rate * error_BSW.sum(dim=1, keepdim=True)
        first_BPH = first_BPH - rate * support_BSD.mT @ back_BSH
        bias_B1H = bias_B1H - rate * back_BSH.sum(dim=1, keepdim=True)
    scores_BQW: Tensor = (query_BQD @ first_BPH + bias_B1H).relu() @ second_BHW + bias_B1W
    return scores_BQW


def shown_before(length: int) -> list[int]:
    """Numbers of pairs after which yardsticks are judged: powers of two, then every place of the end."""
    end = ends(length)
    powers = [2**power for power in range(length.bit_length()) if 2**power < end.start]
    return [*powers, *range(end.start, end.stop)]


def judged(scorer: Scorer, field: Field, kind: str, count: int, n_way: int, after: list[int]) -> dict[int, np.ndarray]:
    """Whether the next label of each sequence was told right, [N] by the number of pairs shown."""
    found: dict[int, list[np.ndarray]] = {shown: [] for shown in after}
    for part in field.sequences(kind, count, 0):
        for shown in after:
            asked = slice(shown, shown + 1)
            scores_B1W = scorer(part.x_BTP[:, :shown], part.y_BT[:, :shown], part.x_BTP[:, asked], n_way)
            found[shown].append((scores_B1W[:, 0].argmax(dim=1) == part.y_BT[:, shown]).cpu().numpy())
    return {shown: np.concatenate(rows) for shown, rows in found.items()}


def yardsticks(field: Field, count: int, n_way: int, length: int) -> tuple[dict[str, Any], float]:
    """By yardstick and kind of sequences (unseen tasks, each held-out domain): accuracy at the end, and after how many pairs.

    The second value is the rate of SGD that was taken.
    """
    after, last = shown_before(length), list(range(length))[ends(length)]
    on_train = {
        rate: np.mean(list(judged(partial(sgd_mlp, rate=rate), field, "unseen", count, n_way, last).values())) for rate in RATES
    }
    rate = max(on_train, key=lambda each: (on_train[each], -each))
    scorers: Mapping[str, Scorer] = {"sgd": partial(sgd_mlp, rate=rate), "class_mean": class_mean, "ridge": ridge}
    table: dict[str, Any] = {}
    for name, scorer in scorers.items():
        for kind in ("unseen", *field.held_out):
            right = judged(scorer, field, kind, count, n_way, after)
            end_N = np.mean([right[shown] for shown in last], axis=0)
            by_place = {shown: round(float(found.mean()), 4) for shown, found in right.items()}
            table.setdefault(name, {})[kind] = {"end": as_interval(end_N), "by_place": by_place}
    return table, rate
