"""Stage train without Prefect: what each process of a training does. The first one alone writes."""

from collections.abc import Mapping
from typing import Any

from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.params import Params
from training.about import about_training
from training.calibration import calibrate
from training.checkpoints import remove
from training.collection import DomainTensors, load_collection
from training.feature_parts import feature_parts
from training.learner import Learner, save_learner
from training.ranks import Ranks
from training.shares import named_shares
from training.train import Progress, train, validation_episodes


def train_domains(manifest: Mapping[str, Any], layout: Layout) -> list[DomainTensors]:
    """The train domains of the collection, in the order of the manifest."""
    collection = load_collection(layout, manifest)
    return [collection[name] for name, entry in manifest["domains"].items() if entry["role"] == "train"]


def train_main(params: Params, layout: Layout, ranks: Ranks, progress: Progress | None = None) -> Learner:
    """Train on the train domains; the first of the ranks writes the log and the learner. Raises ValueError as `train` does."""
    manifest, settings = read_json(layout.manifest), params.training
    domains = train_domains(manifest, layout)
    learner = train(
        domains,
        settings,
        steps=settings.steps,
        seed=settings.seed,
        progress=progress,
        log_path=layout.training_log,
        checkpoint_path=layout.checkpoint,
        validation=validation_episodes(domains, settings),
        parts=feature_parts(layout, manifest),
        ranks=ranks,
    )
    if ranks.leads:
        calibrations = calibrate(learner, domains, settings)
        save_learner(learner, layout.model, about_training(manifest, settings, named_shares(domains, settings), calibrations))
        remove(layout.checkpoint)
    return learner
