"""Meta-training of the in-context learner on the train domains (GEOM, arXiv 2507.05019), with synthetic tasks mixed in."""

import csv
import io
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipelines.files import write_text
from pipelines.training_settings import Training
from training.batch import Batch
from training.collection import DomainTensors
from training.draws import STREAMS, Draw, draws
from training.episodes import Episodes, evaluation_episodes, generator_for
from training.evaluate import episode_accuracies
from training.learner import Learner
from training.shape import shape_of

COLUMNS = ("step", "loss", "accuracy", "validation_accuracy", "learning_rate", "seconds")
LOG_ROWS = 40
VALIDATIONS = 6
VALIDATION_EPISODES = 60
WEIGHT_DECAY = 0.01
CLIP = 1.0
Row = Mapping[str, float | int | None]
Progress = Callable[[int, int, Row], None]  # step, steps, row of the log
Validation = Sequence[tuple[Tensor, Episodes]]


def validation_episodes(domains: Sequence[DomainTensors], settings: Training) -> Validation:
    """Episodes of the train domains' validation images; domains whose validation split is too small for any are passed over."""
    found = []
    for number, domain in enumerate(domains):
        part = domain.in_splits("validation")
        try:
            drawn = evaluation_episodes(
                part, settings.n_way, settings.max_shot, settings.n_query, VALIDATION_EPISODES, settings.seed + number
            )
        except ValueError:
            continue
        found.append((part.features_ND, drawn))
    return found


def train(
    domains: Sequence[DomainTensors],
    settings: Training,
    *,
    steps: int,
    seed: int,
    progress: Progress | None = None,
    log_path: Path | None = None,
    validation: Validation = (),
) -> Learner:
    """Train a learner on the `train` split of these domains; the same weights for the same arguments and number of threads.

    Raises ValueError (one line) if a domain is too small for the episodes.
    """
    draw_batch = draws(domains, settings, seed, steps=steps)
    learner = Learner(shape_of(settings, domains[0].dimensions), generator_for(seed, STREAMS.weights))
    return fit(learner, draw_batch, settings, steps=steps, progress=progress, log_path=log_path, validation=validation)


def learning_rate_at(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up, then a half cosine to zero. Warm-up takes at most a third of the steps."""
    warmup = min(warmup, steps // 3)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def fit(
    learner: Learner,
    draw_batch: Draw,
    settings: Training,
    *,
    steps: int,
    progress: Progress | None = None,
    log_path: Path | None = None,
    validation: Validation = (),
) -> Learner:
    """The loop: AdamW, warm-up, cosine, gradients clipped to norm 1. Returns the same learner, in evaluation mode.

    Raises ValueError (one line) if the loss stops being a finite number.
    """
    optimiser = torch.optim.AdamW(learner.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    rows: list[dict[str, float | int | None]] = []
    recent: list[tuple[float, float]] = []
    log_every, validate_every = max(1, steps // LOG_ROWS), max(1, steps // VALIDATIONS)
    started = time.monotonic()
    learner.train()
    for step in range(steps):
        rate = learning_rate_at(step, steps, settings.warmup, settings.learning_rate)
        for group in optimiser.param_groups:
            group["lr"] = rate
        recent.append(take_step(learner, optimiser, draw_batch(step)))
        last = step + 1 == steps
        if not math.isfinite(recent[-1][0]):
            raise ValueError(f"training: the loss is not a finite number at step {step + 1}; lower training.learning_rate")
        if (step + 1) % log_every == 0 or last:
            due = last or (step + 1) % validate_every < log_every
            row: dict[str, float | int | None] = {
                "step": step + 1,
                "loss": sum(loss for loss, _ in recent) / len(recent),
                "accuracy": sum(accuracy for _, accuracy in recent) / len(recent),
                "validation_accuracy": validate(learner, validation) if due else None,
                "learning_rate": rate,
                "seconds": time.monotonic() - started,
            }
            rows.append(row)
            recent.clear()
            if progress:
                progress(step + 1, steps, row)
    if log_path:
        write_text(log_path, as_csv(rows))
    return learner.eval()


def take_step(learner: Learner, optimiser: torch.optim.Optimizer, batch: Batch) -> tuple[float, float]:
    """One update; returns the batch's loss (nats) and accuracy before it."""
    scores_BQW = learner(
        batch.support_BSD,
        batch.support_label_BS,
        batch.query_BQD,
        batch.n_way,
        batch.support_weight_BS,
        turn=batch.turn,
        seed_B=batch.seed_B,
    )
    losses_BQ = cross_entropy(scores_BQW.transpose(1, 2), batch.query_label_BQ, reduction="none")
    total = batch.weight_BQ.sum()
    loss = (losses_BQ * batch.weight_BQ).sum() / total
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(learner.parameters(), CLIP)
    optimiser.step()
    right = ((scores_BQW.argmax(-1) == batch.query_label_BQ) * batch.weight_BQ).sum() / total
    return float(loss.detach()), float(right)


def validate(learner: Learner, validation: Validation) -> float | None:
    """Mean accuracy over the validation episodes of each domain, or None where there are none."""
    if not validation:
        return None
    learner.eval()
    means = [float(episode_accuracies(learner, features_ND, episodes).mean()) for features_ND, episodes in validation]
    learner.train()
    return sum(means) / len(means)


def as_csv(rows: Sequence[Row]) -> str:
    """The training log as text; a value that was not measured is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if (v := row[name]) is None else v if isinstance(v, int) else f"{v:.6g}" for name in COLUMNS})
    return text.getvalue()
