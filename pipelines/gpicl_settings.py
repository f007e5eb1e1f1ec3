"""Settings of stage gpicl: tasks made by projections and permutations, sequence models, and which trainings are compared."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipelines.settings import Settings

SequenceModel = Literal["transformer", "pairs", "lstm", "outer_lstm"]
ALL_MODELS: list[SequenceModel] = ["transformer", "pairs", "lstm", "outer_lstm"]
MOST_LOG2_TASKS = 20
HEADS = 4
MOST_TOKENS = 50_000_000  # numbers of one activation of a batch


def _different(value: list[int], low: int, high: int) -> list[int]:
    if any(not low <= number <= high for number in value) or len(set(value)) != len(value):
        raise ValueError(f"expected different whole numbers in {low} to {high}, found {value}")
    return value


class Remedies(Settings):
    """What shortens the plateau before a model learns to learn, each tried alone beside the plain training."""

    biased: list[float] = Field(default_factory=lambda: [0.5])  # share of the sequences under one permutation at the start
    batch: list[int] = Field(default_factory=lambda: [16])  # sequences a step; as many sequences in all as the plain training

    @field_validator("biased")
    @classmethod
    def _shares(cls, value: list[float]) -> list[float]:
        if any(not 0.0 < share <= 1.0 for share in value) or len(set(value)) != len(value):
            raise ValueError(f"expected different shares above 0 and up to 1, found {value}")
        return value

    @field_validator("batch")
    @classmethod
    def _batches(cls, value: list[int]) -> list[int]:
        return _different(value, 1, 65_536)


class Diagram(Settings):
    """The phase diagram: a training for each number of tasks, width and seed. An empty list leaves it out."""

    log2_tasks: list[int] = Field(default_factory=lambda: [0, 4, 8, 12, 16])
    widths: list[int] = Field(default_factory=lambda: [32, 64])
    seeds: list[int] = Field(default_factory=lambda: [0])
    steps: int = Field(default=1500, ge=10, le=10_000_000)

    @field_validator("log2_tasks")
    @classmethod
    def _numbers_of_tasks(cls, value: list[int]) -> list[int]:
        return sorted(_different(value, 0, MOST_LOG2_TASKS))

    @field_validator("widths")
    @classmethod
    def _widths(cls, value: list[int]) -> list[int]:
        if any(width % HEADS for width in value):
            raise ValueError(f"expected multiples of the {HEADS} heads, found {value}")
        return sorted(_different(value, HEADS, 4096))

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: list[int]) -> list[int]:
        return _different(value, 0, 2**31 - 1)


class Gpicl(Settings):
    """General-purpose in-context learning (GPICL, arXiv 2212.04458)."""

    # tasks
    n_way: int = Field(default=4, ge=2, le=64)
    context: int = Field(default=32, ge=8, le=1024)  # pairs of a sequence
    inputs: int = Field(default=16, ge=1, le=4096)  # principal axes of the train domains that an input has
    projection: int | None = Field(default=16, ge=1, le=4096)  # numbers of A x; null: x as it is
    permute: bool = True  # labels; false: each class keeps its place
    log2_tasks: int = Field(default=16, ge=0, le=MOST_LOG2_TASKS)  # 2^this many distinct tasks are trained on
    # models
    models: list[SequenceModel] = Field(default_factory=lambda: list(ALL_MODELS))
    width: int = Field(default=64, ge=HEADS, le=4096)
    layers: int = Field(default=2, ge=1, le=64)
    # optimiser
    steps: int = Field(default=3000, ge=10, le=10_000_000)
    batch: int = Field(default=64, ge=1, le=65_536)  # sequences a step
    learning_rate: float = Field(default=3e-3, gt=0.0, le=1.0)
    seeds: int = Field(default=1, ge=1, le=100)  # trainings of each model
    seed: int = Field(default=0, ge=0, le=2**31 - 1)  # of tasks, and of the first training
    # what is compared
    sequences: int = Field(default=512, ge=16, le=1_000_000)  # by which each kind of task is judged
    remedies: Remedies = Remedies()
    diagram: Diagram = Diagram()

    @field_validator("models")
    @classmethod
    def _models_differ(cls, value: list[SequenceModel]) -> list[SequenceModel]:
        if not value or len(set(value)) != len(value):
            raise ValueError(f"expected at least one model, each once, found {value}")
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> "Gpicl":
        if self.width % HEADS:
            raise ValueError(f"width: expected a multiple of the {HEADS} heads, found {self.width}")
        largest = max([self.batch, *self.remedies.batch]) * 2 * self.context * max([self.width, *self.diagram.widths])
        if largest > MOST_TOKENS:
            raise ValueError(f"batch x context x width: expected at most {MOST_TOKENS // 2} numbers, found {largest // 2}")
        return self

    @property
    def dimensions(self) -> int:
        """Numbers of what a model reads of an image."""
        return self.projection or self.inputs
