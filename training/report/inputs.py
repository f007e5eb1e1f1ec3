"""All that the report reads, loaded once. Only domains that the manifest lists are looked at: one taken out leaves no trace."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import safe_open

from pipelines.files import read_json
from pipelines.layout import Layout
from training.measure import SCHEMA as RESULTS_SCHEMA
from training.measure.context import CONTEXT_SCHEMA
from training.measure.run import ASKED, SEQUENCE, SIMILARITY
from training.measure.sequence import SCHEMA as SEQUENCE_SCHEMA
from training.measure.similarity import SCHEMA as SIMILARITY_SCHEMA
from training.measure.store import Store
from training.report.stage_times import StageTime, read_stages
from training.report.swap_cost import Training, read_trainings

ROLES = ("train", "held_out", "spare")
TRAINING_COLUMNS = ("step", "loss", "accuracy", "validation_accuracy")
VALIDATION_SCHEMA = {"step": pl.Int64, "domain": pl.String, "role": pl.String, "accuracy": pl.Float64}


@dataclass(frozen=True)
class Domain:
    """One listed domain: its entry in the manifest and what curation left on disk."""

    name: str
    entry: dict[str, Any]
    stats: dict[str, Any]
    provenance: dict[str, Any]
    ledger: pl.DataFrame
    evidence: pl.DataFrame  # duplicates.parquet
    suspects: pl.DataFrame  # key, label, suggested, share, neighbours; kept records whose label is in doubt, the worst first
    planted: pl.DataFrame  # source_id, kind, of, domain; empty where nothing was planted

    @property
    def role(self) -> str:
        """train, held_out or spare."""
        return str(self.entry["role"])

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of curation that the domain was curated with, its card's own among them."""
        return dict(self.provenance["curation"])


@dataclass(frozen=True)
class Inputs:
    """Everything the report is made of; domains stand by role, then by name."""

    layout: Layout
    manifest: dict[str, Any]
    domains: dict[str, Domain]
    overlap: pl.DataFrame
    results: pl.DataFrame
    context: pl.DataFrame  # accuracy by shots, CONTEXT_SCHEMA
    examples: list[dict[str, Any]]  # an episode of each held-out domain (training/measure/example.py)
    training: pl.DataFrame
    validation: pl.DataFrame  # step, domain, role, accuracy
    stages: list[StageTime]
    similarity: pl.DataFrame  # how far domains are apart (training/measure/similarity.py)
    sequence: pl.DataFrame  # accuracy turn by turn of trainings on domains one after another; empty unless asked for
    asked: dict[str, Any]  # of the measurement: margin, random_subsets, seed, seeds, steps, designs
    trainings: list[Training]  # of the measurement, where this machine did them all
    learner: dict[str, str]  # what the model's file says about itself; empty where it says nothing

    def in_role(self, role: str) -> list[str]:
        """Names of the domains with this role, in order."""
        return [name for name, domain in self.domains.items() if domain.role == role]

    def listed(self, role: str) -> list[str]:
        """The same in the order of the collection, in which the measurement has them."""
        return [name for name, entry in self.manifest["domains"].items() if entry["role"] == role]


def read_inputs(layout: Layout) -> Inputs:
    """Read what the report needs. Raises ValueError (one line: file and what to do) if something is missing or malformed."""
    manifest = read_json(_there(layout.manifest))
    by_role = sorted(manifest["domains"].items(), key=lambda item: (ROLES.index(item[1]["role"]), item[0]))
    domains = {name: read_domain(layout, name, entry) for name, entry in by_role}
    return Inputs(
        layout=layout,
        manifest=manifest,
        domains=domains,
        overlap=pl.read_parquet(_there(layout.overlap)),
        results=read_table(layout.measurement / "results.parquet", RESULTS_SCHEMA),
        context=read_table(layout.measurement / "context.parquet", CONTEXT_SCHEMA),
        examples=list(read_json(_there(layout.measurement / "examples.json"))),
        training=read_training(layout.training_log),
        validation=read_validation(layout.validation_log),
        similarity=read_table(layout.measurement / SIMILARITY, SIMILARITY_SCHEMA),
        sequence=read_table(layout.measurement / SEQUENCE, SEQUENCE_SCHEMA),
        asked=dict(read_json(_there(layout.measurement / ASKED))),
        trainings=read_trainings(layout.measurement, Store(layout.trainings)),
        stages=read_stages(layout.state / "stages", list(domains)),
        learner=_about_model(layout.model),
    )


def read_domain(layout: Layout, name: str, entry: dict[str, Any]) -> Domain:
    """Read one domain's ledger, evidence, statistics, doubts and planted truth.

    Raises ValueError (one line) if a file is missing or was made before curation wrote what the report shows.
    """
    folder = layout.domain(name)
    stats = read_json(_there(folder / "stats.json"))
    if "quality" not in stats:
        raise ValueError(f"{folder / 'stats.json'}: expected 'quality', which older curation did not write; run `dvc repro`")
    return Domain(
        name=name,
        entry=entry,
        stats=stats,
        provenance=read_json(_there(folder / "provenance.json")),
        ledger=pl.read_parquet(_there(folder / "ledger.parquet")),
        evidence=pl.read_parquet(_there(folder / "duplicates.parquet")),
        suspects=pl.read_parquet(_there(folder / "suspects.parquet")),
        planted=pl.read_parquet(_there(layout.raw(name) / "planted.parquet")),
    )


def read_table(path: Path, columns: Iterable[str]) -> pl.DataFrame:
    """A table of the measurement. Raises ValueError (one line) if it or one of these columns is missing."""
    table = pl.read_parquet(_there(path))
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(f"{path}: expected the column {missing[0]!r}; delete it and run `dvc repro`")
    return table


def read_training(path: Path) -> pl.DataFrame:
    """The training log as numbers; empty cells are null."""
    frame = pl.read_csv(_there(path), infer_schema=False)
    missing = [name for name in TRAINING_COLUMNS if name not in frame.columns]
    if missing:
        raise ValueError(f"{path}: expected the column {missing[0]!r}; delete it and run `dvc repro`")
    return frame.select(pl.col(TRAINING_COLUMNS).cast(pl.Float64, strict=False))


def read_validation(path: Path) -> pl.DataFrame:
    """Accuracy by step and domain; no rows where nothing was measured."""
    try:
        return pl.read_csv(_there(path), schema=VALIDATION_SCHEMA)
    except pl.exceptions.PolarsError:
        raise ValueError(
            f"{path}: expected the columns {', '.join(VALIDATION_SCHEMA)}; delete it and run `dvc repro`"
        ) from None


def _about_model(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with safe_open(path, "np") as file:
        return dict(file.metadata() or {})


def _there(path: Path) -> Path:
    if not path.exists():
        raise ValueError(f"{path}: missing; run `dvc repro` to make it")
    return path
