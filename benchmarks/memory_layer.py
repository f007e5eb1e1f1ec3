"""Memory against attention on long contexts: `python -m benchmarks.memory_layer PROJECT [--quick] [--table]`. Prints Markdown.

PROJECT is one in which `dvc repro collect` has run with the real sets (docs/regimes.md says how). noto_emoji and sign_digits
are held out; both learners are trained on one pool of the classes of all others, with the same steps, episodes and seeds, and
judged on the same episodes of up to 500 supports, more than they were trained with. The read-out is linear, so that all there
is to see comes through the mixer. Results are kept in PROJECT/reports/memory_layer.jsonl, so a run that was cut goes on.

Time and memory are of one episode with 25 queries, features at random. Memory is what torch's allocator has given out at the
worst moment beyond what there was before; it is counted, not sampled, and the same in each run.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.trials import Kept, collection_of, over_seeds, state_of, told
from pipelines.settings import validate
from pipelines.training_settings import Mixer, Training
from training.baselines import BASELINES
from training.collection import DomainTensors
from training.episodes import evaluation_episodes
from training.evaluate import Scorer, episode_accuracies
from training.learner import Learner
from training.shape import shape_of
from training.train import train

MIXERS: tuple[Mixer, ...] = get_args(Mixer)
FORM: dict[str, Any] = {"regime": "merged", "readout": "linear", "label_codes": "learnable", "synthetic_share": 0.0}
FORM |= {"min_way": 5, "n_way": 25, "max_shot": 10, "n_query": 1, "learning_rate": 2e-3}
# ways, then shots; 450 is as much as sign_digits has beside its queries
JUDGED = {"noto_emoji": (25, (1, 4, 10, 20)), "sign_digits": (10, (3, 10, 25, 45))}
JUDGED_QUERIES = 2  # a class
SPEED = (25, 100, 250, 500, 1000, 2000)  # supports
WAYS, QUERIES = 25, 25
BESIDE = ("class_mean", "ridge")


def settings_of(mixer: Mixer, steps: int) -> Training:
    """Settings that differ by the mixer alone."""
    return validate(Training, FORM | {"mixer": mixer, "steps": steps}, mixer)


def accuracies(scorer: Scorer, domains: Sequence[DomainTensors], episodes: int, seed: int) -> dict[str, float]:
    """Mean accuracy by domain and number of supports."""
    found = {}
    for domain in domains:
        n_way, shots = JUDGED[domain.name]
        for n_shot in shots:
            drawn = evaluation_episodes(domain, n_way, n_shot, JUDGED_QUERIES, episodes, seed)
            right_E = episode_accuracies(scorer, domain.features_ND, drawn, chunk=20)
            found[f"{domain.name} {n_way * n_shot}"] = round(float(right_E.mean()), 5)
    return found


def other_order(learner: Learner, seed: int) -> Scorer:
    """The learner with its supports written in an order by lot, not that of their content."""

    def scores(support_BSD: Tensor, label_BS: Tensor, query_BQD: Tensor, n_way: int) -> Tensor:
        order_S = torch.randperm(label_BS.shape[1], generator=torch.Generator().manual_seed(seed))
        code_BWE = learner.codes(len(label_BS), n_way, None)
        given = (support_BSD[:, order_S], label_BS[:, order_S], query_BQD, code_BWE, None, None)
        return learner._scores(*given, full=False)

    return scores


def changed_by_order(learner: Learner, domain: DomainTensors, n_shot: int, episodes: int, seed: int) -> float:
    """Share of the queries that two orders of the supports answer differently."""
    drawn = evaluation_episodes(domain, JUDGED[domain.name][0], n_shot, JUDGED_QUERIES, episodes, seed)
    given = (domain.features_ND[drawn.support_BS], drawn.support_label_BS, domain.features_ND[drawn.query_BQ], drawn.n_way)
    with torch.no_grad():
        first, second = (other_order(learner, number)(*given).argmax(-1) for number in (1, 2))
    return round(float((first != second).float().mean()), 5)


def result_of(who: str, collection: Sequence[DomainTensors], steps: int, episodes: int, seed: int) -> dict[str, Any]:
    """Train and judge one learner, or judge a baseline."""
    held_out = [domain for domain in collection if domain.name in JUDGED]
    if who in BASELINES:
        return {"accuracy": accuracies(BASELINES[who], held_out, episodes, seed)}
    others = [domain for domain in collection if domain.name not in JUDGED]
    started = time.monotonic()
    learner = train(others, settings_of(who, steps), steps=steps, seed=seed)  # type: ignore[arg-type]
    found: dict[str, Any] = {"seconds": round(time.monotonic() - started, 1)}
    found["accuracy"] = accuracies(learner, held_out, episodes, seed)
    if who == "memory":
        found["changed"] = {
            f"{domain.name} {n_shot * JUDGED[domain.name][0]}": changed_by_order(
                learner, domain, n_shot, min(episodes, 40), seed
            )
            for domain in held_out
            for n_shot in JUDGED[domain.name][1]
        }
    return found


def accuracy_table(kept: Kept, seeds: int) -> Iterator[str]:
    """A row for each domain and number of supports; intervals over seeds."""
    heads = ["held-out set", "ways", "supports", "attention", "memory", "memory less attention", "class mean", "ridge"]
    yield f"| {' | '.join([*heads, 'other order, other answer'])} |"
    yield f"|---|--:|--:|{'---|' * 6}"
    for name, (n_way, shots) in JUDGED.items():
        for n_shot in shots:
            at = f"{name} {n_way * n_shot}"
            of = {who: [kept.results[f"{who} {s}"]["accuracy"][at] for s in range(seeds)] for who in (*MIXERS, *BESIDE)}
            less = [memory - attention for memory, attention in zip(of["memory"], of["attention"], strict=True)]
            changed = [kept.results[f"memory {s}"]["changed"][at] for s in range(seeds)]
            cells = [told(*over_seeds([of[who]])) for who in MIXERS] + [told(*over_seeds([less]), signed=True)]
            cells += [told(*over_seeds([of[who]])) for who in BESIDE] + [told(*over_seeds([changed]))]
            yield f"| {name} | {n_way} | {n_way * n_shot} | {' | '.join(cells)} |"


def episode_of(supports: int) -> tuple[Tensor, Tensor, Tensor]:
    """One episode of features at random."""
    generator = torch.Generator().manual_seed(supports)
    label_1S = torch.arange(supports).unsqueeze(0) % WAYS
    support_1SD, query_1QD = (torch.randn(1, count, 256, generator=generator) for count in (supports, QUERIES))
    return support_1SD, label_1S, query_1QD


def answering(learner: Learner, supports: int) -> Callable[[], object]:
    """A call that answers the queries."""
    support_1SD, label_1S, query_1QD = episode_of(supports)

    def call() -> None:
        with torch.no_grad():
            learner(support_1SD, label_1S, query_1QD, WAYS)

    return call


def learning(learner: Learner, supports: int) -> Callable[[], object]:
    """A call that makes the gradients of a training step."""
    support_1SD, label_1S, query_1QD = episode_of(supports)

    def call() -> None:
        learner.zero_grad()
        scores_1QW = learner(support_1SD, label_1S, query_1QD, WAYS)
        cross_entropy(scores_1QW.transpose(1, 2), torch.arange(QUERIES).unsqueeze(0) % WAYS).backward()  # type: ignore[no-untyped-call]

    return call


def milliseconds(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Median time of each call; they take turns."""
    took: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 1):
        for place, call in enumerate(calls):
            started = time.perf_counter()
            call()
            if number:  # the first one warms up
                took[place].append(1e3 * (time.perf_counter() - started))
    return [statistics.median(times) for times in took]


def peak_megabytes(call: Callable[[], object]) -> float:
    """What torch's allocator gave out at the worst moment of a call, by its own records."""
    call()  # gradients have their memory from here on
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]  # type: ignore[union-attr]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak / 1e6


def speed_table(rounds: int) -> Iterator[str]:
    """A row for each number of supports."""
    heads = [f"{what}: {mixer}" for what in ("answer, ms", "answer, MB", "gradients, ms", "gradients, MB") for mixer in MIXERS]
    yield f"| supports | {' | '.join(heads)} |"
    yield "|--:" * (len(heads) + 1) + "|"
    learners = [Learner(shape_of(settings_of(mixer, 1), 256)) for mixer in MIXERS]
    for supports in SPEED:
        cells = []
        for kind in (answering, learning):
            calls = [kind(learner, supports) for learner in learners]
            cells += [f"{value:.1f}" for value in milliseconds(calls, rounds)] + [
                f"{peak_megabytes(call):.1f}" for call in calls
            ]
        yield f"| {supports} | {' | '.join(cells)} |"


def main() -> None:
    """Do what is not done yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--quick", action="store_true", help="one seed, few steps: whether it runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--table", action="store_true", help="train nothing, only print what there is")
    asked = parser.parse_args()
    seeds, steps, episodes = (1, 5, 4) if asked.quick else (asked.seeds, asked.steps, asked.episodes)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    collection = collection_of(asked.project)
    if missing := sorted(set(JUDGED) - {domain.name for domain in collection}):
        parser.error(f"{asked.project}: expected a domain {missing[0]} in its collection")
    state = state_of(collection, settings_of("memory", steps), episodes=episodes)
    kept = Kept(asked.project / "reports" / "memory_layer.jsonl", state)
    for seed in range(seeds):
        for who in (*BESIDE, *MIXERS):
            if f"{who} {seed}" not in kept and not asked.table:
                kept.add(f"{who} {seed}", result_of(who, collection, steps, episodes, seed))
                print(f"seed {seed}, {who}: {kept.results[f'{who} {seed}']}", file=sys.stderr, flush=True)
    where = f"{torch.get_num_threads()} thread, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}"
    print(f"{where}; {steps} steps, {seeds} seeds\n")
    print("\n".join(accuracy_table(kept, seeds)) + "\n", flush=True)
    print("\n".join(speed_table(3 if asked.quick else 15)))


if __name__ == "__main__":
    main()
