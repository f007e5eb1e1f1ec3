"""Few-shot accuracy of frozen features: nearest class mean and ridge regression on drawn episodes, from one Gram matrix."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

N_WAY, N_QUERY = 5, 8
RIDGE = 0.1  # times the mean squared length of the centred supports


def draw_episodes(labels_N: I64, n_shot: int, episodes: int, seed: int = 0) -> tuple[I64, I64]:
    """Rows of supports [E, N_WAY * n_shot] and queries [E, N_WAY * N_QUERY], class after class, without overlap."""
    rng = np.random.default_rng((seed, n_shot))
    rows = [np.flatnonzero(labels_N == label) for label in np.unique(labels_N)]
    rows = [of_class for of_class in rows if len(of_class) >= n_shot + N_QUERY]
    support, query = [], []
    for _ in range(episodes):
        chosen = rng.choice(len(rows), N_WAY, replace=False)
        drawn = np.stack([rng.choice(rows[label], n_shot + N_QUERY, replace=False) for label in chosen])
        support.append(drawn[:, :n_shot].ravel())
        query.append(drawn[:, n_shot:].ravel())
    return np.stack(support), np.stack(query)


def accuracies(features_ND: F32, support_ES: I64, query_EQ: I64) -> tuple[float, float, float]:
    """Mean accuracy over the episodes: class mean on unit features, the same centred on the supports, ridge."""
    unit = features_ND / (np.linalg.norm(features_ND, axis=1, keepdims=True) + 1e-8)
    gram = (unit @ unit.T).astype(np.float32)
    supports = gram[support_ES[:, :, None], support_ES[:, None, :]]
    queries = gram[query_EQ[:, :, None], support_ES[:, None, :]]
    one_hot_SW = np.repeat(np.eye(N_WAY, dtype=np.float32), support_ES.shape[1] // N_WAY, axis=0)
    centred_s, centred_q, length_s, length_q = _centre(supports, queries)
    unit_s = centred_s / (length_s[:, :, None] * length_s[:, None, :])
    unit_q = centred_q / (length_q[:, :, None] * length_s[:, None, :])
    scores = (
        _class_mean(supports, queries, one_hot_SW),
        _class_mean(unit_s, unit_q, one_hot_SW),
        _ridge(centred_s, centred_q, one_hot_SW),
    )
    truth = np.repeat(np.arange(N_WAY), query_EQ.shape[1] // N_WAY)
    plain, centred, ridge = (float((score.argmax(axis=-1) == truth).mean()) for score in scores)
    return plain, centred, ridge


def _centre(supports_ESS: F32, queries_EQS: F32) -> tuple[F32, F32, F32, F32]:
    """Gram blocks of unit vectors after taking off the mean support, and the lengths [E, S] and [E, Q] that are left."""
    mean_s, mean_q = supports_ESS.mean(axis=2, keepdims=True), queries_EQS.mean(axis=2, keepdims=True)
    mean = supports_ESS.mean(axis=(1, 2), keepdims=True)
    across = mean_s.transpose(0, 2, 1) - mean
    squared_s, squared_q = (1 - 2 * values[..., 0] + mean[..., 0] for values in (mean_s, mean_q))
    lengths = [np.sqrt(np.maximum(squared, 1e-6)) for squared in (squared_s, squared_q)]
    return supports_ESS - mean_s - across, queries_EQS - mean_q - across, lengths[0], lengths[1]


def _class_mean(supports_ESS: F32, queries_EQS: F32, one_hot_SW: F32) -> F32:
    """Scores [E, Q, W]: minus the squared distance to each class mean, less what is the same for all classes."""
    weights = one_hot_SW / one_hot_SW.sum(axis=0)
    squared = np.einsum("sw,est,tw->ew", weights, supports_ESS, weights, optimize=True)
    return np.asarray(2 * queries_EQS @ weights - squared[:, None, :])


def _ridge(supports_ESS: F32, queries_EQS: F32, one_hot_SW: F32) -> F32:
    """Scores [E, Q, W] of ridge regression in its dual form on centred Gram blocks."""
    count = supports_ESS.shape[1]
    penalty = RIDGE * np.trace(supports_ESS, axis1=1, axis2=2)[:, None, None] / count * np.eye(count, dtype=np.float32)
    targets = np.broadcast_to(one_hot_SW - 1 / N_WAY, (len(supports_ESS), *one_hot_SW.shape))
    return np.asarray(queries_EQS @ np.linalg.solve(supports_ESS + penalty, targets))
