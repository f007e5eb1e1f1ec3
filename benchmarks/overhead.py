"""What Prefect and DVC cost: the whole chain under `dvc repro` against the same steps as plain function calls.

    python -m benchmarks.overhead            # about twice the time of `make run`

Both run in fresh copies of this project with its params.yaml, one after the other; a plain step is a fresh interpreter
too, as a stage is. Prints the seconds of both by stage and the share of the wall time that watching and deciding take.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.params import load_params

ROOT = Path(__file__).parents[1]
PLAIN = """
import os, sys
for library in ("OPENBLAS", "OMP", "MKL"):
    if sys.argv[1] not in ("train", "measure"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
from benchmarks import plain_stages as plain
plain.run(sys.argv[1], sys.argv[2])
"""


def copy_project(target: Path) -> None:
    """The committed part of the project, with this environment."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name, follow_symlinks=False)
    who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    for words in (["init"], ["add", "--all"], [*who, "commit", "--message", "a copy"]):  # DVC wants a repository with a commit
        subprocess.run(["git", *words], cwd=target, check=True, stdout=subprocess.DEVNULL)
    (target / ".venv").symlink_to(ROOT / ".venv")


def under_dvc(project: Path) -> tuple[float, dict[str, float]]:
    """Wall seconds of `dvc repro` with a server that runs already, and the seconds of each stage's process."""
    python = str(ROOT / ".venv" / "bin" / "python")
    subprocess.run([python, "-m", "pipelines", "ui"], cwd=project, check=True, stdout=sys.stderr)
    begun = time.monotonic()
    subprocess.run([python, "-m", "dvc", "repro"], cwd=project, check=True, stdout=sys.stderr)
    wall = time.monotonic() - begun
    subprocess.run([python, "-m", "pipelines", "stop"], cwd=project, check=True, stdout=sys.stderr)
    records = [read_json(path) for path in (project / ".tessera" / "stages").glob("*.json")]
    return wall, {record["stage"]: float(record["seconds"]) for record in records}


def plainly(project: Path, stages: list[tuple[str, str]]) -> dict[str, float]:
    """Wall seconds of each stage as a plain function call in a fresh interpreter."""
    seconds = {}
    for stage, domain in stages:
        begun = time.monotonic()
        python = str(ROOT / ".venv" / "bin" / "python")
        subprocess.run([python, "-c", PLAIN, stage, domain], cwd=project, check=True, env=os.environ | {"PYTHONPATH": "."})
        seconds[f"{stage}@{domain}" if domain else stage] = time.monotonic() - begun
        print(f"  plain {stage} {domain}", file=sys.stderr, flush=True)
    return seconds


def main() -> int:
    """Run both and print the table."""
    domains = list(load_params(Layout(ROOT).params).domains)
    stages = [("encoder", "")] + [(stage, domain) for stage in ("download", "embed", "curate", "encode") for domain in domains]
    stages += [(stage, "") for stage in ("collect", "train", "measure", "report")]
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "dvc", Path(folder) / "plain"
        copy_project(one)
        copy_project(other)
        wall, staged = under_dvc(one)
        plain = plainly(other, stages)
    print("| stage | under DVC and Prefect, s | plain, s |\n|---|---|---|")
    for group in dict.fromkeys(stage for stage, _ in stages):
        names = [name for name in plain if name.partition("@")[0] == group]
        watched, bare = (sum(seconds[name] for name in names) for seconds in (staged, plain))
        print(f"| {group} ({len(names)}) | {watched:.1f} | {bare:.1f} |")
    together = sum(plain.values())
    print(f"| DVC between the stages | {wall - sum(staged.values()):.1f} | |")
    print(f"| **together** | **{wall:.1f}** | **{together:.1f}** |")
    print(f"\nPrefect and DVC take {wall - together:.1f} s, {(wall - together) / wall:.1%} of the wall time.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
