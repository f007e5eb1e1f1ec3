"""One training of attention on contexts of a few tasks, looked at on the way."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipelines.phases_settings import Phases
from training.phases.circuits import circuits
from training.phases.decode import decodability
from training.phases.known import Known, known
from training.phases.model import AttentionOnly, Seen
from training.phases.phase import phase_of
from training.phases.tasks import JUDGED, NEIGHBOURS, TRAINING, Contexts, Tasks

BETAS = (0.9, 0.98)
LOOKS = 40
Found = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """What is trained, once for each seed."""

    settings: Phases
    seed: int


@dataclass(frozen=True)
class Ground:
    """Tasks, the contexts that looks are judged by, those whose tasks are known, and what accuracy can be."""

    tasks: Tasks
    judged: Contexts
    neighbours: Contexts
    known: Known


def ground_of(trial: Trial) -> Ground:
    """A function of the trial alone."""
    tasks, count = Tasks(trial.settings, trial.seed), trial.settings.contexts
    judged = tasks.draw(count, JUDGED)
    return Ground(tasks, judged, tasks.draw(2 * count, NEIGHBOURS), known(tasks, judged))


def run_trial(trial: Trial) -> Found:
    """Train and look. Raises ValueError (one line) if the loss stops being a finite number."""
    asked, ground = trial.settings, ground_of(trial)
    model = AttentionOnly(asked, trial.seed)
    # the paper's plain SGD of rate .01 needs 10^5 steps for what Adam shows in thousands
    optimiser = torch.optim.Adam(model.parameters(), lr=asked.learning_rate, betas=BETAS)
    looks, losses, due = list[Found](), list[Tensor](), look_steps(asked.steps)
    attention: dict[str, list[Any]] = {}  # of the last look in each phase
    for step in range(asked.steps + 1):
        if step in due:
            looks.append(look(model, ground, asked) | {"step": step, "loss": mean_loss(losses, asked, step)})
            attention[looks[-1]["phase"]] = looks[-1].pop("attention")
            losses.clear()
        if step == asked.steps:
            break
        part = ground.tasks.draw(asked.batch, TRAINING, step)
        loss = cross_entropy(model(part.item_BND, part.label_BN).scores_BL, part.asked_B)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.detach())
    return {"seed": trial.seed, "known": asdict(ground.known), "looks": looks, "attention": attention}


def look_steps(steps: int) -> set[int]:
    """Before the first step, after the last, and between: dense at first, where much happens."""
    return {round(steps * (number / LOOKS) ** 2) for number in range(LOOKS + 1)}


@torch.no_grad()
def look(model: AttentionOnly, ground: Ground, settings: Phases) -> Found:
    """Accuracies, circuits of each layer and head, and how well each state tells the task."""
    seen, beside = (model(part.item_BND, part.label_BN) for part in (ground.judged, ground.neighbours))
    found = accuracies(seen, ground)
    return found | {
        "phase": phase_of(found["accuracy"], ground.known),
        "circuits": [{name: value_H.tolist() for name, value_H in circuits(share).items()} for share in seen.attention],
        "attention": [share_BHTT.mean(dim=0).tolist() for share_BHTT in seen.attention],
        "decodability": {
            name: decodability(
                beside.states[name], ground.neighbours.task_B, state_BE, ground.judged.task_B, settings.neighbours
            )
            for name, state_BE in seen.states.items()
        },
    }


def accuracies(seen: Seen, ground: Ground) -> Found:
    """Share of labels told right, of all contexts, of those that show the asked class and of those that do not (None where
    there are none), and of answers that are right under some task (`candidates`)."""
    told_B, judged = seen.scores_BL.argmax(dim=1), ground.judged
    right_B, shown_B = told_B == judged.asked_B, judged.shown_B
    possible_BW = ground.tasks.label_WC[:, judged.class_BN[:, -1]].T
    return {
        "accuracy": share(right_B),
        "shown": share(right_B[shown_B]),
        "not_shown": share(right_B[~shown_B]),
        "candidates": share((possible_BW == told_B.unsqueeze(1)).any(dim=1)),
    }


def share(right_B: Tensor) -> float | None:
    """Of true among all; None of nothing."""
    return float(right_B.double().mean()) if len(right_B) else None


def mean_loss(losses: list[Tensor], settings: Phases, step: int) -> float | None:
    """Mean loss since the last look, None before the first step. Raises ValueError (one line) if it is not a finite number."""
    if not losses:
        return None
    loss = float(torch.stack(losses).mean())
    if not torch.isfinite(torch.tensor(loss)):
        raise ValueError(
            f"phases.learning_rate: the loss is not a finite number by step {step}; "
            f"expected a lower rate than {settings.learning_rate:g}"
        )
    return loss
