"""The learner side's stages as Prefect flows, each a run of `python -m training <stage>`. Import after `server.connect`."""

import os
from pathlib import Path
from typing import Any

import polars as pl

from pipelines import watched
from pipelines.files import atomic_folder, read_json
from pipelines.layout import Layout
from pipelines.params import Params
from training.about import about_training, must_read, read_about
from training.calibration import calibrate
from training.checkpoints import remove
from training.collection import load_collection
from training.evaluate import interval
from training.feature_parts import feature_parts
from training.learner import Learner, load_learner, save_learner
from training.measure.design import subsets
from training.measure.run import measure
from training.shares import named_shares
from training.train import train, validation_episodes


def train_flow(params: Params, layout: Layout) -> str:
    """Meta-train the learner on the train domains; write the checkpoint and the log."""

    def body() -> str:
        manifest = read_json(layout.manifest)
        collection = load_collection(layout, manifest)
        domains = [collection[name] for name, entry in manifest["domains"].items() if entry["role"] == "train"]
        settings = params.training
        progress = watched.Progress("train", settings.steps, "steps")
        learner = watched.run_task(
            "train",
            lambda: train(
                domains,
                settings,
                steps=settings.steps,
                seed=settings.seed,
                progress=_Steps(progress),
                log_path=layout.training_log,
                checkpoint_path=layout.checkpoint,
                validation=validation_episodes(domains, settings),
                parts=feature_parts(layout, manifest),
            ),
        )
        progress.close()
        calibrations = calibrate(learner, domains, settings)
        save_learner(learner, layout.model, about_training(manifest, settings, named_shares(domains, settings), calibrations))
        remove(layout.checkpoint)
        log = pl.read_csv(layout.training_log)
        watched.show_table("training", log.to_dicts(), "The training log")
        last = log.row(-1, named=True)
        return f"a learner of {_size(learner)} parameters, {settings.steps} steps, loss {last['loss']:.3f}"

    return watched.run_flow("train", "", body)


def measure_flow(params: Params, layout: Layout) -> str:
    """Held-out accuracy of the learner and its baselines; what each removal and replacement of a train domain does to it."""

    def body() -> str:
        manifest = read_json(layout.manifest)
        must_read(read_about(layout.model), manifest, layout.model)
        collection = load_collection(layout, manifest)
        roles = {name: str(entry["role"]) for name, entry in manifest["domains"].items()}
        design = subsets(params.in_role("train"), params.in_role("spare"))
        progress = watched.Progress("measure", len(design), "trainings")
        results = watched.run_task(
            "measure",
            lambda: measure(
                collection,
                roles,
                params.training,
                params.measurement,
                learner=load_learner(layout.model),
                parts=feature_parts(layout, manifest),
                workers=os.cpu_count() or 1,
                progress=lambda done, total, name: progress.add(1, name),
            ),
        )
        progress.close()
        with atomic_folder(layout.measurement) as target:
            results.write_parquet(target / "results.parquet")
        watched.show_table("accuracy", accuracy_rows(results), "Held-out accuracy with 95 % intervals")
        return f"{len(design)} trainings judged on {len(params.in_role('held_out'))} held-out domains"

    return watched.run_flow("measure", "", body)


def accuracy_rows(results: pl.DataFrame) -> list[dict[str, Any]]:
    """Mean and 95 % interval of the main learner and the baselines, a row a held-out domain, shots and learner."""
    rows = []
    for row in results.filter(pl.col("kind") == "main").iter_rows(named=True):
        mean, low, high = interval(row["accuracies"])
        accuracy = f"{mean:.3f} [{low:.3f}, {high:.3f}]"
        rows.append({"domain": row["domain"], "shots": row["n_shot"], "learner": row["learner"], "accuracy": accuracy})
    return rows


def report_flow(layout: Layout) -> str:
    """Write the report, the metrics and the plots."""
    from training.report import terminal_summary, write_report

    def body() -> str:
        written = watched.run_task("report", lambda: write_report(layout))
        watched.show_report_link(layout)
        watched.show_markdown("result", f"```\n{terminal_summary(layout)}```", "Held-out accuracy and times")
        return f"a page of {written.bytes / 1e6:.1f} MB"

    return watched.run_flow("report", "", body)


def outputs(stage: str, layout: Layout) -> list[Path]:
    """What a stage of the learner side leaves on disk."""
    reports = layout.reports
    return {
        "train": [layout.model, layout.training_log],
        "measure": [layout.measurement],
        "report": [reports / "index.html", reports / "metrics.json", reports / "plots"],
    }[stage]


class _Steps:
    """Feeds the loop's (step, steps, row) to a progress line."""

    def __init__(self, progress: watched.Progress) -> None:
        self._progress, self._done = progress, 0

    def __call__(self, step: int, steps: int, row: Any) -> None:
        self._progress.add(step - self._done, f"loss {row['loss']:.3f}")
        self._done = step


def _size(learner: Learner) -> int:
    return sum(parameter.numel() for parameter in learner.parameters())
