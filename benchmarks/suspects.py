"""How many of labels flipped at random are found: the list of pipelines/suspects.py against plain k-nearest neighbours.

    python -m benchmarks.suspects PROJECT [DOMAIN ...]

PROJECT holds domains that were embedded and curated. Of each, 5 % of the kept labels are flipped to another class, in five
seeded draws. Plain kNN doubts a record where most of its ten neighbours agree on another label than its own.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from pipelines.features import Features, open_features
from pipelines.layout import Layout
from pipelines.suspects import NEIGHBOURS, suspects

SHARE, SEEDS = 0.05, 5
Flags = NDArray[np.bool_]


def flipped(kept: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, Flags]:
    """The ledger with some labels flipped, and which."""
    rng = np.random.default_rng(seed)
    classes, label_N = np.unique(kept["label"].to_numpy(), return_inverse=True)
    chosen = rng.permutation(kept.height)[: max(1, round(SHARE * kept.height))]
    label_N[chosen] = (label_N[chosen] + rng.integers(1, len(classes), len(chosen))) % len(classes)
    is_flipped_N = np.zeros(kept.height, bool)
    is_flipped_N[chosen] = True
    return kept.with_columns(label=pl.Series(classes[label_N])), is_flipped_N


def plain(ledger: pl.DataFrame, features: Features) -> NDArray[np.float64]:
    """Share of the neighbours that carry the commonest other label less that of its own [N]; above 0 is a doubt."""
    features_ND, _ = features.of(ledger["key"])
    unit_ND = features_ND / (np.linalg.norm(features_ND, axis=1, keepdims=True) + 1e-9)
    similar_NN = unit_ND @ unit_ND.T
    np.fill_diagonal(similar_NN, -np.inf)
    near_NK = np.argpartition(-similar_NN, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    classes, label_N = np.unique(ledger["label"].to_numpy(), return_inverse=True)
    votes_NC = np.zeros((ledger.height, len(classes)))
    np.add.at(votes_NC, (np.arange(ledger.height)[:, None], label_N[near_NK]), 1 / NEIGHBOURS)
    own_N = votes_NC[np.arange(ledger.height), label_N]
    votes_NC[np.arange(ledger.height), label_N] = -1
    return np.asarray(votes_NC.max(1) - own_N)


def scored(doubted_N: Flags, order_N: NDArray[np.float64], is_flipped_N: Flags) -> tuple[float, float, float, float]:
    """Precision, recall, average precision and length (share of the records) of a list; what is not on it comes last."""
    found = int((doubted_N & is_flipped_N).sum())
    ranked = np.where(doubted_N, order_N + 10, 0.0)
    average = float(average_precision_score(is_flipped_N, ranked))
    return found / max(1, int(doubted_N.sum())), found / int(is_flipped_N.sum()), average, float(doubted_N.mean())


def compare(domain: str, layout: Layout) -> str:
    """One row of the table."""
    kept = pl.read_parquet(layout.domain(domain) / "ledger.parquet").filter(pl.col("verdict") == "kept").sort("key")
    features = open_features(layout.embeddings(domain))
    results: list[list[tuple[float, float, float, float]]] = [[], []]
    for seed in range(SEEDS):
        ledger, is_flipped_N = flipped(kept, seed)
        listed = suspects(ledger, features)
        placed = ledger.select("key").join(listed, on="key", how="left", maintain_order="left")
        ours_N = placed["suggested"].is_not_null().to_numpy()
        results[0].append(scored(ours_N, placed["share"].fill_null(0).to_numpy().astype(np.float64), is_flipped_N))
        margin_N = plain(ledger, features)
        results[1].append(scored(margin_N > 0, margin_N, is_flipped_N))
    ours, theirs = (np.mean(values, axis=0) for values in results)
    clean = suspects(kept, features).height
    cells = [f"{value:.2f}" for value in (*ours[:3], *theirs[:3])]
    return f"| {domain} | {kept.height} | {kept['label'].n_unique()} | {' | '.join(cells)} | {clean} | {theirs[3]:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("project", type=Path)
    parser.add_argument("domains", nargs="*")
    arguments = parser.parse_args()
    layout = Layout(arguments.project)
    domains = arguments.domains or sorted(path.parent.name for path in layout.cards.glob("*/ledger.parquet"))
    columns = ["domain", "images", "classes", "precision", "recall", "AP", "kNN precision", "kNN recall", "kNN AP"]
    columns += ["listed without flips", "length of the kNN list"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for domain in domains:
        print(compare(domain, layout), flush=True)


if __name__ == "__main__":
    main()
