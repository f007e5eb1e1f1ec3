"""Meta-training of the in-context learner on the train domains (GEOM, arXiv 2507.05019), with synthetic tasks mixed in."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipelines.files import write_text
from pipelines.training_settings import Training
from training.batch import Batch
from training.checkpoints import Checkpoints, depends_on
from training.collection import DomainTensors
from training.device import Place, choose, to_device, told_in_a_line
from training.draws import STREAMS, Draw, draws
from training.episodes import Episodes, evaluation_episodes, generator_for
from training.evaluate import Scorer, episode_accuracies
from training.learner import Learner
from training.log import Log, Row, as_csv, not_finite
from training.parts_readout import Parts
from training.schedule import learning_rate_at, set_learning_rate
from training.shape import shape_of

VALIDATION_EPISODES = 60
WEIGHT_DECAY = 0.01
CLIP = 1.0
Progress = Callable[[int, int, Row], None]  # step, steps, row of the log
Validation = Sequence[tuple[Tensor, Episodes]]
Looks = Mapping[int, Callable[[Scorer], None]]  # after so many steps, at the learner as it then is


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
    checkpoint_path: Path | None = None,
    validation: Validation = (),
    parts: Parts | None = None,
    looks: Looks | None = None,
) -> Learner:
    """Train a learner on the `train` split of these domains; the same weights for the same arguments and number of threads.

    `parts` are those of the features, for the read-out of that name. `looks` are taken between steps and change nothing. A
    training that was cut off goes on from `checkpoint_path`, without the looks that were taken before. Raises ValueError (one
    line) if a domain is too small for the episodes, CUDA is asked for and not there, memory is full, or the checkpoint is
    broken.
    """
    place = choose(settings)
    with told_in_a_line(place):
        draw_batch = draws(domains, settings, seed, steps=steps, device=place.device)
        learner = new_learner(settings, domains[0].dimensions, seed, parts)
        checkpoints = None
        if checkpoint_path:
            depends = depends_on(domains, settings, place, learner, steps=steps, seed=seed)
            checkpoints = Checkpoints(checkpoint_path, settings.checkpoint_every, depends)
        return fit(
            learner,
            draw_batch,
            settings,
            steps=steps,
            place=place,
            progress=progress,
            log_path=log_path,
            checkpoints=checkpoints,
            validation=validation,
            looks=looks,
        )


def new_learner(settings: Training, dimensions: int, seed: int, parts: Parts | None = None) -> Learner:
    """The learner before its first step."""
    shape = shape_of(settings, dimensions, parts.sizes if parts else ())
    basis_DE = parts.basis_DE if parts and shape.parts else None
    return Learner(shape, generator_for(seed, STREAMS.weights), basis_DE)


def fit(
    learner: Learner,
    draw_batch: Draw,
    settings: Training,
    *,
    steps: int,
    place: Place | None = None,
    progress: Progress | None = None,
    log_path: Path | None = None,
    checkpoints: Checkpoints | None = None,
    validation: Validation = (),
    looks: Looks | None = None,
) -> Learner:
    """The loop: AdamW, warm-up, cosine, gradients clipped to norm 1. Returns the same learner, on the CPU, in evaluation mode.

    Raises ValueError (one line) if the loss stops being a finite number.
    """
    place = place or choose(settings)
    with place.holding(learner):
        log = _loop(learner, draw_batch, settings, steps, place, progress, checkpoints, validation, looks or {})
    if log_path:
        write_text(log_path, as_csv(log.rows))
    return learner.eval()


def _loop(
    learner: Learner,
    draw_batch: Draw,
    settings: Training,
    steps: int,
    place: Place,
    progress: Progress | None,
    checkpoints: Checkpoints | None,
    validation: Validation,
    looks: Looks,
) -> Log:
    """Every step that is not done yet; returns the log of all."""
    optimiser = torch.optim.AdamW(learner.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    log = Log(steps)
    begun = checkpoints.resume(learner, optimiser, log) if checkpoints else 0
    learner.train()
    for step in range(begun, steps):
        done, rate = step + 1, learning_rate_at(step, steps, settings.warmup, settings.learning_rate)
        set_learning_rate(optimiser, rate)
        try:
            batch = to_device(draw_batch(step), place.device)
            log.add(take_step(learner, optimiser, batch, place, settings.accumulate))
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # what a factorisation says of weights that are no numbers
            log.recent_N2(step)
            raise not_finite(done) from None
        if log.row_due(done):
            row = log.close_row(done, rate, validate(learner, validation, place) if log.validation_due(done) else None)
            if progress:
                progress(done, steps, row)
        if done in looks:
            learner.eval()
            looks[done](scorer_of(learner, place))
            learner.train()
        if checkpoints and checkpoints.due(done):
            checkpoints.save(learner, optimiser, log, done)
    return log


def take_step(learner: Learner, optimiser: torch.optim.Optimizer, batch: Batch, place: Place, parts: int = 1) -> Tensor:
    """One update; returns the batch's loss (nats) and accuracy before it, [2], still on the device.

    The batch is worked in `parts` of its episodes, whose gradients add up to those of the whole: each is divided by the
    weight of all.
    """
    total, size = batch.weight_BQ.sum(), -(-len(batch) // parts)
    optimiser.zero_grad()
    found = []
    for start in range(0, len(batch), size):
        part = batch if parts == 1 else batch.part(start, start + size)
        with place.autocast():
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
    torch.nn.utils.clip_grad_norm_(learner.parameters(), CLIP)
    optimiser.step()
    return torch.stack(found).sum(0)


def validate(learner: Learner, validation: Validation, place: Place) -> float | None:
    """Mean accuracy over the validation episodes of each domain, or None where there are none."""
    if not validation:
        return None
    scorer = scorer_of(learner, place)
    learner.eval()
    means = [float(episode_accuracies(scorer, features_ND, episodes).mean()) for features_ND, episodes in validation]
    learner.train()
    return sum(means) / len(means)


def scorer_of(learner: Learner, place: Place) -> Scorer:
    """The learner where it is, for episodes on the CPU."""

    def scorer(support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int) -> Tensor:
        with place.autocast():
            scores_BQW: Tensor = learner(*(given.to(place.device) for given in (support_BSD, label_BS, query_BQD)), n_way)
        return scores_BQW.float().cpu()

    return scorer
