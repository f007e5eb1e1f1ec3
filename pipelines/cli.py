"""What both command lines share: one line on stderr and exit status 2 for what a user can mend, and the run of a stage."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pipelines import server
from pipelines.layout import Layout
from pipelines.secrets import guard_logs, redact
from pipelines.stages import record_stage


def guarded(command: Callable[[], int]) -> int:
    """Run a command; ValueError and OSError become one line on stderr and status 2, an interrupt status 130."""
    guard_logs()
    try:
        return command()
    except KeyboardInterrupt:
        print("\ninterrupted; the next run goes on from the last finished stage", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `... | head`: who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ValueError as error:
        print(f"error: {redact(_one_line(str(error)))}", file=sys.stderr)
    except OSError as error:
        print(f"error: {redact(_one_line(_plain(error)))}", file=sys.stderr)
    return 2


def run_stage(layout: Layout, stage: str, subject: str, flow: Callable[[], str], outputs: list[Path]) -> int:
    """Run a stage's flow against a running Prefect server, note what it took, and say what it made and where."""
    name = f"{stage}@{subject}" if subject else stage
    server.connect(layout)
    with record_stage(layout, name, outputs):
        made = flow()
    print(f"{name}: {made} -> {', '.join(str(path) for path in outputs)}", flush=True)
    return 0


def _plain(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk is full{_at(error)}; free some space and run `dvc repro` again, nothing half-written was left"
    return f"{error.strerror or error}{_at(error)}"


def _at(error: OSError) -> str:
    return f" at {error.filename}" if error.filename else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
