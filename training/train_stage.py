"""Stage train without Prefect: what each process of a training does. The first one alone writes."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.params import Params
from pipelines.training_settings import Training
from training.about import about_training
from training.best import Best
from training.boards import tensorboard
from training.calibration import calibrate
from training.checkpoints import remove
from training.collection import DomainTensors, load_collection
from training.feature_parts import feature_parts
from training.learner import Learner, save_learner
from training.live import dvc_live
from training.ranks import ALONE, Ranks
from training.shares import named_shares
from training.train import Progress, train
from training.validation import DomainEpisodes, passed_over, validation_episodes


@dataclass(frozen=True)
class Trained:
    """What came of a training: the learner after its last step, and when it was best by validation accuracy."""

    last: Learner
    best_step: int
    best_accuracy: float | None  # None where nothing was measured: the last is the best


def train_main(params: Params, layout: Layout, ranks: Ranks = ALONE, progress: Progress | None = None) -> Trained:
    """Train on the train domains; the first of the ranks writes logs and learners. Raises ValueError as `train` does."""
    manifest, settings = read_json(layout.manifest), params.training
    collection = load_collection(layout, manifest)
    domains, spare = (
        [collection[name] for name, entry in manifest["domains"].items() if entry["role"] == role]
        for role in ("train", "spare")
    )
    validation, best = episodes_of(domains, spare, settings, tell=ranks.leads), Best()
    with ExitStack() as stack:
        there = [tensorboard] * settings.tensorboard + [dvc_live] if ranks.leads else []
        shows = [stack.enter_context(show(layout)) for show in there]
        last = train(
            domains,
            settings,
            steps=settings.steps,
            seed=settings.seed,
            progress=progress,
            log_path=layout.training_log,
            checkpoint_path=layout.checkpoint,
            validation=validation,
            parts=feature_parts(layout, manifest),
            ranks=ranks,
            best=best,
            shows=shows,
        )
    steps = {"last": settings.steps, "best": best.step or settings.steps}
    if ranks.leads:
        learners = {"last": last, "best": best.learner(last)}
        shares = named_shares(domains, settings)
        for which, path in ((settings.keep, layout.model), ("best", layout.best_model)):
            about = about_training(manifest, settings, shares, calibrate(learners[which], domains, settings))
            save_learner(learners[which], path, about | {"step": steps[which]})
        remove(layout.checkpoint)
    return Trained(last, steps["best"], best.accuracy)


def episodes_of(
    domains: Sequence[DomainTensors], spare: Sequence[DomainTensors], settings: Training, *, tell: bool
) -> list[DomainEpisodes]:
    """Validation episodes; domains that are passed over are named on stderr if this process shall `tell`.

    Raises ValueError (one line) if the best learner shall be kept and nothing says which one that is.
    """
    found = validation_episodes(domains, settings, spare)
    names = passed_over([*domains, *spare], found)
    if names and tell:
        form = f"{settings.n_way}-way {settings.max_shot}-shot"
        print(f"  train: too few validation images for {form} episodes, passed over: {', '.join(names)}", file=sys.stderr)
    if settings.keep == "best" and all(each.role != "train" for each in found):
        raise ValueError("training.keep: best needs a train domain with enough validation images, and there is none; say last")
    return found
