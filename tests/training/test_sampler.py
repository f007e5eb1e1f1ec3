"""The sampler: pools by their chances, phases in equal times, forms of a step, what cannot be drawn."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_features import domain, sampler, separate_pools
from test_episodes import same

from pipelines.training_settings import Training
from training.sampler import EpisodeSampler, Schedule, ways_and_shots

THREE = [domain("a", [8] * 4), domain("b", [9] * 5), domain("c", [7] * 3)]
ENDS = torch.tensor([32, 77, 98])


def drawn(shares: list[float], steps: int = 250) -> torch.Tensor:
    """How many episodes of each of the three domains."""
    one = sampler(THREE, shares=shares, batch=32)
    rows = torch.cat([found.support_BS[:, 0] for found in one.at_once(range(steps), 0, 32).values()])
    return torch.bincount(torch.bucketize(rows, ENDS, right=True), minlength=3)


@pytest.mark.parametrize("shares", [[1.0, 1.0, 1.0], [0.6, 0.3, 0.1], [5.0, 0.0, 15.0], [0.0, 1.0, 0.0]])
def test_domains_are_drawn_by_their_weight(shares: list[float]) -> None:
    found, expected = drawn(shares).double(), torch.tensor(shares).double() * 8000 / sum(shares)
    assert int(found.sum()) == 8000
    there = expected > 0
    assert float(found[~there].sum()) == 0
    assert float(((found - expected) ** 2 / expected)[there].sum()) < 13.8  # chi-square of 2 degrees, 0.1 %


@given(steps=st.integers(1, 500), phases=st.integers(1, 12))
@settings(deadline=None)
def test_phases_come_in_order_and_take_equal_times(steps: int, phases: int) -> None:
    schedule = Schedule(torch.eye(phases), steps)
    of_step = [schedule.phase(step) for step in range(steps)]
    assert of_step == sorted(of_step)
    lengths = Counter(of_step)
    assert max(lengths.values()) - min(lengths[phase] for phase in range(phases)) <= 1
    assert schedule.phase(steps) == schedule.phase(10 * steps) == phases - 1
    if steps >= phases:
        assert [schedule.start(phase) for phase in range(phases)] == [of_step.index(phase) for phase in range(phases)]


@given(
    steps=st.lists(st.integers(0, 300), min_size=1, max_size=8, unique=True),
    seed=st.integers(0, 2**31 - 1),
    shots=st.sampled_from(["equal", "varied"]),
    start=st.integers(0, 4),
    size=st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_steps_drawn_together_are_those_drawn_alone(steps: list[int], seed: int, shots: str, start: int, size: int) -> None:
    asked = Training(n_way=3, min_way=2, max_shot=3, n_query=2, batch=8, shots=shots)  # type: ignore[arg-type]
    share_PG = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.2, 0.6]])
    one = EpisodeSampler(separate_pools(THREE), asked, Schedule(share_PG, 300), seed)
    together = one.at_once(steps, start, start + size)
    assert set(together) == set(steps)
    assert all(same(together[step], one(step, start, start + size)) for step in steps)
    assert all(len(found) == size for found in together.values())


def test_ways_and_shots_are_equally_likely_and_of_the_step_alone() -> None:
    asked = Training(n_way=4, min_way=3, min_shot=2, max_shot=4)
    found = Counter(ways_and_shots(asked, 5, step) for step in range(6000))
    assert set(found) == {(n_way, n_shot) for n_way in (3, 4) for n_shot in (2, 3, 4)}
    assert sum((count - 1000) ** 2 / 1000 for count in found.values()) < 20.5  # chi-square of 5 degrees, 0.1 %
    one = sampler(THREE, min_way=2)
    for step in range(20):
        form = one.form(step)
        assert one(step, 0, 1).support_BS.shape == one(step, 5, 6).support_BS.shape == (1, form.n_way * form.n_shot)


@pytest.mark.parametrize(
    ("sizes", "asked", "told"),
    [
        ([9, 3, 9], {}, r"domain 'late': 3-way 3-shot .* 3 classes with 4 or more .*, found 2 of 3 \(class 'c1' has 3\)"),
        ([9, 9], {}, r"domain 'late': 3-way 3-shot .* found 2 of 2;"),
        ([9] * 3, {"max_shot": 9}, r"domain 'late': 3-way 9-shot .* with 10 or more .* found 0 of 3 \(class 'c2' has 9\)"),
        ([1, 9, 9], {"shots": "varied"}, r"domain 'late': 3-way 1-shot .* found 2 of 3 \(class 'c0' has 1\)"),
        ([0], {}, r"domain 'late': .* found 0 of 0;"),
    ],
)
def test_what_cannot_be_drawn_is_told_at_the_start(sizes: list[int], asked: dict[str, object], told: str) -> None:
    early = domain("early", [20] * 5)
    with pytest.raises(ValueError, match=f"^{told}") as error:
        sampler([early, domain("late", sizes)], **asked)
    assert "\n" not in str(error.value)
    sampler([early, domain("late", [20] * 3)], **asked)
