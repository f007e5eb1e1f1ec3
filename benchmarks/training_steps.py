"""The training step beside a bare loop of the same matrix products: `python -m benchmarks.training_steps`.

5-way 5-shot episodes with 15 queries a class, drawn and rotated in the step as in training. Both sides take turns; medians of
the rounds' ratios. On a GPU also model FLOP utilisation, the time for 60,000 episodes, and peak memory. Prints Markdown.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import get_args

import torch

from benchmarks.products import bare_step, products
from pipelines.training_settings import Attention, LabelCodes, Readout, Size, Training
from training.collection import DomainTensors, unit_rows
from training.device import Place, choose, to_device
from training.draws import draws
from training.parts_readout import Parts
from training.shape import SIZES
from training.train import new_learner, take_step

DIMENSIONS = 256
PARTS = Parts(torch.eye(DIMENSIONS), (48, 40, 40, 12, 76, 40))  # six, as the embedded encoder's features have
EPISODES = 60_000
# dense bfloat16 products a second without sparsity, by the makers' data sheets
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
FORM = {"n_way": 5, "min_shot": 5, "max_shot": 5, "n_query": 15, "synthetic_share": 0.0}


def domain(number: int, classes: int = 40, images: int = 30) -> DomainTensors:
    """Random features: what they are does not bear on time."""
    generator = torch.Generator().manual_seed(number)
    total = classes * images
    features_ND = unit_rows(torch.randn(total, DIMENSIONS, generator=generator))
    class_N = torch.arange(classes).repeat_interleave(images)
    names = tuple(f"c{place}" for place in range(classes))
    return DomainTensors(f"domain{number}", features_ND, class_N, torch.arange(total), ("train",) * total, names)


def settings_of(size: Size, readout: Readout, batch: int, attention: Attention = "inline") -> Training:
    """Settings of such a training; read-out linear goes with learnable codes alone."""
    codes: LabelCodes = "learnable" if readout == "linear" else "elmes"
    return Training(size=size, readout=readout, batch=batch, attention=attention, label_codes=codes, **FORM)


def real_step(settings: Training, place: Place) -> Iterator[None]:
    """A training step each time it is advanced; the learner leaves the device at the end."""
    draw_batch = draws([domain(number) for number in range(4)], settings, 0, steps=10**6, device=place.device)
    learner = new_learner(settings, DIMENSIONS, 0, PARTS)
    with place.holding(learner):
        optimiser = torch.optim.AdamW(learner.parameters(), lr=1e-5)
        learner.train()
        for step in count():
            take_step(learner, optimiser, to_device(draw_batch(step), place.device), place, settings.accumulate)
            yield


def seconds(call: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Mean time of a call."""
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / repeats


def row(size: Size, readout: Readout, batch: int, rounds: int, repeats: int) -> str:
    """A row of the table."""
    settings = settings_of(size, readout, batch)
    place = choose(settings)
    if place.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    step = real_step(settings, place)
    wanted = products(new_learner(settings, DIMENSIONS, 0, PARTS).shape, batch, 25, 75)
    for _ in range(3):  # compilation, allocation
        next(step)
    peak = torch.cuda.max_memory_allocated() / 2**30 if place.device.type == "cuda" else None
    bare = bare_step(wanted, place.device, place.dtype or torch.float32)
    bare()
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(lambda: next(step), repeats, place.device))
        theirs.append(seconds(bare, repeats, place.device))
    step.close()  # type: ignore[attr-defined]
    ratio = statistics.median(b / o for o, b in zip(ours, theirs, strict=True))
    took, flops = statistics.median(ours), sum(product.flops for product in wanted)
    name = torch.cuda.get_device_name() if place.device.type == "cuda" else ""
    most = next((speed for chip, speed in PEAKS.items() if chip in name), 0)
    used = f"{flops / took / most:.1%}" if most else "-"
    cells = [size, readout, batch, f"{1e3 * took:.1f}", f"{1e3 * statistics.median(theirs):.1f}", f"{ratio:.0%}"]
    cells += [f"{flops / took / 1e12:.2f}", used, f"{EPISODES / batch * took:.0f}", f"{peak:.1f}" if peak is not None else "-"]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", nargs="+", choices=list(SIZES), default=["tiny", "small"])
    parser.add_argument("--readout", nargs="+", choices=get_args(Readout), default=["linear", "ridge", "parts"])
    parser.add_argument("--batch", type=int, default=16, help="episodes a step")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=5, help="steps a round")
    asked = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"{device}, torch {torch.__version__}, {choose(Training())}, load {os.getloadavg()[0]:.1f}\n")
    print("| size | read-out | batch | step, ms | bare products, ms | share | TFLOP/s | MFU | 60,000 episodes, s | peak, GiB |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for size in asked.size:
        for readout in asked.readout:
            print(row(size, readout, asked.batch, asked.rounds, asked.repeats), flush=True)


if __name__ == "__main__":
    main()
