"""Settings of stage phases: tasks of items and labels in context, and the attention that is trained on them."""

from pydantic import Field, model_validator

from pipelines.settings import Settings

MOST_NUMBERS = 50_000_000  # of one activation of a batch


class Phases(Settings):
    """In-context meta-learning (Minegishi et al. 2025, arXiv 2505.16694) and how well tasks can be decoded on the way."""

    # tasks
    tasks: int = Field(default=3, ge=2, le=1024)  # mappings from classes to labels
    classes: int = Field(default=96, ge=2, le=65_536)  # of items
    labels: int = Field(default=32, ge=2, le=4096)
    context: int = Field(default=4, ge=1, le=512)  # pairs that are shown
    dimensions: int = Field(default=63, ge=1, le=4096)  # numbers of an item
    noise: float = Field(default=0.1, ge=0.0, le=10.0)  # of an item about its class, the class's middle having length 1
    # model
    layers: int = Field(default=2, ge=1, le=16)  # of attention
    heads: int = Field(default=1, ge=1, le=64)
    # optimiser
    steps: int = Field(default=5000, ge=10, le=10_000_000)
    batch: int = Field(default=128, ge=1, le=65_536)  # contexts a step, drawn anew in each
    learning_rate: float = Field(default=1.5e-3, gt=0.0, le=1.0)
    seeds: int = Field(default=3, ge=1, le=100)  # trainings, each with classes and labels of its own
    seed: int = Field(default=0, ge=0, le=2**31 - 1)  # the first of them
    # looks on the way
    contexts: int = Field(default=1024, ge=16, le=100_000)  # by which each look is judged; twice as many are neighbours
    neighbours: int = Field(default=10, ge=1, le=1000)  # of which a task is decoded

    @model_validator(mode="after")
    def _goes_together(self) -> "Phases":
        if self.tasks > self.labels:
            raise ValueError(f"tasks: expected at most the {self.labels} labels, for no more can differ, found {self.tasks}")
        if self.context > self.classes:
            raise ValueError(f"context: expected at most the {self.classes} classes, each shown once, found {self.context}")
        if self.width % self.heads:
            raise ValueError(
                f"heads: expected to divide dimensions + 2 x context + 1, which is {self.width}, found {self.heads}"
            )
        if self.neighbours > 2 * self.contexts:
            raise ValueError(f"neighbours: expected at most 2 x contexts, {2 * self.contexts}, found {self.neighbours}")
        for name in ("batch", "contexts"):
            largest = 2 * getattr(self, name) * max(self.places * max(self.width, self.places * self.heads), self.classes)
            if largest > MOST_NUMBERS:
                raise ValueError(
                    f"{name} x context x dimensions: expected at most {MOST_NUMBERS} numbers at once, found {largest}"
                )
        return self

    @property
    def places(self) -> int:
        """Tokens of a context: items and labels in turn, and the item that is asked for."""
        return 2 * self.context + 1

    @property
    def width(self) -> int:
        """Numbers of a token: content and a one-hot place."""
        return self.dimensions + self.places
