"""How fast a training learns at each step."""

import math

import torch


def learning_rate_at(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up, then a half cosine to zero. Warm-up takes at most a third of the steps."""
    warmup = min(warmup, steps // 3)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Let the next update be of this size."""
    for group in optimiser.param_groups:
        group["lr"] = rate
