"""The run that `benchmarks.killed_curate` kills: `curate`, saying on its output when each step begins.

    python -m benchmarks.killed_curate_run FOLDER OPERATIONS

It kills itself before so many renames and removals of those that put its new folders in place are done; never if -1.
"""

import os
import signal
import sys
import time
from pathlib import Path

from pipelines.layout import Layout

DOMAIN = "pebbles"
STEPS = ("examine", "deduplicate", "write_domain", "publish", "pick_features")
SYNC, PLACING, AFTER = "fsync", "renames", "after"  # the files of the new folders are synced, then they are put in place


def run(root: Path, operations: int) -> int:
    """Curate; the exit status."""
    from pipelines.__main__ import main as command

    os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
    _tell_steps(operations)
    status = command(["curate", DOMAIN], root)
    if status == 0:
        say(AFTER, _Operations.done)
    return status


def say(step: str, when: float | None = None) -> None:
    """One line to the parent."""
    print(f"step {step} {time.monotonic() if when is None else when}", flush=True)


class _Operations:
    """Renames and removals since the first folder took its place."""

    done = 0
    left = -1
    counting = False


def _tell_steps(operations: int) -> None:
    """Put a word before each step, and a kill before the operation that was drawn."""
    import pipelines.curate as steps
    from pipelines import files, flows, server

    server.connect(Layout())  # Prefect reads its settings when first imported
    _Operations.left = operations
    whole = flows.curate

    def curate(*given: object, **named: object) -> object:
        say(STEPS[0])
        made = whole(*given, **named)  # type: ignore[arg-type]
        say(SYNC)
        return made

    flows.curate = curate  # type: ignore[assignment]
    for name in STEPS[1:]:
        setattr(steps, name, _telling(name, getattr(steps, name)))
    place = files._take_place

    def take_place(*paths: Path) -> None:
        say(PLACING)
        _Operations.counting = True
        place(*paths)
        _Operations.counting = False

    files._take_place = take_place
    for owner, name in ((Path, "rename"), (os, "unlink"), (os, "rmdir")):
        setattr(owner, name, _counted(getattr(owner, name)))


def _telling(name: str, function: object) -> object:
    def telling(*given: object, **named: object) -> object:
        say(name)
        return function(*given, **named)  # type: ignore[operator]

    return telling


def _counted(function: object) -> object:
    def counted(*given: object, **named: object) -> object:
        if _Operations.counting:
            if _Operations.done == _Operations.left:
                os.kill(os.getpid(), signal.SIGKILL)
            _Operations.done += 1
        return function(*given, **named)  # type: ignore[operator]

    return counted


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2])))
