"""Episodes a second beside a plain task sampler: `python -m benchmarks.sampler`.

5-way 5-shot episodes with 15 queries a class, on one thread, until their tensors stand in memory, supports parted from
queries. Plain: task_sampler.py, one task a batch, once decoding JPEG files at each access and once from cached features.
Ours: training/draws.py as training calls it, one or 16 episodes a step, without rotation, with the step's rotation drawn, and
with it put to every feature as the learner does. All sides take turns; medians and quartiles of the rounds' ratios.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks.image_sets import pictures
from benchmarks.photographs import DATA, EMBEDDED, QUALITY
from benchmarks.task_sampler import Cached, Pictures, Task, loader
from pipelines.cards import load_card
from pipelines.images import Unreadable, decode
from pipelines.layout import Layout
from pipelines.sources import kind_of
from pipelines.training_settings import Training
from pipelines.transfer import Place
from training.batch import Batch
from training.collection import DomainTensors, unit_rows
from training.draws import draws

REAL = ("grocery", "omniglot", "coins_eur", "clothing_small", "sign_digits", "trashnet")
N_WAY, N_SHOT, N_QUERY = 5, 5, 15
SIDE = 128  # px of the longer side, as in the shards
DIMENSIONS = 256  # of the embedded encoder's features
CLASSES, IMAGES = 40, 30  # taken of a set at most, of each class
TASKS = 10**9  # without end
Side = tuple[str, int, Callable[[], object]]  # name, episodes a call, a call


def labelled(data: Path) -> Iterator[tuple[str, str, Image.Image]]:
    """(set, label, picture) of the real sets; of embedded domains where these are not there."""
    if data.is_dir():
        for name in REAL:
            yield from ((name, label, picture) for label, picture in pictures(name, data))
        return
    for domain in EMBEDDED:
        card = load_card(Layout().card(domain))
        for record in kind_of(card, domain).records(card.source, Place(Path(), Path())):
            try:
                yield domain, record.label, decode(record.data, 64_000_000).image
            except Unreadable:
                continue  # planted dirt


def written(data: Path, folder: Path) -> dict[str, list[tuple[str, Path]]]:
    """JPEG files of 128 px by set, with their labels; only classes with images enough for an episode."""
    by_class: dict[tuple[str, str], list[Path]] = {}
    classes: dict[str, set[str]] = {}
    for name, label, picture in labelled(data):
        of_set = classes.setdefault(name, set())
        if label not in of_set and len(of_set) == CLASSES:
            continue
        of_set.add(label)
        files = by_class.setdefault((name, label), [])
        if len(files) < IMAGES:
            files.append(folder / f"{name}-{len(of_set)}-{sum(map(len, by_class.values()))}.jpg")
            picture.thumbnail((SIDE, SIDE))
            picture.save(files[-1], quality=QUALITY)
    found: dict[str, list[tuple[str, Path]]] = {}
    for (name, label), files in by_class.items():
        if len(files) >= N_SHOT + N_QUERY:
            found.setdefault(name, []).extend((label, file) for file in files)
    return {name: rows for name, rows in found.items() if len({label for label, _ in rows}) >= N_WAY}


def domain(name: str, labels: Sequence[str]) -> DomainTensors:
    """A domain of random features: what they are does not bear on time."""
    generator = torch.Generator().manual_seed(len(labels))
    features_ND = unit_rows(torch.randn(len(labels), DIMENSIONS, generator=generator))
    classes = tuple(dict.fromkeys(labels))
    class_N = torch.tensor([classes.index(label) for label in labels])
    return DomainTensors(name, features_ND, class_N, torch.arange(len(labels)), ("train",) * len(labels), classes)


def ours(domains: Sequence[DomainTensors], batch: int, *, rotate: bool, applied: bool = False) -> Callable[[], Batch]:
    """The next step's batch at each call."""
    form = {"n_way": N_WAY, "min_shot": N_SHOT, "max_shot": N_SHOT, "n_query": N_QUERY}
    settings = Training(**form, batch=batch, rotate=rotate, synthetic_share=0.0)  # type: ignore[arg-type]
    draw, steps = draws(domains, settings, 0, steps=TASKS), count()

    def next_step() -> Batch:
        found = draw(next(steps))
        if applied:
            assert found.turn is not None
            found.turn.apply(torch.cat([found.support_BSD, found.query_BQD], dim=1))
        return found

    return next_step


def plain(tasks: DataLoader[Task]) -> Callable[[], Task]:
    """The next task at each call."""
    running = iter(tasks)
    return lambda: next(running)


def sides(sets: dict[str, list[tuple[str, Path]]]) -> list[Side]:
    """Everything that is measured; the first two are plain."""
    domains = [domain(name, [label for label, _ in rows]) for name, rows in sets.items()]
    names = [(name, label) for name, rows in sets.items() for label, _ in rows]
    place = {name: number for number, name in enumerate(dict.fromkeys(names))}
    labels = [place[name] for name in names]
    files = [file for rows in sets.values() for _, file in rows]
    cached = Cached(torch.cat([each.features_ND for each in domains]), labels)
    form = (N_WAY, N_SHOT, N_QUERY, TASKS, 0)
    decoded = plain(loader(Pictures(files, labels), *form))
    from_cache = plain(loader(cached, *form))
    found: list[Side] = [("plain, JPEG decoded at each access", 1, decoded), ("plain, cached features", 1, from_cache)]
    for batch in (1, 16):
        found.append((f"ours, {batch} a step", batch, ours(domains, batch, rotate=False)))
        found.append((f"ours, {batch} a step, rotation drawn", batch, ours(domains, batch, rotate=True)))
        found.append((f"ours, {batch} a step, rotation applied", batch, ours(domains, batch, rotate=True, applied=True)))
    same_shapes(from_cache(), ours(domains, 1, rotate=False)())
    return found


def same_shapes(task: Task, batch: Batch) -> None:
    """Both sides give the same tensors of an episode."""
    tensors = (batch.support_BSD, batch.support_label_BS, batch.query_BQD, batch.query_label_BQ)
    assert [(one.shape, one.dtype) for one in task] == [(other[0].shape, other.dtype) for other in tensors]


def rate(side: Side, seconds: float) -> float:
    """Episodes a second over about so many seconds."""
    _, episodes, call = side
    calls, begun = 0, time.perf_counter()
    while (took := time.perf_counter() - begun) < seconds:
        call()
        calls += 1
    return calls * episodes / took


def spread(values: Sequence[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    digits = 0 if middle >= 100 else 1
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--data", type=Path, default=DATA, help="folder of the real image sets; embedded pictures without it")
    words.add_argument("--rounds", type=int, default=9)
    words.add_argument("--seconds", type=float, default=0.5, help="of each side in a round")
    asked = words.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sets = written(asked.data, Path(folder))
        files = [file for rows in sets.values() for _, file in rows]
        size = sum(file.stat().st_size for file in files) / len(files) / 1000
        classes = sum(len({label for label, _ in rows}) for rows in sets.values())
        print(f"{len(files):,} JPEG files of {SIDE} px ({size:.1f} KB) in {classes} classes of {', '.join(sets)}.")
        measured = sides(sets)
        for side in measured:
            rate(side, asked.seconds)  # files into the page cache, allocation
        rounds = [[rate(side, asked.seconds) for side in measured] for _ in range(asked.rounds)]
    print(f"torch {torch.__version__}, one thread, load {os.getloadavg()[0]:.1f}; {asked.rounds} rounds.\n")
    print("| side | episodes/s | times JPEG | times cached |\n|---|--:|--:|--:|")
    for number, (name, _, _) in enumerate(measured):
        cells = [spread([rates[number] for rates in rounds])]
        cells += [spread([rates[number] / rates[other] for rates in rounds]) if number > other else "" for other in (0, 1)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
