"""What is asked of every worker of a cluster before it gets a batch, also of one that comes later."""

import os
from importlib.metadata import version
from pathlib import Path
from platform import python_version_tuple
from typing import Any

from distributed import Client, WorkerPlugin

from pipelines.layout import Layout
from pipelines.secrets import clean

ALIKE = ("pillow", "numpy", "polars", "pyarrow", "prefect")  # what decides about bytes, and what must be understood


def prepare(client: Client, layout: Layout) -> None:
    """Let each worker import the project's code, and see that it can work on it.

    Raises ValueError (one line) naming a worker that sees no such folder, has other versions or cannot reach Prefect's server.
    """
    root, code = str(layout.root.absolute()), str(Path(__file__).parents[2])
    versions = {name: version(name) for name in ALIKE}
    plugin = _plugin(root, code, ".".join(python_version_tuple()[:2]), versions, os.environ["PREFECT_API_URL"])
    try:
        client.register_plugin(plugin, name=f"tessera {root}")
    except Exception as error:
        raise ValueError(f"runner: {clean(error)}") from None


def _plugin(root: str, code: str, python: str, versions: dict[str, str], api: str) -> WorkerPlugin:
    class Preparation(WorkerPlugin):  # within a function, so that it travels whole: the worker cannot import us yet
        def setup(self, worker: Any) -> None:
            import importlib.metadata
            import platform
            import sys
            from pathlib import Path

            def refuse(what: str) -> None:
                raise ValueError(f"worker {worker.address} {what}")

            for folder, inside in ((root, "params.yaml"), (code, "pipelines")):
                if not (Path(folder) / inside).exists():
                    refuse(f"does not see {folder}; it must lie under this path on a file system that all workers share")
            found = ".".join(platform.python_version_tuple()[:2])
            if found != python:
                refuse(f"has Python {found}, here is {python}")
            for name, wanted in versions.items():
                try:
                    has = importlib.metadata.version(name)
                except importlib.metadata.PackageNotFoundError:
                    has = "none"
                if has != wanted:
                    refuse(f"has {name} {has}, here is {wanted}; start it from an environment of requirements.lock")
            sys.path[:0] = [] if code in sys.path else [code]
            from pipelines import server

            os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
            if not server.answers(api):
                refuse(f"cannot reach the Prefect server at {api}; name one that workers reach in PREFECT_API_URL")
            os.environ["PREFECT_API_URL"] = api

    return Preparation()
