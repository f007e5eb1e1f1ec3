"""The log of a training: a row every so many steps. Between rows nothing is read from the device, which would wait for it."""

import csv
import io
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from training.validation import Found

COLUMNS = ("step", "loss", "accuracy", "validation_accuracy", "learning_rate", "seconds")
DOMAIN_COLUMNS = ("step", "domain", "role", "accuracy")
LOG_ROWS = 40
VALIDATIONS = 6
Row = Mapping[str, Any]  # numbers by column; None where nothing was measured
DomainRow = Mapping[str, Any]
Show = Callable[[int, Mapping[str, float]], None]  # step, what was measured by name


class Log:
    """Loss (nats) and accuracy of the steps since the last row, as tensors, and the rows so far.

    `domain_rows` hold the accuracy of each domain where a row has a validation accuracy, the mean of the train domains'.
    Each row is handed to `shows`, and on going on each that was there before.
    """

    def __init__(self, steps: int, shows: Sequence[Show] = ()) -> None:
        self.steps = steps
        self.rows: list[Row] = []
        self.domain_rows: list[DomainRow] = []
        self._shows = shows
        self._every, self._validate_every = max(1, steps // LOG_ROWS), max(1, steps // VALIDATIONS)
        self._recent: list[Tensor] = []
        self._begun = time.monotonic()

    def goes_on(self, rows: Sequence[Row], domain_rows: Sequence[DomainRow], recent_N2: Tensor, seconds: float) -> None:
        """Take up the log of a training that was cut off after so many seconds."""
        self.rows, self.domain_rows, self._recent = list(rows), list(domain_rows), list(recent_N2)
        self._begun = time.monotonic() - seconds
        for row in rows:
            self._show(row)

    def add(self, loss_and_accuracy_2: Tensor) -> None:
        """Note a step."""
        self._recent.append(loss_and_accuracy_2)

    def row_due(self, done: int) -> bool:
        """Whether a row stands after so many steps."""
        return done % self._every == 0 or done == self.steps

    def validation_due(self, done: int) -> bool:
        """Whether the row after so many steps has a validation accuracy."""
        return done == self.steps or done % self._validate_every < self._every

    def recent_N2(self, done: int) -> Tensor:
        """Loss and accuracy of the steps since the last row, on the CPU.

        Raises ValueError (one line) if a loss is not a finite number.
        """
        device = self._recent[-1].device if self._recent else None  # what a checkpoint held is on the CPU
        found_N2 = torch.stack([found_2.to(device) for found_2 in self._recent]).cpu() if self._recent else torch.empty(0, 2)
        broken = [number for number, loss in enumerate(found_N2[:, 0].tolist()) if not math.isfinite(loss)]
        if broken:
            raise not_finite(done - len(found_N2) + broken[0] + 1)
        return found_N2

    def close_row(self, done: int, rate: float, validated: Sequence[Found] = ()) -> Row:
        """The row after so many steps: means since the last one. Raises ValueError as `recent_N2` does."""
        recent = self.recent_N2(done).tolist()
        trained_on = [found.accuracy for found in validated if found.role == "train"]
        row: Row = {
            "step": done,
            "loss": sum(loss for loss, _ in recent) / len(recent),
            "accuracy": sum(accuracy for _, accuracy in recent) / len(recent),
            "validation_accuracy": sum(trained_on) / len(trained_on) if trained_on else None,
            "learning_rate": rate,
            "seconds": self.seconds(),
        }
        self.rows.append(row)
        self.domain_rows += [{"step": done} | asdict(found) for found in validated]
        self._recent.clear()
        self._show(row)
        return row

    def _show(self, row: Row) -> None:
        values = {name: value for name in COLUMNS[1:-1] if (value := row[name]) is not None}
        values |= {
            f"validation/{found['domain']}": found["accuracy"] for found in self.domain_rows if found["step"] == row["step"]
        }
        for show in self._shows:
            show(row["step"], values)

    def seconds(self) -> float:
        """How long the training has taken, what went before a cut among it."""
        return time.monotonic() - self._begun


def not_finite(step: int) -> ValueError:
    """What is said of a training that broke at this step, counted from 1."""
    return ValueError(f"training: the loss is not a finite number at step {step}; lower training.learning_rate")


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """Rows of a log as text; a value that was not measured is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{row[name]:.6g}" if isinstance(row[name], float) else row[name] for name in columns})
    return text.getvalue()
