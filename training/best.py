"""The best of a training so far, by validation accuracy."""

from collections.abc import Mapping

from torch import Tensor

from training.learner import Learner


class Best:
    """Weights of the highest validation accuracy, of equal ones the first; none until one was measured."""

    def __init__(self) -> None:
        self.step = 0
        self.accuracy: float | None = None
        self.weights: dict[str, Tensor] = {}

    def see(self, learner: Learner, step: int, accuracy: float | None) -> None:
        """Keep a copy of the weights after so many steps if they are better; where nothing was measured, they are not."""
        if accuracy is not None and (self.accuracy is None or accuracy > self.accuracy):
            weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in learner.state_dict().items()}
            self.take_up(weights, step, accuracy)

    def take_up(self, weights: Mapping[str, Tensor], step: int, accuracy: float | None) -> None:
        """Be what a checkpoint held."""
        self.weights, self.step, self.accuracy = dict(weights), step, accuracy

    def learner(self, last: Learner) -> Learner:
        """A learner like `last` with the best weights; `last` itself where none were measured."""
        if self.accuracy is None:
            return last
        found = Learner(last.shape)
        found.load_state_dict(self.weights)
        return found.eval()
