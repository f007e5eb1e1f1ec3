"""Whether the measurement finds what is known to be so: `python -m benchmarks.known_truth [--repetitions 20] [--seeds 3]`.

Each repetition makes the collections of known_worlds.py anew, with other data and seeds, and sends them through the trainings
and the statistics of the product (training/measure). For every planted truth it is counted how often it is found (right), the
opposite is (wrong), and nothing is said (cannot tell yet). A false verdict is a wrong one among all that decide.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import polars as pl

from benchmarks.known_worlds import WORLDS
from pipelines.params import Measurement
from pipelines.training_settings import Training
from training.measure.run import trial_of
from training.measure.store import Store
from training.measure.sweep import plan
from training.measure.trial import finish
from training.measure.values import from_frame
from training.measure.worth import MEAN, Question, worth

Answer = Literal["right", "wrong", "cannot tell yet"]
N_WAY, N_SHOT, LEVEL = 4, 2, 0.05
MARGIN = 0.05  # accuracy; the carrier brings about 0.3
TRAINING = Training(
    n_way=N_WAY, min_shot=N_SHOT, max_shot=N_SHOT, n_query=2, warmup=10, learning_rate=5e-3, readout="class_mean", rotate=False,
    synthetic_share=0.0,
)  # fmt: skip
MEASUREMENT = Measurement(n_way=N_WAY, n_shots=[N_SHOT], n_query=8, episodes=80, margin=MARGIN)
BUDGET = {"carrier": (50, 4), "redundant": (40, 4), "complementary": (80, 8)}  # steps of a training, episodes a step


def found(kind: str, seed: int, seeds: int = 3) -> dict[str, Any]:
    """What the measurement says of a world of this kind: the tables of `worth`."""
    world, (steps, batch) = WORLDS[kind](seed), BUDGET[kind]
    asked = {"designs": list(world.designs), "seeds": seeds, "seed": seed, "steps": steps}
    measurement = MEASUREMENT.model_copy(update=asked)
    training = TRAINING.model_copy(update={"seed": seed * 1000, "batch": batch})  # no seed is one of another repetition
    with tempfile.TemporaryDirectory() as folder:
        trial, company = trial_of(world.collection, world.roles, training, measurement, Store(Path(folder)))
        rows = [
            {"domains": list(job.subset), "seed": job.seed, "held_out": name, "accuracies": accuracies_E.tolist()}
            for job in plan(trial, company).jobs
            for (name, _), accuracies_E in finish(trial, job).items()
        ]
    return worth(from_frame(pl.DataFrame(rows)), Question(company, MARGIN, seed=seed))


def answers(kind: str, said: dict[str, Any]) -> Iterator[tuple[str, Answer]]:
    """Each truth that is planted in a world of this kind, and what the measurement said of it."""
    if kind == "carrier":
        of_carrier = said["replaceability"]["carrier"]
        yield "a domain's twin replaces it", _verdict(of_carrier["twin"], "replaceable")
        yield "labels by lot do not replace it", _verdict(of_carrier["lots"], "not_replaceable")
        removal = {name: row[MEAN] for name, row in said["removal"].items()}
        yield "the carrier has the largest removal effect", _largest(removal, "carrier")
        yield "the carrier has the largest Shapley value", _largest(said["shapley"], "carrier")
    else:
        sign = 1 if kind == "complementary" else -1
        yield (
            f"the {kind} pair interacts {'above' if sign > 0 else 'below'} 0",
            _sign(said["interaction"]["one"]["other"], sign),
        )


def _verdict(cell: dict[str, Any], true: str) -> Answer:
    if cell["verdict"] == "cannot_tell_yet":
        return "cannot tell yet"
    return "right" if cell["verdict"] == true else "wrong"


def _largest(cells: dict[str, dict[str, float]], true: str) -> Answer:
    """Decided where the largest is surely above 0 (corrected p) and its interval lies above every other's mean."""
    name = max(cells, key=lambda each: cells[each]["mean"])
    others = max(cell["mean"] for each, cell in cells.items() if each != name)
    if cells[name]["p"] >= LEVEL or cells[name]["low"] <= others:
        return "cannot tell yet"
    return "right" if name == true else "wrong"


def _sign(cell: dict[str, float], true: int) -> Answer:
    if cell["p"] >= LEVEL:
        return "cannot tell yet"
    return "right" if cell["mean"] * true > 0 else "wrong"


def effects(kind: str, said: dict[str, Any]) -> dict[str, float]:
    """The planted effects as they were measured."""
    if kind != "carrier":
        return {f"interaction of the {kind} pair": said["interaction"]["one"]["other"]["mean"]}
    return {
        "removal of the carrier": said["removal"]["carrier"][MEAN]["mean"],
        "Shapley value of the carrier": said["shapley"]["carrier"]["mean"],
        "replacement of the carrier by its twin": said["replacement"]["carrier"]["twin"]["mean"],
        "replacement of the carrier by labels by lot": said["replacement"]["carrier"]["lots"]["mean"],
    }


def main() -> None:
    """Print how often each truth was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    counts: dict[str, Counter[Answer]] = {}
    measured: dict[str, list[float]] = {}
    begun = time.process_time()
    for seed in range(asked.repetitions):
        for kind in WORLDS:
            said = found(kind, seed, asked.seeds)
            for truth, answer in answers(kind, said):
                counts.setdefault(truth, Counter())[answer] += 1
            for name, value in effects(kind, said).items():
                measured.setdefault(name, []).append(value)
        print(f"repetition {seed + 1}, {time.process_time() - begun:.0f} s of one core", flush=True)
    print("\n".join(table(counts)))
    print("\n| effect | mean over repetitions | least | most |\n|---|---|---|---|")
    for name, values in measured.items():
        print(f"| {name} | {sum(values) / len(values):+.3f} | {min(values):+.3f} | {max(values):+.3f} |")


def table(counts: dict[str, Counter[Answer]]) -> Iterator[str]:
    """Lines of a table, and the rate of false verdicts."""
    yield "\n| planted truth | right | wrong | cannot tell yet |\n|---|---|---|---|"
    for truth, count in counts.items():
        yield f"| {truth} | {count['right']} | {count['wrong']} | {count['cannot tell yet']} |"
    total = sum(counts.values(), Counter())
    decided = total["right"] + total["wrong"]
    yield f"| together | {total['right']} | {total['wrong']} | {total['cannot tell yet']} |"
    yield f"\nfalse verdicts: {total['wrong']} of {decided} decided" + (f" ({total['wrong'] / decided:.3f})" if decided else "")


if __name__ == "__main__":
    main()
