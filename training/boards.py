"""A training in TensorBoard, where `training.tensorboard` asks for it: the rows of the log as scalars."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pipelines.layout import Layout
from training.log import Show


@contextmanager
def tensorboard(layout: Layout) -> Iterator[Show]:
    """What writes each row of the log into `reports/tensorboard/`, in the place of what was there.

    Raises ValueError (one line) if the package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(
            "training.tensorboard: needs the package tensorboard; say `.venv/bin/python -m pip install tensorboard`, or false"
        ) from None
    shutil.rmtree(layout.boards, ignore_errors=True)  # a training that goes on writes all rows anew
    with SummaryWriter(str(layout.boards)) as writer:

        def show(step: int, values: Mapping[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield show
