"""What a learner keeps and gains while domains come one after another.

All measures read accuracy_TT[i, j], the accuracy on domain j after training on domain i, both in the order of training, from 0
to 1. ACC, BWT and FWT are those of Lopez-Paz & Ranzato 2017 (arXiv 1706.08840, eq. 2 to 4); forgetting is that of Chaudhry et
al. 2018 (arXiv 1801.10112, eq. 3). in_turn.py measures such a table.

Shape letters: T domains in the order of training, which is also that of the rows.
"""

from typing import NamedTuple

from torch import Tensor


class Continual(NamedTuple):
    """The four measures: the first from 0 to 1, the others from -1 to 1; less forgetting is better."""

    acc: float
    bwt: float
    fwt: float
    forgetting: float


def continual(accuracy_TT: Tensor, untrained_T: Tensor) -> Continual:
    """All four. `untrained_T`: accuracy on each domain before any training. Raises ValueError as they do."""
    return Continual(
        final_accuracy(accuracy_TT),
        backward_transfer(accuracy_TT),
        forward_transfer(accuracy_TT, untrained_T),
        forgetting(accuracy_TT),
    )


def final_accuracy(accuracy_TT: Tensor) -> float:
    """ACC: mean over j of R[T, j], the accuracy on all domains in the end. Raises ValueError if the table is not square."""
    return float(_checked(accuracy_TT, least=1)[-1].mean())


def backward_transfer(accuracy_TT: Tensor) -> float:
    """BWT: mean over i < T of R[T, i] - R[i, i], what later domains did to earlier ones; below 0 where they were forgotten.

    Raises ValueError if the table is not square or has a single domain.
    """
    table_TT = _checked(accuracy_TT)
    return float((table_TT[-1] - table_TT.diagonal())[:-1].mean())


def forward_transfer(accuracy_TT: Tensor, untrained_T: Tensor) -> float:
    """FWT: mean over i > 1 of R[i - 1, i] - b_i, what earlier domains did for one not yet met, against the untrained learner.

    Raises ValueError if the table is not square, has a single domain, or another number of them than `untrained_T`.
    """
    table_TT = _checked(accuracy_TT)
    if untrained_T.shape != table_TT.shape[:1]:
        raise ValueError(f"accuracies before training: expected {len(table_TT)}, one a domain, found {list(untrained_T.shape)}")
    return float((table_TT.diagonal(offset=1) - untrained_T.double()[1:]).mean())


def forgetting(accuracy_TT: Tensor) -> float:
    """Mean over j < T of (max over l < T of R[l, j]) - R[T, j]: how far each domain fell from its best.

    Raises ValueError if the table is not square or has a single domain.
    """
    table_TT = _checked(accuracy_TT)
    best_T = table_TT[:-1].amax(dim=0)
    return float((best_T - table_TT[-1])[:-1].mean())


def _checked(accuracy_TT: Tensor, least: int = 2) -> Tensor:
    """The table in double precision."""
    rows = len(accuracy_TT)
    if accuracy_TT.shape != (rows, rows) or rows < least:
        raise ValueError(
            f"accuracies: expected a row and a column for each of {least} or more domains, found {list(accuracy_TT.shape)}"
        )
    if not accuracy_TT.isfinite().all():
        raise ValueError("accuracies: expected finite numbers in every row and column")
    return accuracy_TT.double()
