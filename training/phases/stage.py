"""Stage phases without Prefect: what it finds, and the files that it leaves. It reads nothing of the collection."""

import os
from typing import Any

from pipelines.files import atomic_folder, write_json, write_text
from pipelines.layout import Layout
from pipelines.params import Params
from training.mechanism.stage import rounded
from training.phases.run import Progress, numbers, run_trials
from training.phases.tables import texts
from training.phases.trial import Found


def phases(params: Params, workers: int | None = None, progress: Progress | None = None) -> list[Found]:
    """Train and look at every seed. `workers`: processes, by default one a core.

    Raises ValueError (one line) as `run_trial` does; nothing is written here.
    """
    return run_trials(params.phases, workers or os.cpu_count() or 1, progress)


def write_phases(found: list[Found], params: Params, layout: Layout) -> dict[str, Any]:
    """Write the tables as a folder and the numbers, each atomically; returns the numbers."""
    made: dict[str, Any] = rounded(numbers(found)) | {"settings": params.phases.model_dump(mode="json")}
    with atomic_folder(layout.phases.with_suffix("")) as target:
        for name, text in texts(found).items():
            write_text(target / name, text)
    write_json(layout.phases, made)
    return made
