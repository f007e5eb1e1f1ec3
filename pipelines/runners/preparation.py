"""What a cluster needs before it gets a batch: the project's code and files, the same versions, a way to Prefect's server."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from platform import python_version_tuple
from typing import Any

from distributed import Client, WorkerPlugin

from pipelines.layout import Layout
from pipelines.secrets import clean

ALIKE = ("pillow", "numpy", "polars", "pyarrow", "prefect")  # what decides about bytes, and what must be understood
CODE = str(Path(__file__).parents[2])


@contextmanager
def prepared(client: Client, layout: Layout) -> Iterator[None]:
    """Let the cluster import the project's code, workers that come later too, and see that those there can work on it.

    Raises ValueError (one line) naming who sees no such folder, has other versions or cannot reach Prefect's server.
    """
    api = os.environ["PREFECT_API_URL"]
    check = _check(str(layout.root.absolute()), api)
    name = f"tessera {CODE}"
    try:
        client.run_on_scheduler(check, "the scheduler")  # it looks into what it hands on
        client.register_plugin(_plugin(api), name=name)
        for address in client.nthreads():
            client.run(check, f"worker {address}", workers=[address])
    except Exception as error:  # it comes from there, in whatever class
        raise ValueError(f"runner: {clean(error)}") from None
    try:
        yield
    finally:
        with suppress(Exception):  # the run has ended, whatever became of the cluster
            client.unregister_worker_plugin(name)


def _check(root: str, api: str) -> Callable[[str], None]:
    """A function within a function travels whole, to where our code cannot be imported yet."""
    code, wanted = CODE, {"Python": ".".join(python_version_tuple()[:2])} | {name: version(name) for name in ALIKE}

    def check(who: str) -> None:
        import importlib.metadata
        import platform
        import sys
        from pathlib import Path

        for folder, inside in ((root, "params.yaml"), (code, "pipelines")):
            if not (Path(folder) / inside).exists():
                raise ValueError(f"{who} does not see {folder}; it must lie under this path on a file system that all share")
        has = {package.name.lower(): package.version for package in importlib.metadata.distributions() if package.name}
        has["Python"] = ".".join(platform.python_version_tuple()[:2])
        for name, needed in wanted.items():
            if has.get(name) != needed:
                found = has.get(name, "none")
                raise ValueError(f"{who} has {name} {found}, here is {needed}; start it with what requirements.lock names")
        if code not in sys.path:
            sys.path.insert(0, code)
        from pipelines import server

        if who != "the scheduler" and not server.answers(api):
            raise ValueError(f"{who} cannot reach the Prefect server at {api}; name one in PREFECT_API_URL that it reaches")

    return check


def _plugin(api: str) -> WorkerPlugin:
    code = CODE

    class Preparation(WorkerPlugin):
        """It raises nothing: left behind by a killed run, it would keep new workers of a shared cluster from starting."""

        def setup(self, worker: Any) -> None:
            import os
            import sys
            from contextlib import suppress

            with suppress(ImportError):
                import numpy  # noqa: F401  # its library must be there to be limited
                from threadpoolctl import threadpool_limits

                threadpool_limits(1)  # sums over more threads differ in their last bits
            os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
            os.environ["PREFECT_API_URL"] = api
            if "prefect.context" in sys.modules:  # it has read the address of an earlier run
                sys.modules["prefect.context"].refresh_global_settings_context()
            if code not in sys.path:
                sys.path.insert(0, code)

    return Preparation()
