"""What each stage took: seconds and bytes, and which `dvc repro` it ran in. Kept on this machine only."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from pipelines.files import write_json
from pipelines.layout import Layout


def current_run() -> str:
    """Names the `dvc` process that this stage runs under, or this process where there is none."""
    process = psutil.Process()
    for parent in process.parents():
        try:
            if any(Path(word).name == "dvc" for word in parent.cmdline()[:3]):
                return f"{parent.pid}-{parent.create_time():.2f}"
        except psutil.Error:
            continue
    return f"{process.pid}-{process.create_time():.2f}"


@contextmanager
def record_stage(layout: Layout, stage: str, outputs: list[Path]) -> Iterator[None]:
    """Write `.tessera/stages/<stage>.json` once the stage has ended well: seconds of its process, bytes of its outputs."""
    yield
    seconds = time.time() - psutil.Process(os.getpid()).create_time()
    entry = {
        "stage": stage,
        "seconds": round(seconds, 3),
        "bytes": sum(_size(path) for path in outputs),
        "run": current_run(),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(layout.state / "stages" / f"{stage}.json", entry)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
