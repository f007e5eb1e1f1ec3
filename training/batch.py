"""Episodes as features: what a learner is given in a step.

Shape letters: B episodes, S supports, Q queries, T = S + Q, D features (or pixels that a backbone has yet to read), W ways.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Turn:
    """A rotation of feature space for each episode: its own signs, sign_B1D, then one orthogonal matrix_DD for all."""

    sign_B1D: Tensor
    matrix_DD: Tensor

    def apply(self, feature_BTD: Tensor) -> Tensor:
        return (feature_BTD * self.sign_B1D) @ self.matrix_DD

    def undo(self, feature_BTD: Tensor) -> Tensor:
        return (feature_BTD @ self.matrix_DD.T) * self.sign_B1D


@dataclass(frozen=True)
class Batch:
    """Episodes with the same numbers of supports and queries.

    `weight_BQ` is 0 for padding, where a domain has fewer queries. `support_weight_BS` is 0 for padding where classes have
    different numbers of supports, and None where none is padding. `turn` is how the transformer shall see the features;
    `seed_B` (int64) is what label codes are drawn from, other ones for each episode. `support_row_BS` and `query_row_BQ` are
    numbers of the images, for a backbone to read each of them once; None for features, or where no two places hold one image.
    """

    support_BSD: Tensor
    support_label_BS: Tensor
    query_BQD: Tensor
    query_label_BQ: Tensor
    weight_BQ: Tensor
    n_way: int
    turn: Turn | None = None
    support_weight_BS: Tensor | None = None
    seed_B: Tensor | None = None
    support_row_BS: Tensor | None = None
    query_row_BQ: Tensor | None = None

    def __len__(self) -> int:
        return len(self.support_BSD)

    def part(self, start: int, stop: int) -> "Batch":
        """Episodes `start` to `stop`."""
        turn = self.turn

        def cut(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[start:stop]

        return Batch(
            self.support_BSD[start:stop],
            self.support_label_BS[start:stop],
            self.query_BQD[start:stop],
            self.query_label_BQ[start:stop],
            self.weight_BQ[start:stop],
            self.n_way,
            None if turn is None else Turn(turn.sign_B1D[start:stop], turn.matrix_DD),
            cut(self.support_weight_BS),
            cut(self.seed_B),
            cut(self.support_row_BS),
            cut(self.query_row_BQ),
        )
