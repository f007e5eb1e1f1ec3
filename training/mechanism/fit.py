"""Training attention on fresh tasks in each step, and looking at it on the way.

After the code of the paper (arXiv 2212.07677): Adam with beta2 .98, the gradient's norm cut at .001, half the mean squared
error. Other than there, batches are smaller, and the rate is higher and falls in the second half: a CPU comes to the same place
in a tenth of the time.
"""

from collections.abc import Callable

import torch

from pipelines.mechanism_settings import Mechanism
from training.episodes import generator_for
from training.mechanism.attention import SelfAttention, Shape
from training.mechanism.tasks import STREAM, TRAINING, WEIGHTS, draw_tasks, form_of

BETAS = (0.9, 0.98)
EPSILON = 1e-9
CLIP = 1e-3
WARMUP = 0.1  # share of the steps, at most
LEAST = 0.02  # of the rate, at the end
LOOKS = 25

Watch = Callable[[int, SelfAttention], None]  # steps done, the model as it then is


def fit(shape: Shape, settings: Mechanism, seed: int, watch: Watch | None = None) -> SelfAttention:
    """Train a model for `settings.steps` a layer; the same weights for the same seed.

    `watch` is called before the first step, some twenty times on the way and after the last. Raises ValueError (one line) if
    the loss is no number any more.
    """
    form, steps = form_of(settings), settings.steps * shape.layers
    model = SelfAttention(shape, generator_for(seed, STREAM, WEIGHTS))
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, betas=BETAS, eps=EPSILON)
    looks = {steps * look // LOOKS for look in range(LOOKS)}
    for step in range(steps):
        if watch and step in looks:
            watch(step, model)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate_at(step, steps)
        tasks = draw_tasks(form, settings.batch, seed, TRAINING, step)
        loss = 0.5 * (model(tasks) - tasks.target_B).square().mean()
        if not loss.isfinite():
            raise ValueError(
                f"mechanism.learning_rate: training {shape.layers} layers of attention with seed {seed} came to a loss that is "
                f"no number at step {step}; expected a lower rate than {settings.learning_rate}"
            )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
    if watch:
        watch(steps, model)
    return model.eval()


def rate_at(step: int, steps: int) -> float:
    """Share of the learning rate: up over the first steps, then whole, down over the second half."""
    up = min(1.0, (step + 1) / (WARMUP * steps))
    return up * max(LEAST, min(1.0, 2 * (1 - step / steps)))
