"""Meta-training of the in-context learner on the train domains (GEOM, arXiv 2507.05019), with synthetic tasks mixed in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipelines.files import write_text
from pipelines.training_settings import Training
from training.batch import Batch
from training.best import Best
from training.checkpoints import Checkpoints, depends_on
from training.collection import DomainTensors
from training.device import Place, choose, to_device, told_in_a_line
from training.draws import STREAMS, Draw, draws
from training.episodes import generator_for
from training.evaluate import Scorer
from training.learner import Learner
from training.log import DOMAIN_COLUMNS, Log, Row, Show, as_csv, not_finite
from training.parts_readout import Parts
from training.ranks import ALONE, Ranks
from training.schedule import learning_rate_at, set_learning_rate
from training.seen import read
from training.shape import shape_of
from training.validation import Validation, scorer_of, validate

WEIGHT_DECAY = 0.01
CLIP = 1.0
DOMAINS_LOG = "validation.csv"
Progress = Callable[[int, int, Row], None]  # step, steps, row of the log
Looks = Mapping[int, Callable[[Scorer], None]]  # after so many steps, at the learner as it then is


@dataclass(frozen=True)
class Beside:
    """What goes on beside the steps of a training, and changes nothing in them."""

    validation: Validation
    best: Best
    checkpoints: Checkpoints | None
    progress: Progress | None
    looks: Looks = field(default_factory=dict)


def train(
    domains: Sequence[DomainTensors],
    settings: Training,
    *,
    steps: int,
    seed: int,
    progress: Progress | None = None,
    log_path: Path | None = None,
    checkpoint_path: Path | None = None,
    validation: Validation = (),
    parts: Parts | None = None,
    ranks: Ranks = ALONE,
    best: Best | None = None,
    shows: Sequence[Show] = (),
    looks: Looks | None = None,
) -> Learner:
    """Train a learner on the `train` split of these domains; the same weights for the same arguments and number of threads.

    `parts` are those of the features, for the read-out of that name. The log goes to `log_path`, the accuracies of domains to
    validation.csv beside it, and each row to `shows`. `best` is made to hold the weights of the highest validation accuracy. A
    training that was cut off goes on from `checkpoint_path`, without the `looks` that were taken before; these are taken
    between steps and change nothing. Of several `ranks` each calls this with the same arguments and gets the same learner; the
    first alone writes, shows and tells. Raises ValueError (one line) if a domain is too small for
    the episodes, CUDA is asked for and not there, memory is full, the checkpoint is broken, the loss stops being a finite
    number, the batch is no multiple of the ranks, or one of them is lost.
    """
    place = ranks.own(choose(settings))
    log = Log(steps, shows if ranks.leads else ())
    with told_in_a_line(place), ranks.joined(place):
        draw_batch = draws(domains, settings, seed, steps=steps, device=place.device, rank=ranks.rank, ranks=ranks.size)
        learner = new_learner(settings, domains[0].dimensions, seed, parts, pixels=domains[0].pixels)
        best, checkpoints = best or Best(), None
        if checkpoint_path:
            depends = depends_on(domains, settings, place, learner, steps=steps, seed=seed, ranks=ranks.size)
            ranks.agree("training", depends)
            checkpoints = Checkpoints(checkpoint_path, settings.checkpoint_every, depends, best=best, tells=ranks.leads)
        beside = Beside(validation, best, checkpoints, progress, looks or {})
        with place.holding(learner):
            _loop(learner, draw_batch, settings, log, place, ranks, beside)
    if log_path and ranks.leads:
        write_text(log_path, as_csv(log.rows))
        write_text(log_path.with_name(DOMAINS_LOG), as_csv(log.domain_rows, DOMAIN_COLUMNS))
    return learner.eval()


def new_learner(settings: Training, dimensions: int, seed: int, parts: Parts | None = None, *, pixels: bool = False) -> Learner:
    """The learner before its first step; with a backbone if it is to read `pixels`."""
    shape = shape_of(settings, dimensions, parts.sizes if parts else (), pixels=pixels)
    basis_DE = parts.basis_DE if parts and shape.parts else None
    return Learner(shape, generator_for(seed, STREAMS.weights), basis_DE)


def new_optimiser(learner: Learner, settings: Training, place: Place) -> torch.optim.Optimizer:
    """AdamW; on CUDA all its steps in few kernels. The CPU's stay those of one tensor after another, bit by bit."""
    fused = True if place.device.type == "cuda" else None
    return torch.optim.AdamW(
        learner.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY, fused=fused
    )


def _loop(learner: Learner, draw_batch: Draw, settings: Training, log: Log, place: Place, ranks: Ranks, beside: Beside) -> None:
    """Every step that is not done yet: AdamW, warm-up, cosine, gradients clipped to norm 1."""
    optimiser = new_optimiser(learner, settings, place)
    checkpoints, steps = beside.checkpoints, log.steps
    begun = checkpoints.resume(learner, optimiser, log) if checkpoints else 0
    ranks.agree("checkpoint", {"the steps that the last checkpoint holds": begun})
    learner.train()
    for step in range(begun, steps):
        done, rate = step + 1, learning_rate_at(step, steps, settings.warmup, settings.learning_rate)
        set_learning_rate(optimiser, rate)
        try:
            batch = to_device(draw_batch(step), place.device)
            log.add(take_step(learner, optimiser, batch, place, settings.accumulate, ranks))
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # what a factorisation says of weights that are no numbers
            log.recent_N2(step)
            raise not_finite(done) from None
        if log.row_due(done):
            validated = validate(learner, beside.validation, place, ranks) if log.validation_due(done) else ()
            row = log.close_row(done, rate, validated)
            if ranks.leads:
                beside.best.see(learner, done, row["validation_accuracy"])
                if beside.progress:
                    beside.progress(done, steps, row)
        if done in beside.looks:
            learner.eval()
            beside.looks[done](scorer_of(learner, place))
            learner.train()
        if checkpoints and checkpoints.due(done) and ranks.leads:
            checkpoints.save(learner, optimiser, log, done)


def take_step(
    learner: Learner, optimiser: torch.optim.Optimizer, batch: Batch, place: Place, parts: int = 1, ranks: Ranks = ALONE
) -> Tensor:
    """One update; returns the batch's loss (nats) and accuracy before it, [2], still on the device.

    The batch is worked in `parts` of its episodes, whose gradients add up to those of the whole: each is divided by the
    weight of all. Of several `ranks` each has its part of the batch.
    """
    total, size = batch.weight_BQ.sum(), -(-len(batch) // parts)
    ranks.add_up([total])
    optimiser.zero_grad()
    found = []
    for start in range(0, len(batch), size):
        part = batch if parts == 1 else batch.part(start, start + size)
        with place.autocast():
            part = read(part, learner)
            scores_BQW = learner(
                part.support_BSD,
                part.support_label_BS,
                part.query_BQD,
                part.n_way,
                part.support_weight_BS,
                turn=part.turn,
                seed_B=part.seed_B,
            )
        losses_BQ = cross_entropy(scores_BQW.float().transpose(1, 2), part.query_label_BQ, reduction="none")
        loss = (losses_BQ * part.weight_BQ).sum() / total
        loss.backward()  # type: ignore[no-untyped-call]
        right = ((scores_BQW.argmax(-1) == part.query_label_BQ) * part.weight_BQ).sum() / total
        found.append(torch.stack([loss.detach(), right]))
    found_2 = torch.stack(found).sum(0)
    ranks.add_up([found_2, *(parameter.grad for parameter in learner.parameters() if parameter.grad is not None)])
    torch.nn.utils.clip_grad_norm_(learner.parameters(), CLIP)
    optimiser.step()
    return found_2
