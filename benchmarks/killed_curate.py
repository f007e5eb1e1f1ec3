"""What a kill costs curation: killed in each of its steps and between the renames at its end, then run again.

    python -m benchmarks.killed_curate [--images N] [--kills N] [--seed N] [--runner threads|processes] [--folder DIR]

The stage runs as a user runs it, in a process of its own under Prefect. Its process alone is killed (SIGKILL; what it started
must end by itself), at moments drawn at random within each step, and before a rename or removal drawn among those that put the
two new folders in place. Every other time there are curated folders of other settings to be replaced. Then it runs to its end:
the project's files must be those of an undisturbed run, by name and byte for byte, and nothing may be left beside them or in
the folder for temporary files. Prints a row a step.
"""

import argparse
import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import yaml
from PIL import Image

from benchmarks.killed_curate_run import AFTER, DOMAIN, PLACING, STEPS, SYNC
from pipelines import server
from pipelines.layout import Layout

ROOT = Path(__file__).parents[1]
PORTS = range(4220, 4240)
SECONDS_TO_END = 20.0  # for what a killed process had started


@dataclass
class Kill:
    """One kill, and the run after it."""

    drawn: str  # the step in which it was to fall
    step: str  # the one in which it fell
    former: bool  # whether there were folders to be replaced
    left: list[str]  # files and folders there were beside those of a whole run when it died
    orphans: int  # processes that outlived it
    stray: list[str] = field(default_factory=list)  # after the next run
    identical: bool = True


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runner", default="threads", choices=("threads", "processes"))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, a_server(Path(folder)):
        project = Project(Path(folder), options.images, options.runner)
        kills = []
        for kill in project.killed(options.kills, options.seed):
            kills.append(kill)
            print(f"  {len(kills)}/{options.kills} killed in {kill.step}", file=sys.stderr, flush=True)
    print("| killed in | kills | left behind, most | orphans | stray after the next run | byte-identical after it |")
    print("|---|--:|--:|--:|--:|--:|")
    for step in (*STEPS, SYNC, PLACING, AFTER):
        of = [kill for kill in kills if kill.step == step]
        if of:
            most, orphans, stray = (max(len(k.left) for k in of), sum(k.orphans for k in of), sum(len(k.stray) for k in of))
            print(f"| {step} | {len(of)} | {most} | {orphans} | {stray} | {sum(k.identical for k in of)} of {len(of)} |")
    for kill in kills:
        if kill.stray or kill.orphans or not kill.identical:
            print("NOT AS IT SHOULD BE:", kill)
    print(f"\n{options.images} pictures, {options.runner}; an undisturbed run curates for {project.seconds:.1f} s")


@contextmanager
def a_server(folder: Path) -> Iterator[None]:
    """A Prefect server that outlives the runs."""
    layout = Layout(folder / "server")
    server.quiet(layout)
    os.environ["PREFECT_API_URL"] = server.start(layout, PORTS)
    try:
        yield
    finally:
        server.stop(layout)


class Project:
    """A project of one domain, downloaded and embedded, and what an undisturbed run makes of it."""

    def __init__(self, folder: Path, images: int, runner: str, encoder: Path | None = None) -> None:
        self.root, self.temporary = folder / "project", folder / "temporary"
        self._aside = folder / "former"
        for path in (self.root / "collections", self.temporary, self._aside):
            path.mkdir(parents=True)
        (self.root / "pebbles.zip").write_bytes(archive(images))
        card = {"id": DOMAIN, "title": "Pebbles", "domain": "stones", "description": "Discs.", "licence": "CC0-1.0"}
        card["source"] = {"kind": "archive", "locator": "pebbles.zip"}  # type: ignore[assignment]
        (self.root / "collections" / f"{DOMAIN}.yaml").write_text(yaml.safe_dump(card))
        self._runner = runner
        self._params(seed=0)
        if encoder is None:
            self._stage("encoder")
        else:
            Layout(self.root).encoder.parent.mkdir()
            shutil.copy(encoder, Layout(self.root).encoder)
        for stage in ("download", "embed"):
            self._stage(stage, DOMAIN)
        begun = self.begin()
        self._steps = dict(self._follow(begun))
        assert begun.wait() == 0, "the undisturbed run failed"
        self.seconds = self._steps[SYNC] - self._steps[STEPS[0]]
        self.operations = int(self._steps[AFTER])
        self._shorter = dict.fromkeys((*STEPS, PLACING), 1.0)  # the machine may be less busy later
        self.whole, self._before = self.files(), self._names()

    def killed(self, kills: int, seed: int, *, run_again: bool = True) -> Iterator[Kill]:
        """Kill so many runs; each is followed by one that ends where `run_again`."""
        chance = random.Random(seed)
        if run_again:
            self._curate_otherwise()
        for number in range(kills):
            drawn = (*STEPS, PLACING)[number % (len(STEPS) + 1)]
            self._former(there=number % 2 == 1 and run_again)
            kill = self._kill(drawn, chance)
            while kill is None:  # it was done before
                kill = self._kill(drawn, chance)
            if run_again:
                self.end(kill)
            yield kill

    def end(self, kill: Kill) -> None:
        """Run undisturbed and note what is not as it should be."""
        assert self.begin().wait() == 0, "the run after a kill failed"
        now = self.files()
        kill.stray = sorted((now.keys() - self.whole.keys()) | (self._names() - self._before))
        kill.identical = {name: now.get(name) for name in self.whole} == self.whole

    def begin(self, operations: int = -1) -> subprocess.Popen[str]:
        """A run of the stage that names its steps, killed before so many renames and removals have been done."""
        command = [sys.executable, "-m", "benchmarks.killed_curate_run", str(self.root), str(operations)]
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def files(self) -> dict[str, str]:
        """Every file and folder of the project with the SHA-256 of what has no time in it."""
        return {str(path.relative_to(self.root)): _sum(path) for path in self.root.rglob("*")}

    def _stage(self, *words: str) -> None:
        command = [sys.executable, "-m", "pipelines", *words]
        subprocess.run(command, cwd=self.root, env=self._environment(), check=True, stdout=sys.stderr)

    def _kill(self, drawn: str, chance: random.Random) -> Kill | None:
        former = any(path.exists() for path in self._made())
        operations = chance.randrange(self.operations) if drawn == PLACING else -1
        after = chance.random() * self._length(drawn) * self._shorter[drawn]
        run = self.begin(operations)
        step, family = "start", [psutil.Process(run.pid)]
        for step, _ in self._follow(run):
            if step == drawn:
                break
        if operations < 0:
            time.sleep(after)
        with suppress(psutil.NoSuchProcess):
            family += family[0].children(recursive=True)
        if operations < 0:
            run.send_signal(signal.SIGKILL)
        step = ([step] + [later for later, _ in self._follow(run)])[-1]
        if step != drawn:
            self._shorter[drawn] *= 0.7
        if run.wait() != -signal.SIGKILL:
            return None
        _, alive = psutil.wait_procs(family[1:], timeout=SECONDS_TO_END)
        for orphan in alive:
            orphan.kill()
        left = sorted((self.files().keys() - self.whole.keys()) | (self._names() - self._before))
        step = drawn if step == "start" else step
        return Kill(drawn, step, former, left, len(alive))

    def _length(self, step: str) -> float:
        times = [self._steps[name] for name in (*STEPS, SYNC)]
        return times[STEPS.index(step) + 1] - times[STEPS.index(step)] if step in STEPS else 0.0

    def _follow(self, run: subprocess.Popen[str]) -> Iterator[tuple[str, float]]:
        """Steps as the run says that it begins them, each with the time that it says."""
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith("step "):
                _, step, when = line.split(" ", 2)
                yield step, float(when)

    def _curate_otherwise(self) -> None:
        """Set curated folders of another seed aside."""
        self._params(seed=1)
        self._stage("curate", DOMAIN)
        for path in self._made():
            shutil.move(path, self._aside / path.parent.name)
        self._params(seed=0)

    def _former(self, *, there: bool) -> None:
        for path in self._made():
            shutil.rmtree(path, ignore_errors=True)
            if there:
                shutil.copytree(self._aside / path.parent.name, path)

    def _made(self) -> list[Path]:
        layout = Layout(self.root)
        return [layout.domain(DOMAIN), layout.features(DOMAIN)]

    def _names(self) -> set[str]:
        """What lies in the folder for temporary files."""
        return {str(path) for path in self.temporary.rglob("*")}

    def _environment(self) -> dict[str, str]:
        return os.environ | {"TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT)}

    def _params(self, seed: int) -> None:
        values = {
            "domains": {DOMAIN: "train", "shells": "held_out"},
            "sources_folder": ".",
            "allow_licences": "all",
            "runner": {"kind": self._runner},
            "curation": {"seed": seed, "min_per_class": 5},
            "training": {},
            "measurement": {},
        }
        (self.root / "params.yaml").write_text(yaml.safe_dump(values))


def archive(images: int) -> bytes:
    """A zip of JPEG pictures of 96 px in ten classes, every tenth a copy of the one before, the same each time."""
    rng = np.random.default_rng(7)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for number in range(images):
            if number % 10 != 9:
                small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
                picture = io.BytesIO()
                small.resize((96, 96), Image.Resampling.BICUBIC).save(picture, "JPEG", quality=90 - number % 7)
            name = f"class-{number // 10 % 10}/{number:06d}.jpg"
            file.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), picture.getvalue())
    return target.getvalue()


def _sum(path: Path) -> str:
    if path.is_dir() or "stages" in path.parts:
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
