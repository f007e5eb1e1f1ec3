"""What DVC shows of a training, while it runs and after: `dvc plots`, `dvc metrics show`, `dvc exp show`, by DVCLive."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pipelines.layout import Layout
from training.log import Show


@contextmanager
def dvc_live(layout: Layout) -> Iterator[Show]:
    """What writes each row of the log into `reports/live/`, in the place of what was there; nothing in a project without DVC.

    A training that goes on writes all rows anew, so it needs no resuming. Neither git, dvc.yaml nor DVC's experiments are
    touched, and nothing leaves this machine unless the user has given DVC a token of DVC Studio. Raises ValueError (one line)
    in a git repository without a commit, which DVCLive cannot work in.
    """
    if not (layout.root / ".dvc").is_dir():  # DVCLive would make one
        yield lambda step, values: None
        return
    from dvclive.live import Live
    from scmrepo.exceptions import SCMError

    try:
        live = Live(str(layout.live), report=None, save_dvc_exp=False, dvcyaml=None)
    except SCMError as error:
        raise ValueError(f"DVC cannot log the training ({error}); say `git add --all && git commit -m start` first") from None

    def show(step: int, values: Mapping[str, float]) -> None:
        live.step = step
        for name, value in values.items():
            live.log_metric(name, value)
        live.sync()

    yield show
    live.end()
