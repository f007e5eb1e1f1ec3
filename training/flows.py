"""The learner side's stages as Prefect flows, each a run of `python -m training <stage>`. Import after `server.connect`."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipelines import watched
from pipelines.files import atomic_folder, read_json, write_json
from pipelines.layout import Layout
from pipelines.params import Params
from training.about import calibrations_of, must_read, read_about
from training.collection import DomainTensors
from training.evaluate import interval
from training.learner import Learner, load_learner
from training.measure.context import context_curve
from training.measure.example import examples
from training.measure.in_words import worth_text
from training.measure.run import ASKED, SEQUENCE, SIMILARITY, TRAININGS, measure, trainings_of
from training.measure.sequence import SCHEMA as SEQUENCE_SCHEMA
from training.measure.sequence import sequence
from training.measure.similarity import similarity
from training.measure.so_far import SoFar
from training.measure.stage import Planned, asked_of, planned
from training.measure.sweep import Do
from training.measure.told import told
from training.measure.trial import Job, Judged
from training.ranks import ALONE, Ranks
from training.seen import with_features
from training.train_stage import Trained, train_main


def train_flow(params: Params, layout: Layout, ranks: Ranks | None = None) -> str:
    """Meta-train the learner on the train domains; write the learner and the log. For the first of the ranks."""

    def body() -> str:
        settings = params.training
        progress = watched.Progress("train", settings.steps, "steps")
        trained = watched.run_task("train", lambda: train_main(params, layout, ranks or ALONE, _Steps(progress)))
        progress.close()
        log = pl.read_csv(layout.training_log)
        watched.show_table("training", log.to_dicts(), "The training log")
        validation = pl.read_csv(layout.validation_log).to_dicts()
        if validation:
            watched.show_table("validation", validation, "Accuracy of each domain on the way")
        together = f" in {ranks.size} processes" if ranks else ""
        loss = log.row(-1, named=True)["loss"]
        return (
            f"a learner of {_size(trained.last)} parameters, {settings.steps} steps{together}, loss {loss:.3f}{_best(trained)}"
        )

    return watched.run_flow("train", "", body)


def measure_flow(params: Params, layout: Layout) -> str:
    """Held-out accuracy of the learner and its baselines, and of every training that the designs ask for: a task each."""
    workers = params.runner.here

    def body() -> str:
        manifest = read_json(layout.manifest)
        must_read(read_about(layout.model), manifest, layout.model)
        asked = planned(params, layout, manifest)
        for line in told(asked.plan, asked.trial, workers):
            print(f"  {line}", file=sys.stderr)
        learner, shown = load_learner(layout.model), _Trainings(asked)
        results = measure(asked.trial, asked.plan, learner=learner, workers=workers, each=shown)
        in_turn = _in_turn(asked, workers)
        with atomic_folder(layout.measurement) as target:
            in_turn.write_parquet(target / SEQUENCE)
            results.write_parquet(target / "results.parquet")
            trainings_of(asked.plan).write_parquet(target / TRAININGS)
            features = {name: with_features(learner, domain) for name, domain in asked.collection.items()}
            similarity(features, seed=params.measurement.seed).write_parquet(target / SIMILARITY)
            write_json(target / ASKED, asked_of(asked.trial.measurement))
            _looks(params, layout, asked.collection, target)
        watched.show_table("accuracy", accuracy_rows(results), "Held-out accuracy with 95 % intervals")
        watched.show_markdown("domains", worth_text(results, params), "What each domain is worth")
        done = f"{shown.done} new" if shown.done else "none new"
        return f"{len(asked.plan.jobs)} trainings ({done}) judged on {len(asked.trial.held_out)} held-out domains"

    return watched.run_flow("measure", "", body, beside=workers)


def _in_turn(asked: Planned, workers: int) -> pl.DataFrame:
    """Trainings on domains one after another, where design `sequence` is asked for."""
    if not asked.turns:
        return pl.DataFrame(schema=SEQUENCE_SCHEMA)
    progress = watched.Progress("measure in turn", len(asked.turns), "trainings")

    def body() -> pl.DataFrame:
        return sequence(asked.trial, asked.turns, workers=workers, tell=lambda name: progress.add(1, name))

    found = watched.run_task("sequence", body)
    progress.close()
    return found


class _Trainings:
    """The trainings of a sweep as tasks, with a progress line and a table of the results so far."""

    def __init__(self, asked: Planned, every: float = 20.0) -> None:
        trial = asked.trial
        self._so_far = SoFar(list(trial.held_out), max(trial.measurement.n_shots))
        self._every, self._shown, self.done = every, time.monotonic(), 0

    def __call__(self, do: Do, jobs: Sequence[Job]) -> Iterator[tuple[Job, Judged]]:
        progress = watched.Progress("measure", len(jobs), "trainings")
        for job, judged in watched.each_as_task("training", do, jobs):
            self.done += 1
            progress.add(1, f"{job}: {self._so_far.add(job, judged):.3f}")
            if time.monotonic() - self._shown > self._every or self.done == len(jobs):
                self._shown = time.monotonic()
                watched.show_table("trainings", self._so_far.rows(), f"{self.done} of {len(jobs)} trainings")
            yield job, judged
        progress.close()


def _looks(params: Params, layout: Layout, collection: Mapping[str, DomainTensors], target: Path) -> None:
    """Accuracy by shots and an episode of each held-out domain, by the learner of stage train."""
    asked, learner = params.measurement, load_learner(layout.model)
    held_out = {name: collection[name] for name in params.in_role("held_out")}
    form = {"n_way": asked.n_way, "seed": asked.seed}
    context_curve(learner, held_out, n_query=asked.n_query, **form).write_parquet(target / "context.parquet")
    calibrations = calibrations_of(read_about(layout.model), layout.model)
    write_json(target / "examples.json", examples(learner, calibrations, held_out, **form))


def accuracy_rows(results: pl.DataFrame) -> list[dict[str, Any]]:
    """Mean and 95 % interval of the main learner and the baselines, a row a held-out domain, shots and learner."""
    rows = []
    for row in results.filter(pl.col("subset").is_null()).iter_rows(named=True):
        mean, low, high = interval(row["accuracies"])
        accuracy = f"{mean:.3f} [{low:.3f}, {high:.3f}]"
        rows.append({"domain": row["domain"], "shots": row["n_shot"], "learner": row["learner"], "accuracy": accuracy})
    return rows


def mechanism_flow(params: Params, layout: Layout) -> str:
    """Attention trained on regression in context beside gradient descent, and the learner beside classical rules."""
    from training.mechanism.models import models
    from training.mechanism.stage import mechanism, write_mechanism

    def body() -> str:
        asked = params.mechanism
        looks = len(params.in_role("held_out")) * len(params.measurement.n_shots) if asked.learner_episodes else 0
        trainings = len(models(asked)) * asked.seeds
        progress = watched.Progress("mechanism", trainings + looks, "trainings and looks")
        made = watched.run_task("mechanism", lambda: mechanism(params, layout, progress=lambda name: progress.add(1, name)))
        progress.close()
        write_mechanism(made, layout)
        one = made.numbers["one_layer"]
        cosine, difference = one["sensitivity_cosine"], one["prediction_difference"]
        return f"{trainings} trainings; one layer is a gradient step to cosine {cosine:.4f}, predictions {difference:.3f} apart"

    return watched.run_flow("mechanism", "", body)


def gpicl_flow(params: Params, layout: Layout) -> str:
    """Sequence models trained on projected and permuted tasks, beside yardsticks; which phase each has come to."""
    from training.gpicl.run import trials_of
    from training.gpicl.stage import gpicl_main, write_gpicl

    def body() -> str:
        trials = {trial for part in trials_of(params.gpicl).values() for trial in part}
        progress = watched.Progress("gpicl", len(trials), "trainings")
        found = watched.run_task("gpicl", lambda: gpicl_main(params, layout, progress=lambda name: progress.add(1, name)))
        progress.close()
        write_gpicl(found, layout)
        best = max(found["models"], key=lambda result: float(result["unseen_domains"]["end"]["mean"]))
        end = best["unseen_domains"]["end"]["mean"]
        return f"{len(trials)} trainings; {best['model']} on unseen domains {end:.3f}, chance {found['chance']:.3f}"

    return watched.run_flow("gpicl", "", body)


def phases_flow(params: Params, layout: Layout) -> str:
    """Attention trained on contexts of a few tasks: its phases, its circuits, and how well the task can be decoded."""
    from training.phases.phase import PHASES
    from training.phases.stage import phases, write_phases

    def body() -> str:
        progress = watched.Progress("phases", params.phases.seeds, "trainings")
        found = watched.run_task("phases", lambda: phases(params, progress=lambda name: progress.add(1, name)))
        progress.close()
        end = write_phases(found, params, layout)["end"]["accuracy"]["mean"]
        reached = ", ".join(dict.fromkeys(PHASES[run["looks"][-1]["phase"]] for run in found))
        return f"{len(found)} trainings came to: {reached}; accuracy {end:.3f}"

    return watched.run_flow("phases", "", body)


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
        "train": [layout.model, layout.best_model, layout.training_log, layout.validation_log, layout.live],
        "measure": [layout.measurement],
        "mechanism": [layout.mechanism, layout.mechanism.with_suffix("")],
        "gpicl": [layout.gpicl, layout.gpicl.with_suffix("")],
        "phases": [layout.phases, layout.phases.with_suffix("")],
        "report": [reports / name for name in ("index.html", "metrics.json", "summary.json", "plots")],
    }[stage]


class _Steps:
    """Feeds the loop's (step, steps, row) to a progress line."""

    def __init__(self, progress: watched.Progress) -> None:
        self._progress, self._done = progress, 0

    def __call__(self, step: int, steps: int, row: Any) -> None:
        self._progress.add(step - self._done, f"loss {row['loss']:.3f}")
        self._done = step


def _best(trained: Trained) -> str:
    """When the learner was best, where validation said so."""
    if trained.best_accuracy is None:
        return ""
    return f", best in validation after step {trained.best_step} ({100 * trained.best_accuracy:.1f} %)"


def _size(learner: Learner) -> int:
    return sum(parameter.numel() for parameter in learner.parameters())
