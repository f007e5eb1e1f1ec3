"""The control panel, `params.yaml`: which domains in which role, and every setting of curation, training and measurement."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.cards import DOMAIN_ID
from pipelines.curation import Curation
from pipelines.gpicl_settings import Gpicl
from pipelines.licences import allowed, canonical
from pipelines.mechanism_settings import Mechanism
from pipelines.phases_settings import Phases
from pipelines.settings import Settings, read_yaml, validate
from pipelines.training_settings import Encoding, Training
from pipelines.transfer import Rules

Role = Literal["train", "held_out", "spare"]
Design = Literal["removal", "replacement", "addition", "pairs", "single", "shapley", "datamodel", "sequence"]


class Measurement(Settings):
    """How held-out accuracy is taken, which subsets of the domains are trained, and the budget of each training."""

    designs: list[Design] = Field(
        default_factory=lambda: list[Design](("removal", "replacement"))
    )  # what is asked of the domains
    seeds: int = Field(default=1, ge=1, le=1000)  # trainings of each subset
    random_subsets: int = Field(default=32, ge=1, le=100_000)  # of datamodel; orders of shapley beyond ten train domains
    margin: float = Field(default=0.005, gt=0.0, lt=1.0)  # accuracy, 0 to 1: a replacement that costs less is replaceable
    max_trainings: int | None = Field(default=None, ge=1, le=10_000_000)  # what is beyond is left out and said; null: no limit

    n_way: int = Field(default=5, ge=2, le=64)
    n_shots: list[int] = Field(default_factory=lambda: [1, 5])
    n_query: int = Field(default=10, ge=1, le=100)
    episodes: int = Field(default=600, ge=10, le=1_000_000)
    steps: int = Field(default=500, ge=1, le=10_000_000)  # of each subset's training; the same for every subset
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _at_least_one_subset(self) -> "Measurement":
        if self.max_trainings is not None and self.max_trainings < self.seeds:
            raise ValueError(
                f"max_trainings must not be less than seeds, which one subset needs, found {self.max_trainings} < {self.seeds}"
            )
        return self

    @field_validator("designs")
    @classmethod
    def _designs_differ(cls, value: list[Design]) -> list[Design]:
        if len(set(value)) != len(value):
            raise ValueError(f"expected different designs, found {value}")
        return value

    @field_validator("n_shots")
    @classmethod
    def _shots_in_range(cls, value: list[int]) -> list[int]:
        if not value or any(not 1 <= shot <= 100 for shot in value) or len(set(value)) != len(value):
            raise ValueError(f"expected different whole numbers in 1 to 100, found {value}")
        return value


class Transfer(Settings):
    """How sources are fetched. None of it bears on what comes, so changing it makes nothing run again."""

    connections: int = Field(default=4, ge=1, le=64)  # at one time
    retries: int = Field(default=5, ge=0, le=100)  # of one file, after its first attempt
    deadline: int | None = Field(default=None, ge=1, le=10_000_000)  # s for one domain; null: none
    max_failed: float = Field(default=0.0, ge=0.0, le=1.0)  # share of single pictures that may be missing for good
    offline: bool = False  # use only what is here

    def rules(self, *, offline: bool = False, update: bool = False) -> Rules:
        """These settings as a transfer wants them; `offline` adds to what is set."""
        return Rules(**(self.model_dump() | {"offline": self.offline or offline, "update": update}))


class Runner(Settings):
    """Where the batches of a stage run. None of it bears on what is made, so changing it makes nothing run again."""

    kind: Literal["threads", "processes", "dask"] = "threads"
    workers: int | None = Field(default=None, ge=1, le=10_000)  # null: one a core
    address: str | None = None  # dask: a scheduler that runs, e.g. tcp://10.0.0.5:8786
    cluster: str | None = None  # dask: a cluster class to start, e.g. dask_jobqueue.SLURMCluster
    options: dict[str, Any] = Field(default_factory=dict)  # of that class

    @property
    def here(self) -> int:
        """Workers on this machine: as many as the user wants, else one a core that this process may use."""
        free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return self.workers or free or 1

    @model_validator(mode="before")
    @classmethod
    def _kind_alone(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value  # `runner: processes`

    @model_validator(mode="after")
    def _goes_together(self) -> "Runner":
        if self.kind != "dask" and (self.address or self.cluster):
            raise ValueError(f"address and cluster are for kind dask, found kind {self.kind}")
        if self.address and self.cluster:
            raise ValueError("address and cluster exclude each other: a scheduler that runs, or a class that starts one")
        if self.address and self.workers:
            raise ValueError("a scheduler at an address has its own workers; take workers out, or name no address")
        if self.cluster and not self.workers:
            raise ValueError(f"workers: how many {self.cluster} shall start is missing")
        if self.options and not self.cluster:
            raise ValueError("options are those of a cluster class, and cluster names none")
        return self


class Params(Settings):
    """The whole of params.yaml."""

    domains: dict[str, Role]
    sources_folder: str = "."  # where cards' relative locators start
    allow_licences: Literal["all"] | list[str] = "all"
    transfer: Transfer = Transfer()
    runner: Runner = Runner()
    curation: Curation = Curation()
    encoding: Encoding = Encoding()
    training: Training = Training()
    measurement: Measurement = Measurement()
    mechanism: Mechanism = Mechanism()
    gpicl: Gpicl = Gpicl()
    phases: Phases = Phases()

    @field_validator("domains")
    @classmethod
    def _names_and_roles(cls, value: dict[str, Role]) -> dict[str, Role]:
        for name in value:
            if not DOMAIN_ID.fullmatch(name):
                raise ValueError(f"{name!r} is no domain name: expected a-z, 0-9 and _, starting with a letter")
            if name in ("mean", "manifest", "overlap"):
                raise ValueError(f"{name!r} is taken: tables and files use that word; name the domain otherwise")
        for role in ("train", "held_out"):
            if role not in value.values():
                raise ValueError(f"expected at least one domain with the role {role!r}")
        return value

    @field_validator("allow_licences", mode="before")
    @classmethod
    def _licences_are_known(cls, value: object) -> object:
        if value == "all":
            return value
        if not isinstance(value, list) or not value or not all(isinstance(licence, str) for licence in value):
            raise ValueError(f"expected `all` or a list of licences such as [CC0-1.0, MIT], found {value!r}")
        return [canonical(licence) for licence in value]

    def require_allowed(self, domain: str, licence: str, where: Path) -> None:
        """Raise ValueError, naming the file, the domain and its licence, if `allow_licences` does not list that licence."""
        if self.allow_licences != "all" and not allowed(licence, self.allow_licences):
            raise ValueError(
                f"{where}: allow_licences: domain {domain!r} has the licence {licence}, listed are only "
                f"{', '.join(self.allow_licences)}; list it too or take the domain out"
            )

    def in_role(self, role: Role) -> list[str]:
        """Names of the domains with this role, in the order of the file."""
        return [name for name, given in self.domains.items() if given == role]


def load_params(path: Path) -> Params:
    """Read and validate params.yaml. Raises ValueError (one line: file, parameter, range, what was found)."""
    return validate(Params, read_yaml(path), str(path))
