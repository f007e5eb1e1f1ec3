"""Which models stage mechanism trains, and by which names they go."""

from dataclasses import dataclass

from pipelines.mechanism_settings import Mechanism
from training.mechanism.attention import Shape

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SOFTMAX_STEPS = 2  # times those of a linear layer


@dataclass(frozen=True)
class Model:
    """A model by name; `longer` is how many times a linear layer's steps it is trained for, a layer."""

    name: str
    shape: Shape
    longer: int = 1


def models(settings: Mechanism) -> list[Model]:
    """One layer with one head first, then two heads and softmax, then the deeper ones, tied and untied."""
    width = settings.dimensions + 1
    found = [
        Model("one_layer", Shape(width)),
        Model("one_layer_two_heads", Shape(width, heads=2)),
        Model("one_layer_softmax", Shape(width, kind="softmax"), SOFTMAX_STEPS),
        Model("one_layer_softmax_two_heads", Shape(width, heads=2, kind="softmax"), SOFTMAX_STEPS),
    ]
    found += [Model(f"{WORDS[n - 1]}_layers", Shape(width, n)) for n in settings.layers if n > 1]
    return found + [Model(f"{WORDS[n - 1]}_layers_untied", Shape(width, n, tied=False)) for n in settings.untied_layers]
