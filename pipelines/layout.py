"""Where everything lies, relative to the project's root. The only place that spells a path."""

from dataclasses import dataclass
from pathlib import Path

EXPERIMENTS = Path(".dvc", "tmp", "exps")  # below it DVC puts copies of the project


@dataclass(frozen=True)
class Layout:
    """Paths of one project. Nothing here touches the disk."""

    root: Path = Path()

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def cards(self) -> Path:
        return self.root / "collections"

    @property
    def manifest(self) -> Path:
        return self.root / "collections" / "manifest.json"

    @property
    def overlap(self) -> Path:
        return self.root / "collections" / "overlap.parquet"

    @property
    def croissant(self) -> Path:
        """The collection for machines: every domain's files and records."""
        return self.root / "collections" / "croissant.json"

    @property
    def seen(self) -> Path:
        """What hands decided as DVC sees it: a copy of the overrides of each card."""
        return self.root / "by_hand" / "seen"

    @property
    def encoder(self) -> Path:
        return self.root / "features" / "encoder.safetensors"

    @property
    def model(self) -> Path:
        return self.root / "models" / "learner.safetensors"

    @property
    def best_model(self) -> Path:
        """The learner where its validation accuracy was highest; `model` is this or the last, as `training.keep` says."""
        return self.root / "models" / "best.safetensors"

    @property
    def checkpoint(self) -> Path:
        """Where a training that is cut off goes on from; no output of a stage, which DVC would delete before it runs."""
        return self.root / "models" / "checkpoints" / "last.safetensors"

    @property
    def training_log(self) -> Path:
        return self.root / "reports" / "training.csv"

    @property
    def validation_log(self) -> Path:
        """Accuracy of each domain on the way of the training."""
        return self.root / "reports" / "validation.csv"

    @property
    def live(self) -> Path:
        """What DVC shows of the training."""
        return self.root / "reports" / "live"

    @property
    def boards(self) -> Path:
        """The training for TensorBoard; no output of a stage, for its files are never the same twice."""
        return self.root / "reports" / "tensorboard"

    @property
    def measurement(self) -> Path:
        return self.root / "models" / "measurement"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def mechanism(self) -> Path:
        """What stage mechanism found, in numbers; its plots lie in a folder of that name beside it."""
        return self.root / "reports" / "mechanism.json"

    @property
    def gpicl(self) -> Path:
        """What stage gpicl found, in numbers; its tables lie in a folder of that name beside it."""
        return self.root / "reports" / "gpicl.json"

    @property
    def phases(self) -> Path:
        """What stage phases found, in numbers; its tables lie in a folder of that name beside it."""
        return self.root / "reports" / "phases.json"

    @property
    def state(self) -> Path:
        """What this machine remembers between runs (server, stage times, partial downloads); never in git or DVC."""
        return self.root / ".tessera"

    @property
    def shared(self) -> Path:
        """The state that copies of a project for experiments (`dvc exp run --temp`, `--queue`) have in common with it.

        Else each would start a Prefect server in a folder that DVC deletes, and do trainings again that are finished.
        """
        here = self.root.absolute()
        for folder in here.parents:
            if folder.parts[-len(EXPERIMENTS.parts) :] == EXPERIMENTS.parts:
                return folder.parents[len(EXPERIMENTS.parts) - 1] / self.state.name
        return self.state

    @property
    def trainings(self) -> Path:
        """Finished trainings of the measurement, under digests of what went into them; no output of a stage."""
        return self.shared / "trainings"

    @property
    def dvc_cache(self) -> Path:
        """DVC's copies of what the stages make, named by their MD5."""
        return self.root / ".dvc" / "cache" / "files" / "md5"

    def card(self, domain: str) -> Path:
        return self.cards / f"{domain}.yaml"

    def lock(self, domain: str) -> Path:
        return self.cards / f"{domain}.lock"

    def downloads(self, domain: str) -> Path:
        return self.shared / "downloads" / domain

    def raw(self, domain: str) -> Path:
        return self.root / "raw" / domain

    def domain(self, domain: str) -> Path:
        return self.cards / domain

    def overrides(self, domain: str) -> Path:
        """What a person decided by hand; committed beside the card, and absent for most domains."""
        return self.cards / f"{domain}.overrides.yaml"

    def embeddings(self, domain: str) -> Path:
        """Features of every raw record that can be read."""
        return self.root / "embeddings" / domain

    def features(self, domain: str) -> Path:
        """Features of the kept images, in the row order of the index."""
        return self.root / "features" / domain

    def encoded(self, domain: str) -> Path:
        """What training reads of the kept images, in the row order of the index."""
        return self.root / "encoded" / domain
