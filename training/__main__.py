"""The learner side's command line: `python -m training --help`."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cli import guarded, run_stage
from pipelines.layout import Layout
from pipelines.params import Params, load_params
from training.launch import launched

if TYPE_CHECKING:
    from training.ranks import Ranks

STAGES = {
    "train": "meta-train the learner on the train domains of params.yaml",
    "measure": "held-out accuracy, and the trainings on subsets of the domains that measurement.designs asks for",
    "mechanism": "gradient descent in the forward pass, of attention trained on regression and of the learner",
    "gpicl": "general-purpose in-context learning: memorising tasks, recognising them, learning to learn",
    "phases": "how attention comes to infer a task from its context: phases, circuits, decodability of the task",
    "report": "write reports/index.html, reports/metrics.json, reports/summary.json and reports/plots/",
}
RUN = "dvc repro, then the summary: what `make run` does. In several processes: torchrun --nproc_per_node N -m training run"
COMPARE = "instead of the report: what changed from A to B (workspace, metrics.json, folder, revision or experiment)"
PREDICT = "Label the pictures of one folder by the examples in another, with probabilities, by a trained learner."


def parser() -> argparse.ArgumentParser:
    """Every command with its help."""
    top = argparse.ArgumentParser(prog="python -m training", description="Meta-train on a collection and measure its domains.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in STAGES.items():
        stage = commands.add_parser(name, help=f"stage: {text}", description=text)
        if name == "measure":
            stage.add_argument("--plan", action="store_true", help="only say which trainings there are, and for how long")
        if name == "report":
            stage.add_argument("--compare", nargs=2, metavar=("A", "B"), help=COMPARE)
    commands.add_parser("summary", help="print the held-out accuracies and the time of each stage")
    predict = commands.add_parser("predict", help="label pictures by examples", description=PREDICT)
    predict.add_argument("--support", type=Path, required=True, metavar="DIR", help="examples: a folder for each class")
    predict.add_argument(
        "--query", type=Path, required=True, metavar="DIR", help="pictures to label; in class folders: accuracy"
    )
    predict.add_argument("--checkpoint", type=Path, metavar="FILE", help="a learner (default: models/learner.safetensors)")
    predict.add_argument("--json", action="store_true", help="a line of JSON for each picture; the rest goes to stderr")
    commands.add_parser("run", help="dvc repro, then the summary: what `make run` does", description=RUN)
    return top


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Carry out one parsed command. Of several processes that torchrun started, all but the first only help it to train."""
    with launched() as ranks:
        if ranks is None or ranks.leads:
            return _lead(arguments, layout, ranks)
        if arguments.command == "train" or (arguments.command == "run" and ranks.wait_for_training()):
            from training.train_stage import train_main

            train_main(load_params(layout.params), layout, ranks)
        return 0


def _lead(arguments: argparse.Namespace, layout: Layout, ranks: "Ranks | None") -> int:
    command: str = arguments.command
    if command == "run":
        return _reproduce(layout, ranks)
    if command == "summary":
        return _summary(layout)
    if command == "predict":
        return _predict(arguments, layout)
    if command == "report" and arguments.compare:
        return _compare(arguments, layout)
    params = load_params(layout.params)
    if command == "measure" and arguments.plan:
        return _plan(params, layout)
    from pipelines import server

    server.connect(layout)
    from training import flows

    flow = {
        "train": lambda: flows.train_flow(params, layout, ranks),
        "measure": lambda: flows.measure_flow(params, layout),
        "mechanism": lambda: flows.mechanism_flow(params, layout),
        "gpicl": lambda: flows.gpicl_flow(params, layout),
        "phases": lambda: flows.phases_flow(params, layout),
        "report": lambda: flows.report_flow(layout),
    }[command]
    return run_stage(layout, command, "", flow, flows.outputs(command, layout))


def _reproduce(layout: Layout, ranks: "Ranks | None") -> int:
    from pipelines import server

    load_params(layout.params)  # a mistake in the control panel is told before anything starts
    server.connect(layout)
    dvc = Path(sys.executable).with_name("dvc")
    if subprocess.run([str(dvc), "repro"], cwd=layout.root, check=False).returncode:
        raise ValueError(
            "`dvc repro` stopped at the stage named above; mend what it says and run again, finished stages are kept"
        )
    if ranks:
        ranks.end()
    return _summary(layout)


def _summary(layout: Layout) -> int:
    from pipelines import server
    from training.report.summary import terminal_summary

    print(terminal_summary(layout))
    print(f"Prefect UI: {server.connect(layout)}")
    return 0


def _predict(arguments: argparse.Namespace, layout: Layout) -> int:
    from training.predict import as_json, as_text, predict, summary

    found = predict(layout, arguments.support, arguments.query, arguments.checkpoint)
    for line in as_json(found) if arguments.json else as_text(found):
        print(line)
    for line in summary(found):
        print(line, file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _plan(params: Params, layout: Layout) -> int:
    from training.measure.stage import plan_lines

    print("\n".join(plan_lines(params, layout)))
    return 0


def _compare(arguments: argparse.Namespace, layout: Layout) -> int:
    from training.report import compare

    print("\n".join(compare(layout, *arguments.compare)))
    return 0


def main(words: list[str] | None = None, root: Path | None = None) -> int:
    """Entry point; returns the exit status."""
    arguments = parser().parse_args(words)
    return guarded(lambda: run(arguments, Layout(root or Path())))


if __name__ == "__main__":
    sys.exit(main())
