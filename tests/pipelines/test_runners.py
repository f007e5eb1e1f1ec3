"""The same domain by threads, processes and a Dask cluster, with workers that die; what is refused, and how."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from distributed import Client
from dying import dies_always, dies_once
from made_domains import write_archive, write_card, write_params

from pipelines.__main__ import main
from pipelines.layout import Layout
from pipelines.params import load_params

TESTS = Path(__file__).parents[1]
ROLES = {"pebbles": "train", "shells": "held_out"}
LOCAL = {"kind": "dask", "cluster": "distributed.LocalCluster", "workers": 2}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, encoder_file: Path) -> Path:
    """A domain of two batches, embedded, and what threads make of it in `by_threads`."""
    root = tmp_path_factory.mktemp("project")
    write_archive(root / "pebbles.zip", classes=6, images=50)
    write_card(root, "pebbles")
    (root / "features").mkdir()
    shutil.copy(encoder_file, root / "features")
    make(root, "threads", "download", "embed", "curate")
    for folder in ("collections", "embeddings", "features"):
        (root / folder / "pebbles").rename(root / f"{folder}_by_threads")
    return root


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[str]:
    """The address of a scheduler with two worker processes that started elsewhere and know nothing of the project."""
    folder = tmp_path_factory.mktemp("cluster")
    file = ["--scheduler-file", "scheduler.json", "--no-dashboard"]
    surroundings = os.environ | {"PYTHONPATH": str(TESTS)}
    surroundings.pop("PREFECT_API_URL")
    asked = {"cwd": folder, "env": surroundings, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", *file], **asked),
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", "--nworkers", "2", "--nthreads", "1", *file], **asked
        ),
    ]
    while not (folder / "scheduler.json").exists():
        assert all(process.poll() is None for process in started)
        time.sleep(0.05)
    with Client(scheduler_file=folder / "scheduler.json") as client:
        client.wait_for_workers(2, timeout=60)
        address = client.scheduler.address
    yield address
    family = [
        member for process in started for member in [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
    ]
    for member in family:
        member.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for member in alive:
        member.kill()


def same(root: Path) -> bool:
    """Whether what was made is what threads made, file by file and byte by byte."""
    for folder in ("collections", "features", "embeddings"):
        made, wanted = (
            {path.name: path.read_bytes() for path in where.iterdir()}
            for where in (root / folder / "pebbles", root / f"{folder}_by_threads")
        )
        assert "SHA256SUMS" in wanted or folder != "collections"
        if made != wanted:
            return False
    return True


def make(root: Path, runner: Any, *stages: str) -> None:
    """Let these stages make their folders anew; what was there before is that of threads."""
    write_params(root, ROLES, runner=runner)
    for folder in ("collections", "features", "embeddings"):
        shutil.rmtree(root / folder / "pebbles", ignore_errors=True)
    if "embed" not in stages:
        shutil.copytree(root / "embeddings_by_threads", root / "embeddings" / "pebbles")
    for stage in stages:
        assert main([stage, "pebbles"], root) == 0


def refused(root: Path, capsys: pytest.CaptureFixture[str], runner: Any) -> str:
    """The one line on stderr of a curation that must end with status 2 and leave nothing."""
    make(root, runner)
    before = {path for path in root.rglob("*") if ".tessera" not in path.parts}
    capsys.readouterr()
    assert main(["curate", "pebbles"], root) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, lines
    assert {path for path in root.rglob("*") if ".tessera" not in path.parts} == before
    return lines[0]


def test_processes_make_the_same(project: Path) -> None:
    surroundings = dict(os.environ)
    make(project, {"kind": "processes", "workers": 2}, "embed", "curate")
    assert same(project)
    assert surroundings == dict(os.environ)


def test_a_running_scheduler_makes_the_same(project: Path, scheduler: str) -> None:
    make(project, {"kind": "dask", "address": scheduler}, "embed", "curate")
    assert same(project)


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_what_a_dead_worker_had_is_done_again(
    project: Path, scheduler: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.curate.examine_slice", partial(dies_once, tmp_path))
    make(project, {"kind": kind, **({"address": scheduler} if kind == "dask" else {"workers": 2})}, "curate")
    assert not psutil.pid_exists(int((tmp_path / "died").read_text()))
    assert same(project)


@pytest.mark.parametrize("runner", [{"kind": "processes", "workers": 2}, LOCAL], ids=lambda runner: str(runner["kind"]))
def test_a_batch_that_kills_each_worker_is_named(
    project: Path, tmp_path: Path, runner: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipelines.curate.examine_slice", partial(dies_always, tmp_path))
    line = refused(project, capsys, runner)
    assert line.startswith("error: domain pebbles: each worker that examine of records 256 to 299 was given to died; ")
    assert len(list(tmp_path.iterdir())) >= 2


def test_who_has_other_versions_or_no_way_to_prefect_is_named(
    project: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipelines.runners.preparation import prepared  # brings Prefect, which reads its settings once

    runner = {"kind": "dask", "address": scheduler}
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.runners.preparation.version", lambda name: "0.1")
        assert "error: runner: the scheduler has pillow " in refused(project, capsys, runner)
    with Client(scheduler) as client, monkeypatch.context() as patched:
        patched.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        with pytest.raises(
            ValueError, match=r"^runner: worker tcp://\S+ cannot reach the Prefect server at http://127.0.0.1:9/api; "
        ):
            prepared(client, Layout(project)).__enter__()
        with pytest.raises(ValueError, match=rf"^runner: the scheduler does not see {project}/moved; "):
            prepared(client, Layout(project / "moved")).__enter__()


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_processes_end_with_their_stage(project: Path, sent: signal.Signals, status: int) -> None:
    make(project, {"kind": "processes", "workers": 2})
    surroundings = os.environ | {"PYTHONPATH": str(TESTS.parent)}
    words = [sys.executable, "-m", "pipelines", "curate", "pebbles"]
    stage = subprocess.Popen(words, cwd=project, env=surroundings, stderr=subprocess.PIPE, text=True, start_new_session=True)
    workers: list[psutil.Process] = []
    while len(workers) < 2:  # they start with the first batch
        assert stage.poll() is None
        workers = [child for child in psutil.Process(stage.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    os.kill(stage.pid, sent) if sent == signal.SIGKILL else os.killpg(stage.pid, sent)
    _, said = stage.communicate()
    assert stage.returncode == status
    if sent == signal.SIGINT:  # a worker that is only starting when its parent is killed says so in its own way
        assert "Traceback" not in said
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_no_scheduler_answers(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("pipelines.runners.cluster.CONNECT_SECONDS", 1)
    line = refused(project, capsys, {"kind": "dask", "address": "tcp://127.0.0.1:9"})
    assert line.startswith("error: runner.address: no Dask scheduler answers at tcp://127.0.0.1:9 (")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "dask_jobqueue.SLURMCluster",
            "dask_jobqueue.SLURMCluster needs the package dask-jobqueue; install it: pip install dask-jobqueue",
        ),
        ("distributed.SlurmCluster", "distributed.SlurmCluster cannot be imported: module 'distributed' has no attribute"),
        ("distributed.Client", "distributed.Client is no Dask cluster class, such as dask_jobqueue.SLURMCluster"),
        ("LocalCluster", "LocalCluster is no name of a class, expected package.Class such as dask_jobqueue.SLURMCluster"),
    ],
)
def test_classes_that_are_none(project: Path, capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    line = refused(project, capsys, {"kind": "dask", "cluster": name, "workers": 1})
    assert line.startswith(f"error: runner.cluster: {said}")


def test_options_that_a_class_does_not_take(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(project, capsys, LOCAL | {"options": {"queue": "short"}})
    assert line.startswith("error: runner.cluster: distributed.LocalCluster did not start: ")


@pytest.mark.parametrize(
    ("runner", "said"),
    [
        ("fork", "runner.kind: input should be 'threads', 'processes' or 'dask', found 'fork'"),
        ({"kind": "threads", "address": "tcp://a:1"}, "runner: address and cluster are for kind dask"),
        ({"kind": "dask", "address": "tcp://a:1", "cluster": "a.B"}, "runner: address and cluster exclude each other"),
        ({"kind": "dask", "address": "tcp://a:1", "workers": 2}, "runner: a scheduler at an address has its own workers"),
        ({"kind": "dask", "cluster": "a.B"}, "runner: workers: how many a.B shall start is missing"),
        ({"kind": "dask", "options": {"cores": 2}}, "runner: options are those of a cluster class"),
        ({"kind": "processes", "workers": 0}, "runner.workers: input should be greater than or equal to 1 (range 1 to 10000)"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, runner: Any, said: str) -> None:
    write_params(tmp_path, ROLES, runner=runner)
    with pytest.raises(ValueError, match=re.escape(said)) as refusal:
        load_params(tmp_path / "params.yaml")
    assert str(refusal.value).startswith(f"{tmp_path / 'params.yaml'}: {said}")


def test_one_word_or_none_at_all(tmp_path: Path) -> None:
    write_params(tmp_path, ROLES, runner="processes")
    assert load_params(tmp_path / "params.yaml").runner.kind == "processes"
    panel = yaml.safe_load((tmp_path / "params.yaml").read_text())
    del panel["runner"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(panel))
    assert load_params(tmp_path / "params.yaml").runner.kind == "threads"
