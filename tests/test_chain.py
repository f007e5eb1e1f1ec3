"""The whole chain under DVC on four small made domains: what runs, what does not, and what a swap leaves behind."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml
from made_domains import make_project, write_archive, write_card, write_params

from pipelines.params import load_params
from training.mechanism.run import run_trials, table
from training.mechanism.stage import rounded

ROOT = Path(__file__).parents[1]
ROLES = {"pebbles": "train", "leaves": "train", "shells": "held_out", "sand": "spare"}


def dvc(project: Path, *words: str) -> str:
    """Run DVC in the project; returns what it printed."""
    command = [str(Path(sys.executable).with_name("dvc")), *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "PYTEST"))}
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stages_run(output: str) -> set[str]:
    """The stages that DVC says it ran."""
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """A copy of the code with four made domains, run once from download to report."""
    root = tmp_path_factory.mktemp("project")
    for name in ("pipelines", "training"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    (root / "by_hand").mkdir()
    shutil.copy(ROOT / "by_hand" / "all", root / "by_hand" / "all", follow_symlinks=False)
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (root / ".venv" / "bin" / "python").chmod(0o755)
    make_project(root, ROLES)
    dvc(root, "init", "--no-scm", "--quiet")
    dvc(root, "repro")
    return root


def test_every_module_that_a_stage_names_is_there() -> None:
    named = set(re.findall(r"- ((?:pipelines|training)/\S+)", (ROOT / "dvc.yaml").read_text()))
    assert len(named) > 30
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_report_and_the_metrics_are_there(project: Path) -> None:
    metrics = json.loads((project / "reports" / "metrics.json").read_text())
    assert set(metrics["held_out"]) == {"shells", "mean"}
    assert set(metrics["held_out"]["shells"]) == {"1_shot", "5_shot"}
    assert set(metrics["removal"]) == {"pebbles", "leaves"}
    assert set(metrics["replacement"]["pebbles"]) == {"sand"}
    assert metrics["curation"]["pebbles"]["kept"] == 84
    assert set(metrics["seconds"]) >= {"encoder", "download@pebbles", "curate@sand", "collect", "train", "measure"}
    page = (project / "reports" / "index.html").read_text()
    assert all(name in page for name in ROLES)
    assert not (project / "models" / "checkpoints").exists()  # a finished training needs none
    assert json.loads((project / "reports" / "live" / "metrics.json").read_text())["step"] == 6
    assert (project / "models" / "best.safetensors").exists()
    results = pl.read_parquet(project / "models" / "measurement" / "results.parquet")
    assert results["accuracies"].list.len().unique().to_list() == [20]


def test_everything_on_disk_agrees(project: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "check"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_changed_runs_nothing(project: Path) -> None:
    assert stages_run(dvc(project, "repro")) == set()


def test_the_learner_labels_pictures_of_folders(project: Path, tmp_path: Path) -> None:
    records = pl.read_parquet(project / "raw" / "shells" / "records-00000.parquet")
    for label in records["label"].unique().sort()[:3]:
        for number, data in enumerate(records.filter(pl.col("label") == label)["data"].head(6)):
            folder = tmp_path / ("known" if number < 3 else "asked") / label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(data)
    command = [
        sys.executable,
        "-m",
        "training",
        "predict",
        "--support",
        str(tmp_path / "known"),
        "--query",
        str(tmp_path / "asked"),
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *labelled, accuracy, calibrated = done.stdout.splitlines()
    assert len(labelled) == 9
    right = sum(line.split("/")[0] == line.split()[1] for line in labelled)  # discs on noise: six steps do not tell them apart
    assert accuracy == f"accuracy {right / 9:.3f}: {right} of 9 pictures"
    assert calibrated.startswith("calibrated on 60 validation episodes of the train domains (5-way 1-shot; here 3-way 3-shot)")


DAMAGED = (
    "raw/sand/records-00000.parquet",
    "raw/leaves/source.json",
    "embeddings/pebbles/features.safetensors",
    "embeddings/leaves/keys.parquet",
    "collections/shells/train-000000.tar",
    "collections/shells/index.parquet",
    "collections/shells/ledger.parquet",
    "collections/leaves/duplicates.parquet",
    "collections/leaves/fingerprints.parquet",
    "features/pebbles/features.safetensors",
    "encoded/leaves/features.safetensors",
    "features/encoder.safetensors",
    "collections/overlap.parquet",
)


def flip(path: Path, good: bytes) -> None:
    """Turn a bit as a disk does: neither size nor time of change tells."""
    before, mode = path.stat(), path.stat().st_mode
    path.chmod(0o644)
    place = len(good) // 2
    with path.open("r+b") as handle:
        handle.seek(place)
        handle.write(bytes([good[place] ^ 1]))
    path.chmod(mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_flipped_bits_are_named_and_mended(project: Path) -> None:
    good = {name: (project / name).read_bytes() for name in DAMAGED}
    for name, content in good.items():
        flip(project / name, content)
    digest = hashlib.md5(good[DAMAGED[2]], usedforsecurity=False).hexdigest()
    flip(project / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:], good[DAMAGED[2]])
    assert stages_run(dvc(project, "repro")) == set(), "this DVC sees flipped bits by itself: then check need not tell it"
    command = [sys.executable, "-m", "pipelines", "check"]
    told = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert told.returncode == 1, told.stdout + told.stderr
    lines = told.stdout.splitlines()
    assert [name for name in DAMAGED if not any(f": {name}: " in line for line in lines)] == []
    assert "say `dvc repro`" in lines[-1]
    dvc(project, "repro")
    assert [name for name in DAMAGED if (project / name).read_bytes() != good[name]] == []
    again = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert stages_run(dvc(project, "repro")) == set()


def test_a_role_change_curates_nothing(project: Path) -> None:
    write_params(project, ROLES | {"sand": "train"})
    assert stages_run(dvc(project, "repro")) == {"collect", "train", "measure", "report"}
    write_params(project, ROLES)
    dvc(project, "repro")


def test_a_changed_source_is_taken_when_told(project: Path) -> None:
    write_archive(project / "sand.zip", images=12, offset=300)
    assert stages_run(dvc(project, "repro")) == set(), "nothing is asked of a source that was fetched"
    before = (project / "raw" / "sand" / "source.json").read_bytes()
    refused = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "-fs", "download@sand"], cwd=project, capture_output=True, text=True
    )
    assert refused.returncode != 0
    assert "the source" in refused.stderr
    assert (project / "raw" / "sand" / "source.json").read_bytes() == before
    taken = subprocess.run([sys.executable, "-m", "pipelines", "update", "sand"], cwd=project, capture_output=True, text=True)
    assert taken.returncode == 0, taken.stderr
    assert stages_run(dvc(project, "repro")) == {
        "curate@sand",
        "embed@sand",
        "encode@sand",
        "collect",
        "train",
        "measure",
        "report",
    }
    assert pl.read_parquet(project / "collections" / "sand" / "ledger.parquet").height == 72
    assert stages_run(dvc(project, "repro")) == set()


def test_a_decision_by_hand_curates_one_domain(project: Path) -> None:
    ledger = pl.read_parquet(project / "collections" / "shells" / "ledger.parquet")
    key, label = ledger.filter(pl.col("verdict") == "kept").sort("key").select("key", "label").row(0)
    overrides = project / "collections" / "shells.overrides.yaml"
    what_follows = {"encode@shells", "collect", "train", "measure", "report"}

    def verdict() -> str:
        done = pl.read_parquet(project / "collections" / "shells" / "ledger.parquet")
        return str(done.row(by_predicate=pl.col("key") == key, named=True)["verdict"])

    def embeddings() -> int:
        return (project / "embeddings" / "shells").stat().st_mtime_ns

    before = embeddings()
    overrides.write_text(f"drop:\n  {key}: {{reason: a hand covers it}}\n")
    assert stages_run(dvc(project, "repro")) == {"by_hand", "curate@shells"} | what_follows
    assert verdict() == "dropped_by_hand"
    assert stages_run(dvc(project, "repro")) == set()
    other = "class1" if label == "class0" else "class0"
    overrides.write_text(f"relabel:\n  {key}: {{label: {other}, reason: is one}}\n")
    assert stages_run(dvc(project, "repro")) == {"by_hand", "curate@shells"} | what_follows
    assert verdict() == "kept"
    overrides.unlink()
    assert stages_run(dvc(project, "repro")) == set(), "what there was before any decision comes from DVC's cache"
    assert pl.read_parquet(project / "collections" / "shells" / "ledger.parquet").equals(ledger)
    assert embeddings() == before


def test_a_damaged_shard_is_made_again(project: Path) -> None:
    shard = project / "collections" / "sand" / "train-000000.tar"
    good = shard.read_bytes()
    shard.chmod(0o644)
    shard.write_bytes(good[:900] + b"\xff" + good[901:])
    assert stages_run(dvc(project, "repro")) == set() or shard.read_bytes() == good
    assert shard.read_bytes() == good


def test_a_held_out_domain_with_too_few_classes_is_one_line(project: Path) -> None:
    write_params(project, ROLES, measurement={"n_way": 7, "episodes": 20, "steps": 4, "n_shots": [1], "n_query": 3})
    before = (project / "models" / "measurement" / "results.parquet").read_bytes()
    command = [sys.executable, "-m", "training", "measure"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    write_params(project, ROLES)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr
    assert "shells" in lines[0]
    assert "7" in lines[0]
    assert (project / "models" / "measurement" / "results.parquet").read_bytes() == before


def test_mechanism_runs_where_it_is_asked_for_alone(project: Path) -> None:
    asked = "training/dvc.yaml:mechanism"
    assert not (project / "reports" / "mechanism.json").exists()
    assert stages_run(dvc(project, "repro", asked)) == {asked}
    found = json.loads((project / "reports" / "mechanism.json").read_text())
    settings = load_params(project / "params.yaml").mechanism
    alone = rounded(table(settings, run_trials(settings, workers=1)))
    assert {name: found[name] for name in alone} == alone  # the number of processes changes no figure
    assert set(found["learner"]) == {"shells", "mean"}


def test_a_swap_costs_one_domain_and_leaves_no_trace(project: Path) -> None:
    write_archive(project / "bark.zip", offset=77)
    write_card(project, "bark")
    swapped = {("bark" if name == "leaves" else name): role for name, role in ROLES.items()}
    write_params(project, swapped)
    again = {"by_hand", "download@bark", "curate@bark", "embed@bark", "encode@bark", "collect"}
    again |= {"train", "measure", "report"}
    assert stages_run(dvc(project, "repro")) == again
    manifest = json.loads((project / "collections" / "manifest.json").read_text())
    assert set(manifest["domains"]) == set(swapped)
    for path in (
        project / "collections" / "manifest.json",
        project / "reports" / "index.html",
        project / "reports" / "metrics.json",
    ):
        assert "leaves" not in path.read_text().replace("leaves no", ""), f"{path.name} still speaks of the domain taken out"
    results = pl.read_parquet(project / "models" / "measurement" / "results.parquet")
    assert "leaves" not in set(results["subset"].explode())
    subprocess.run([sys.executable, "-m", "pipelines", "prune"], cwd=project, check=True, capture_output=True)
    its_own = (".zip", ".yaml", ".lock")  # what the user wrote or commits
    assert not [path for path in project.rglob("*leaves*") if path.suffix not in its_own and ".dvc" not in path.parts]
    assert stages_run(dvc(project, "repro")) <= {"collect"}
    locked = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    assert "curate@leaves" not in locked
