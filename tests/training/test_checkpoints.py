"""A training that is cut off goes on to the weights and the log of one that is not."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from test_train import SETTINGS, domain, weights
from torch import Tensor

from pipelines.training_settings import Training
from training.best import Best
from training.checkpoints import remove
from training.learner import Learner
from training.train import train
from training.validation import validation_episodes

ROOT = Path(__file__).parents[2]
MIXED = SETTINGS.model_copy(update={"synthetic_share": 0.3, "checkpoint_every": 5})
STEPS = 90  # a row of the log every 2 steps, so that a checkpoint falls between two
DOMAINS = [domain("a", 0), domain("b", 1)]


class Cut(Exception):
    """What ends a training in the middle."""


def trained(
    folder: Path,
    cut: int | None = None,
    settings: Training = MIXED,
    steps: int = STEPS,
    seed: int = 3,
    best: Best | None = None,
) -> Learner:
    """Train with the log and checkpoint of `folder`, up to the row of step `cut`."""

    def progress(step: int, steps: int, row: object) -> None:
        if step == cut:
            raise Cut

    return train(
        DOMAINS,
        settings,
        steps=steps,
        seed=seed,
        progress=progress,
        log_path=folder / "log.csv",
        checkpoint_path=folder / "checkpoints" / "last.safetensors",
        validation=validation_episodes(DOMAINS, settings),
        best=best,
    )


def cut_at(folder: Path, cut: int, settings: Training = MIXED) -> Path:
    """The checkpoint of a training that was cut off."""
    with pytest.raises(Cut):
        trained(folder, cut, settings)
    return folder / "checkpoints" / "last.safetensors"


def logged(folder: Path) -> list[pl.DataFrame]:
    return [pl.read_csv(folder / name).drop("seconds", strict=False) for name in ("log.csv", "validation.csv")]


@dataclass(frozen=True)
class Whole:
    """A training without checkpoints that nothing disturbed: weights, the best ones, logs."""

    weights: Tensor
    best: Best
    logs: list[pl.DataFrame]

    def is_that_of(self, learner: Learner, folder: Path) -> bool:
        logs = all(ours.equals(theirs) for ours, theirs in zip(self.logs, logged(folder), strict=True))
        return logs and torch.equal(weights(learner), self.weights)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    log, best = tmp_path_factory.mktemp("whole") / "log.csv", Best()
    validation = validation_episodes(DOMAINS, MIXED)
    learner = train(DOMAINS, MIXED, steps=STEPS, seed=3, log_path=log, validation=validation, best=best)
    return Whole(weights(learner), best, logged(log.parent))


@pytest.mark.parametrize("cut", [2, 6, 46, 48, 90])
def test_a_training_cut_off_goes_on_to_the_same_weights(
    cut: int, whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = cut_at(tmp_path, cut)
    saved = (cut - 1) // 5 * 5  # a row is told before the checkpoint of its step is written
    assert last.exists() == (saved > 0)
    best = Best()
    learner = trained(tmp_path, best=best)
    said = f"  train: goes on after step {saved}, from {last}\n" if saved else ""
    assert capsys.readouterr().err == said
    assert whole.is_that_of(learner, tmp_path)
    assert (best.step, best.accuracy) == (whole.best.step, whole.best.accuracy)
    assert all(torch.equal(tensor, best.weights[name]) for name, tensor in whole.best.weights.items())


def test_a_training_cut_off_often(whole: Whole, tmp_path: Path) -> None:
    for cut in (12, 14, 72):
        cut_at(tmp_path, cut)
    assert whole.is_that_of(trained(tmp_path), tmp_path)
    assert pl.read_csv(tmp_path / "log.csv")["seconds"].is_sorted()


def test_a_training_killed_by_the_system(whole: Whole, tmp_path: Path) -> None:
    script = (
        "import sys, test_checkpoints as t; from pathlib import Path; t.Cut = SystemExit\n"
        "t.train = lambda *a, progress, run=t.train, **k: run(*a, progress=lambda s, *r: print(s, flush=True), **k)\n"
        "t.trained(Path(sys.argv[1]))"
    )
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "tests", ROOT / "tests" / "training"))
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": paths}
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "32\n":
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "checkpoints" / "last.safetensors").exists()
    assert not (tmp_path / "log.csv").exists()
    assert whole.is_that_of(trained(tmp_path), tmp_path)


def test_a_checkpoint_of_another_training_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = cut_at(tmp_path, 12)
    other = MIXED.model_copy(update={"learning_rate": 2e-3, "batch": 8})
    found = trained(tmp_path, settings=other, steps=6)
    differ = "training.steps, training.batch, training.learning_rate differ"
    assert capsys.readouterr().err == f"  train: {last} is passed over, a checkpoint of another training ({differ})\n"
    assert torch.equal(weights(found), weights(trained(tmp_path / "fresh", settings=other, steps=6)))


@pytest.mark.parametrize("changed", ["seed", "data", "order"])
def test_other_data_or_another_seed_is_another_training(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cut_at(tmp_path, 12)
    if changed != "seed":
        given = [DOMAINS[0], domain("b", 2)] if changed == "data" else DOMAINS[::-1]
        monkeypatch.setattr(sys.modules[__name__], "DOMAINS", given)
    with pytest.raises(Cut):
        trained(tmp_path, 2, seed=4 if changed == "seed" else 3)
    what = "training.seed" if changed == "seed" else "the domains' features"
    assert f"another training ({what} differ)" in capsys.readouterr().err


def test_how_often_checkpoints_are_written_and_what_is_kept_is_no_other_training(
    whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut_at(tmp_path, 12)
    other = MIXED.model_copy(update={"checkpoint_every": 50, "keep": "best"})
    assert torch.equal(weights(trained(tmp_path, settings=other)), whole.weights)
    assert "goes on after step 10" in capsys.readouterr().err


@pytest.mark.parametrize(
    "harm", ["cut", "empty", "text", "folder", "foreign", "a weight less", "a best weight less", "another moment", "no rows"]
)
def test_a_broken_checkpoint_is_told_in_a_line(harm: str, tmp_path: Path) -> None:
    last = cut_at(tmp_path, 26)  # after a validation
    tensors = load_file(last)
    with safe_open(last, framework="pt") as file:
        metadata = file.metadata()
    if harm == "cut":
        last.write_bytes(last.read_bytes()[:-1])
    elif harm in ("empty", "text"):
        last.write_text("" if harm == "empty" else "no checkpoint, and longer than a header's length")
    elif harm == "folder":
        last.unlink()
        last.mkdir()
    elif harm == "foreign":
        save_file(tensors, last)
    elif harm == "a weight less":
        save_file({name: t for name, t in tensors.items() if name != "weights.norm.bias"}, last, metadata)
    elif harm == "a best weight less":
        save_file({name: t for name, t in tensors.items() if name != "best.norm.bias"}, last, metadata)
    elif harm == "another moment":
        save_file(tensors | {"exp_avg.norm.bias": torch.zeros(3)}, last, metadata)
    else:
        save_file(tensors, last, {"checkpoint": metadata["checkpoint"].replace('"rows"', '"lines"')})
    with pytest.raises(ValueError, match=r"^[^\n]+last.safetensors: expected a checkpoint .+; delete it and run again$"):
        trained(tmp_path)
    assert not (tmp_path / "log.csv").exists()


def test_no_checkpoint_is_left_of_a_finished_training(tmp_path: Path) -> None:
    last = cut_at(tmp_path, 12)
    (last.parent / ".last.safetensors.999999999.part").touch()  # of a process that was killed while it wrote
    remove(last)
    assert not last.parent.exists()
    remove(last)


def test_a_broken_loss_leaves_no_checkpoint(tmp_path: Path) -> None:
    wild = MIXED.model_copy(update={"learning_rate": 1.0e30, "warmup": 0, "readout": "linear", "checkpoint_every": 1})
    with pytest.raises(ValueError, match=r"loss is not a finite number at step \d+"):
        trained(tmp_path, settings=wild, steps=500)
