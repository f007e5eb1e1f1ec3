"""Where the batches of a stage run, as `runner:` in params.yaml says: threads, processes, or a Dask cluster.

What is made does not depend on it, byte for byte. Import after `server.connect`.
"""

from contextlib import AbstractContextManager

from pipelines.layout import Layout
from pipelines.params import Runner
from pipelines.runners.workers import Workers


def start(runner: Runner, layout: Layout) -> AbstractContextManager[Workers]:
    """The workers of one flow run, as long as the context lasts. Raises ValueError (one line) where they cannot be had."""
    if runner.kind == "threads":
        from pipelines.runners.threads import threads

        return threads(runner)
    if runner.kind == "processes":
        from pipelines.runners.processes import processes

        return processes(runner)
    from pipelines.runners.cluster import cluster  # brings Dask, which the others do without

    return cluster(runner, layout)


def seen_from_workers(runner: Runner, layout: Layout) -> Layout:
    """The layout with paths that mean the same to all workers."""
    return Layout(layout.root.absolute()) if runner.kind == "dask" else layout


__all__ = ["Workers", "seen_from_workers", "start"]
