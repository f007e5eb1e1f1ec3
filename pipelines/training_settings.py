"""Settings of encoding and training: what images become, what episodes hold, which learner reads them, how it is optimised."""

from typing import Literal

from pydantic import Field, model_validator

from pipelines.settings import Settings

Regime = Literal["mixture", "merged", "sequence", "pseudo", "single"]
Order = Literal["given", "easy_to_hard", "hard_to_easy", "by_subject", "random"]
Size = Literal["tiny", "small", "geom", "caml"]
LabelCodes = Literal["learnable", "elmes", "random"]
Mixer = Literal["attention", "memory"]
Attention = Literal["inline", "full"]
Readout = Literal["linear", "code", "class_mean", "ridge", "parts"]


class Encoding(Settings):
    """What an image becomes before training. Curation always uses the embedded encoder, whatever is asked here."""

    encoder: str = Field(default="embedded", pattern=r"^(embedded|conv|hub:.+)$")
    views: int = Field(default=0, ge=0, le=64)  # augmented copies of each image, encoded beside it; regime pseudo needs them


class Budget(Settings):
    """What training may see of all its domains together, drawn by lot from the seed; null: everything."""

    classes: int | None = Field(default=None, ge=2, le=10_000_000)
    images: int | None = Field(default=None, ge=2, le=10_000_000_000)  # spread evenly over the classes


class Training(Settings):
    """Meta-training of the learner."""

    # episodes
    regime: Regime = "mixture"
    order: Order = "given"  # of the domains in regime sequence
    replay: float = Field(default=0.0, ge=0.0, le=1.0)  # regime sequence: share of the episodes from domains that went before
    single: str | None = None  # regime single: the train domain that it sees; null: the one with most images
    budget: Budget = Budget()
    domain_weights: Literal["uniform", "proportional", "temperature"] = "uniform"  # how often an episode is of each domain
    temperature: float = Field(default=2.0, ge=1.0, le=1000.0)  # of domain_weights: 1 is proportional, large is uniform
    min_way: int | None = Field(default=None, ge=2, le=4096)  # ways are drawn from here to n_way; null: always n_way
    n_way: int = Field(default=5, ge=2, le=4096)
    min_shot: int = Field(default=1, ge=1, le=1000)
    max_shot: int = Field(default=5, ge=1, le=1000)
    shots: Literal["equal", "varied"] = "equal"  # of an episode's classes; varied: Meta-Dataset's draw
    n_query: int = Field(default=5, ge=1, le=1000)  # queries a class
    rotate: bool = True  # a fresh random rotation of the feature space in each episode
    synthetic_share: float = Field(default=0.5, ge=0.0, le=1.0)  # of the steps, on synthetic tasks
    # learner
    size: Size = "tiny"
    label_codes: LabelCodes = "elmes"
    mixer: Mixer = "attention"
    attention: Attention = "inline"
    readout: Readout = "parts"
    # optimiser
    steps: int = Field(default=1000, ge=1, le=10_000_000)
    batch: int = Field(default=16, ge=1, le=65_536)  # episodes a step
    accumulate: int = Field(default=1, ge=1, le=65_536)  # parts that a batch is worked in, where memory is short
    learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    warmup: int = Field(default=30, ge=0, le=1_000_000)  # steps
    keep: Literal["last", "best"] = "last"  # which weights become the learner; best: by validation accuracy
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    # machine
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on CUDA, else float32
    compile: Literal["auto", "on", "off"] = "auto"  # torch.compile; auto: on CUDA
    checkpoint_every: int = Field(default=200, ge=1, le=10_000_000)  # steps
    tensorboard: bool = False  # write the training for TensorBoard too

    @model_validator(mode="after")
    def _goes_together(self) -> "Training":
        if self.min_shot > self.max_shot:
            raise ValueError(f"min_shot must not exceed max_shot, found {self.min_shot} > {self.max_shot}")
        if self.min_way is not None and self.min_way > self.n_way:
            raise ValueError(f"min_way must not exceed n_way, found {self.min_way} > {self.n_way}")
        if self.batch % self.accumulate:
            raise ValueError(f"batch must be a multiple of accumulate, found {self.batch} and {self.accumulate}")
        if self.readout == "linear" and self.label_codes != "learnable":
            raise ValueError(f"readout linear has a row for each learnable label code, found label_codes {self.label_codes}")
        if self.mixer == "memory" and self.attention != "inline":
            raise ValueError(f"mixer memory has supports written and queries read: attention inline, found {self.attention}")
        return self

    @property
    def fewest_ways(self) -> int:
        """The smallest n_way that an episode may have."""
        return self.n_way if self.min_way is None else self.min_way
