"""Steps that kill the process that runs them, for tests of what becomes of the rest."""

import os
import signal
from pathlib import Path

import polars as pl

from pipelines import curate
from pipelines.curation import Curation
from pipelines.raw import RawSlice

examine_slice = curate.examine_slice


def dies_once(folder: Path, settings: Curation, records: RawSlice) -> pl.DataFrame:
    """Examine; the second batch kills its worker the first time, and leaves its number in `folder`."""
    note = folder / "died"
    if records.first and not note.exists():
        note.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return examine_slice(settings, records)


def dies_always(folder: Path, settings: Curation, records: RawSlice) -> pl.DataFrame:
    """Examine; the second batch kills each worker that takes it, and leaves the number of each in `folder`."""
    if records.first:
        (folder / f"died-{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return examine_slice(settings, records)
