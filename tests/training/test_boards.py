"""TensorBoard: what is written is what its own reader reads, once, and who lacks the package is told."""

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.layout import Layout
from training.boards import tensorboard


def test_its_reader_reads_the_rows_of_the_last_training_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for first in (0.0, 5.0):
        with tensorboard(layout) as show:
            for step in (1, 2):
                show(step, {"loss": first + step, "validation/a": 0.5})
    found = EventAccumulator(str(layout.boards)).Reload()
    assert set(found.Tags()["scalars"]) == {"loss", "validation/a"}
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(1, 6.0), (2, 7.0)]


def test_who_lacks_the_package_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard" or "torch.utils.tensorboard" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    said = r"^training.tensorboard: needs the package tensorboard; say `[^`]+`, or false$"
    with pytest.raises(ValueError, match=said), tensorboard(Layout(tmp_path)):
        pass
    assert not list(tmp_path.iterdir())
