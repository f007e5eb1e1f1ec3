"""Settings of stage mechanism: regression tasks in context, and the attention that is trained on them."""

from pydantic import Field, field_validator, model_validator

from pipelines.settings import Settings

DEEPEST = 10  # layers; a model is named by a word for their number
MOST_NUMBERS = 500_000_000  # of inputs held at once: 2 GB


class Mechanism(Settings):
    """In-context linear regression, and gradient descent in the forward pass of what is trained on it."""

    # tasks
    dimensions: int = Field(default=10, ge=1, le=256)  # of an input
    context: int = Field(default=10, ge=1, le=4096)  # pairs of a task
    input_range: float = Field(default=1.0, gt=0.0, le=1000.0)  # inputs are uniform over this width around 0
    evaluation_tasks: int = Field(default=10_000, ge=100, le=1_000_000)
    # models
    layers: list[int] = Field(default_factory=lambda: [1, 2, 5])  # of linear attention, the same weights in each layer
    untied_layers: list[int] = Field(default_factory=lambda: [2])  # the same with weights of their own in each layer
    # optimiser
    steps: int = Field(default=1000, ge=10, le=1_000_000)  # for each layer of a model
    batch: int = Field(default=512, ge=1, le=65_536)  # tasks a step, drawn anew in each
    learning_rate: float = Field(default=3e-3, gt=0.0, le=1.0)
    seeds: int = Field(default=3, ge=1, le=100)  # trainings of each model
    seed: int = Field(default=0, ge=0, le=2**31 - 1)  # the first of them
    # the project's own learner
    learner_episodes: int = Field(default=60, ge=0, le=100_000)  # of each held-out domain and number of shots; 0: leave it out

    @field_validator("layers", "untied_layers")
    @classmethod
    def _layers_in_range(cls, value: list[int]) -> list[int]:
        if any(not 1 <= number <= DEEPEST for number in value) or len(set(value)) != len(value):
            raise ValueError(f"expected different whole numbers in 1 to {DEEPEST}, found {value}")
        return value

    @field_validator("layers")
    @classmethod
    def _one_layer_first(cls, value: list[int]) -> list[int]:
        if 1 not in value:
            raise ValueError(f"expected 1 among them, which all else is compared with, found {value}")
        return value

    @field_validator("untied_layers")
    @classmethod
    def _more_than_one(cls, value: list[int]) -> list[int]:
        if 1 in value:
            raise ValueError(f"expected numbers from 2 on: a single layer shares its weights with none, found {value}")
        return value

    @field_validator("learner_episodes")
    @classmethod
    def _none_or_some(cls, value: int) -> int:
        if value == 1:
            raise ValueError("expected 0 or at least 2, for an interval; found 1")
        return value

    @model_validator(mode="after")
    def _fits_memory(self) -> "Mechanism":
        for name in ("batch", "evaluation_tasks"):
            numbers = getattr(self, name) * (self.context + 1) * self.dimensions
            if numbers > MOST_NUMBERS:
                raise ValueError(
                    f"{name} x context x dimensions: expected at most {MOST_NUMBERS} numbers at once, found {numbers}"
                )
        return self
