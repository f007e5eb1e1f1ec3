"""One training of a measurement: what it depends on, and how it is done and judged."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy import float32
from numpy.typing import NDArray

from pipelines.params import Measurement
from pipelines.training_settings import Training
from training.checkpoints import MACHINE, NO_BEARING, code_digest, digest
from training.collection import DomainTensors
from training.device import choose
from training.episodes import Episodes, evaluation_episodes
from training.evaluate import episode_accuracies
from training.learner import Learner
from training.measure.design import Subset
from training.measure.store import Store, key_of
from training.parts_readout import Parts
from training.seen import features_of
from training.train import new_learner, train

TRIED = 20  # steps, and episodes
Place = tuple[str, int]  # domain judged on, shots
Judged = dict[Place, NDArray[float32]]  # accuracy of each episode


@dataclass(frozen=True)
class Job:
    """A subset and the seed of its training; `key` names all that it depends on. The empty subset is not trained."""

    subset: Subset
    seed: int
    key: str

    def __str__(self) -> str:
        return f"{'+'.join(self.subset) or 'no domain'}, seed {self.seed}"


@dataclass(frozen=True)
class Trial:
    """What every training of a measurement shares; it is sent once to each process."""

    domains: Mapping[str, DomainTensors]  # train and spare domains
    held_out: Mapping[str, DomainTensors]
    training: Training
    measurement: Measurement
    store: Store
    parts: Parts | None = None
    digests: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        both = {**self.domains, **self.held_out}
        object.__setattr__(self, "digests", {name: digest(domain) for name, domain in both.items()})

    def job(self, subset: Subset, seed: int) -> Job:
        """The training of this subset, by all that its weights depend on: data, settings, budget, seed and code."""
        settings = self.training.model_dump(mode="json", exclude=NO_BEARING | MACHINE | {"seed", "steps"})
        facts = {
            "domains": [[name, self.digests[name]] for name in subset],
            "training": settings,
            "steps": self.measurement.steps if subset else 0,
            "seed": seed,
            "parts": self.parts and [self.parts.basis_DE.numpy().tobytes().hex(), list(self.parts.sizes)],
            "place": str(choose(self.training)),
            "dimensions": next(iter(self.domains.values())).dimensions,
            "code": [code_digest(), torch.__version__],
        }
        return Job(subset, seed, key_of(facts))

    def places(self, subset: Subset) -> list[Place]:
        """What a subset is judged on: the held-out domains, and of a domain alone every other one, where that is asked."""
        names = list(self.held_out)
        if len(subset) == 1 and "single" in self.measurement.designs:
            names += [name for name in self.domains if name not in subset]
        return [(name, n_shot) for name in names for n_shot in self.measurement.n_shots]

    def judged_on(self, name: str) -> DomainTensors:
        """The domain of this name."""
        return self.held_out[name] if name in self.held_out else self.domains[name]

    def episodes(self, place: Place) -> Episodes:
        """The episodes that everybody is judged on there; a domain's do not depend on its company."""
        name, n_shot = place
        asked = self.measurement
        return evaluation_episodes(self.judged_on(name), asked.n_way, n_shot, asked.n_query, asked.episodes, asked.seed)

    def seconds_tried(self) -> float:
        """About how long a job takes here, by a few steps and some episodes of one; nothing of it is kept."""
        with threads(1):
            self._try(2)  # what the first steps of a process wait for
            learner, training = self._try(TRIED)
            judging = 0.0
            for place in self.places(()):
                drawn = self.episodes(place).part(0, TRIED)
                features_ND = features_of(learner, self.judged_on(place[0]).features_ND)
                begun = time.monotonic()
                episode_accuracies(learner, features_ND, drawn)
                judging += (time.monotonic() - begun) / len(drawn)
        return training / TRIED * self.measurement.steps + judging * self.measurement.episodes

    def _try(self, steps: int) -> tuple[Learner, float]:
        begun = time.monotonic()
        learner = train(list(self.domains.values()), self.training, steps=steps, seed=self.training.seed, parts=self.parts)
        return learner, time.monotonic() - begun

    def episodes_key(self, place: Place) -> str:
        """A name for the episodes of a place and for how they are judged."""
        name, n_shot = place
        asked: dict[str, Any] = self.measurement.model_dump(mode="json", include={"n_way", "n_query", "episodes", "seed"})
        return key_of(asked | {"domain": self.digests[name], "n_shot": n_shot, "code": [code_digest(), torch.__version__]})


def stored(trial: Trial, job: Job) -> Judged | None:
    """What the store has of a job; None unless it is all."""
    found: Judged = {}
    for place in trial.places(job.subset):
        accuracies_E = trial.store.accuracies(job.key, trial.episodes_key(place))
        if accuracies_E is None:
            return None
        found[place] = accuracies_E
    return found


def finish(trial: Trial, job: Job) -> Judged:
    """Train and judge, on one thread whatever the machine has, as far as the store does not have it."""
    keys = {place: trial.episodes_key(place) for place in trial.places(job.subset)}
    known = {place: trial.store.accuracies(job.key, key) for place, key in keys.items()}
    found = {place: accuracies_E for place, accuracies_E in known.items() if accuracies_E is not None}
    missing = [place for place in keys if place not in found]
    if missing:
        begun = time.monotonic()
        with threads(1):
            kept = trial.store.learner(job.key)
            learner = kept or trained(trial, job)
            features = {name: features_of(learner, trial.judged_on(name).features_ND) for name, _ in missing}
            found |= {place: episode_accuracies(learner, features[place[0]], trial.episodes(place)) for place in missing}
        if kept is None:  # before the accuracies: a job that has them all is a finished training
            about = {"domains": job.subset, "seed": job.seed, "steps": trial.measurement.steps}
            trial.store.keep(job.key, learner, about | {"seconds": round(time.monotonic() - begun, 3)})
        for place in missing:
            trial.store.keep_accuracies(job.key, keys[place], found[place])
    return {place: found[place] for place in keys}


def trained(trial: Trial, job: Job) -> Learner:
    """The learner of this job. Of the empty subset it is the learner before its first step."""
    if job.subset:
        domains = [trial.domains[name] for name in job.subset]
        return train(domains, trial.training, steps=trial.measurement.steps, seed=job.seed, parts=trial.parts)
    any_domain = next(iter(trial.domains.values()))
    return new_learner(trial.training, any_domain.dimensions, job.seed, trial.parts, pixels=any_domain.pixels).eval()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use this many threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
