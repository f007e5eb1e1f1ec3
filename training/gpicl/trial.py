"""One training of a sequence model on a fixed number of tasks, and what it came to."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from pipelines.gpicl_settings import Gpicl, SequenceModel
from training.episodes import generator_for
from training.gpicl.judge import Field, ends, mean_of, right, summary
from training.gpicl.models import Model, sequence_model
from training.gpicl.phases import LEAST, phase_of
from training.gpicl.sequences import Sequences
from training.noise import below, key, keys, uniform
from training.schedule import learning_rate_at, set_learning_rate
from training.train import CLIP, WEIGHT_DECAY

WEIGHTS, TASK, SEQUENCE, BIASED = 41, 42, 43, 44  # streams of one training
WARMUP = 100  # steps
LOOKS = 20  # on the way
LOOK_SEQUENCES = 256  # of each kind
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """What is trained. `biased`: share of the sequences whose labels are not permuted at the start; it falls to 0 by half way
    (GPICL, arXiv 2212.04458, section 4.4)."""

    model: SequenceModel
    log2_tasks: int
    width: int
    layers: int
    steps: int
    batch: int
    biased: float
    seed: int


def run_trial(trial: Trial, settings: Gpicl, field: Field) -> dict[str, Any]:
    """Train and judge one model. Raises ValueError (one line) if its loss stops being a finite number."""
    begun = time.monotonic()
    model = sequence_model(
        trial.model,
        generator_for(trial.seed, WEIGHTS),
        inputs=settings.dimensions,
        n_way=settings.n_way,
        length=settings.context,
        width=trial.width,
        layers=trial.layers,
    ).to(field.device)
    trace = train(model, trial, settings, field)
    chance, count = 1 / settings.n_way, settings.sequences
    found = {
        kind: summary(right(model, field, kind, count, trial.log2_tasks)) for kind in ("seen", "new", "unseen", *field.held_out)
    }
    domains = {name: found.pop(name) for name in field.held_out}
    return {
        **asdict(trial),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "state": model.state,
        "seconds": round(time.monotonic() - begun, 1),
        **found,
        "unseen_domains": mean_of(domains),
        "domains": domains,
        "phase": phase_of(found["seen"], found["unseen"], chance),
        "plateau": plateau(trace, chance),
        "trace": trace,
    }


def train(model: Model, trial: Trial, settings: Gpicl, field: Field) -> list[dict[str, float]]:
    """Every step: AdamW, warm-up, cosine, clipped, on the labels of all places. Returns what was seen on the way."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    trace, recent = [], []
    every = max(1, trial.steps // LOOKS)
    for step in range(trial.steps):
        set_learning_rate(optimiser, learning_rate_at(step, trial.steps, WARMUP, settings.learning_rate))
        part = batch_of(trial, field, step)
        loss = cross_entropy(model(part.x_BTP, part.y_BT).flatten(0, 1), part.y_BT.flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        recent.append(loss.detach())
        if (step + 1) % every == 0 or step + 1 == trial.steps:
            trace.append(look(model, trial, settings, field, step + 1) | {"loss": mean_loss(recent, trial, step + 1)})
            recent.clear()
    return trace


def batch_of(trial: Trial, field: Field, step: int) -> Sequences:
    """The sequences of a step, a function of the trial and the step: each of a task drawn from those that there are."""
    key_B = keys(0, trial.batch, trial.seed, SEQUENCE, step, device=field.device)
    tasks = field.train.tasks.seen(below(key(key_B, TASK), 2**trial.log2_tasks))
    share = trial.biased * max(0.0, 1.0 - 2.0 * step / trial.steps)
    biased_B = uniform(key(key_B, BIASED)) < share if share else None
    return field.train.draw(tasks, key_B, biased_B)


def look(model: Model, trial: Trial, settings: Gpicl, field: Field, step: int) -> dict[str, float]:
    """Accuracy at the end of the context, by kind of sequences."""
    count, end = min(LOOK_SEQUENCES, settings.sequences), ends(settings.context)
    found = {
        kind: float(right(model, field, kind, count, trial.log2_tasks)[:, end].mean())
        for kind in ("seen", "unseen", *field.held_out)
    }
    domains = [found.pop(name) for name in field.held_out]
    return {"step": step, **found, "unseen_domains": sum(domains) / len(domains)}


def mean_loss(recent: list[torch.Tensor], trial: Trial, step: int) -> float:
    """Mean loss since the last look. Raises ValueError (one line) if it is not a finite number."""
    loss = float(torch.stack(recent).mean())
    if not torch.isfinite(torch.tensor(loss)):
        raise ValueError(
            f"gpicl: {trial.model} of width {trial.width}: the loss is not a finite number by step {step}; "
            "lower gpicl.learning_rate"
        )
    return loss


def plateau(trace: list[dict[str, float]], chance: float) -> int | None:
    """The first look at which unseen tasks are twice `LEAST` above chance, and stay so; None where that never comes."""
    above = [row["unseen"] >= chance + 2 * LEAST for row in trace]
    lasting = next((place for place in range(len(above)) if all(above[place:])), None)
    return None if lasting is None else int(trace[lasting]["step"])
