"""Regimes: which domains and classes are drawn from, in what order, and how much of them."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_features import domain

from pipelines.training_settings import Training
from training.collection import DomainTensors, unit_rows
from training.regimes import Regime, baseline_accuracy, domain_order, regime_of, sequence_shares
from training.sampler import EpisodeSampler

SMALL = {"n_way": 2, "max_shot": 2, "n_query": 1, "batch": 40}
THREE = [domain("a", [6] * 3), domain("b", [6] * 3), domain("c", [6] * 3)]


def asked(**settings: object) -> Training:
    return Training(**SMALL | settings)  # type: ignore[arg-type]


def domains_drawn(regime: Regime, wanted: Training, step: int) -> list[str]:
    """The domain of each episode of the step."""
    ends = torch.tensor([len(each.class_N) for each in regime.domains]).cumsum(0)
    rows = EpisodeSampler(regime.pools, wanted, regime.schedule, 0)(step).support_BS[:, 0].contiguous()
    return [regime.domains[number].name for number in torch.bucketize(rows, ends, right=True).tolist()]


def noisy(name: str, noise: float, subject: str = "") -> DomainTensors:
    """A domain whose classes are the harder to tell the more noise there is; half of it is no train image."""
    generator = torch.Generator().manual_seed(0)
    mean_C1D = torch.randn(4, 1, 8, generator=generator)
    features_ND = unit_rows((mean_C1D + noise * torch.randn(4, 20, 8, generator=generator)).flatten(0, 1))
    class_N = torch.arange(4).repeat_interleave(20)
    split_N = tuple("train" if row % 2 else "test" for row in range(80))
    return DomainTensors(name, features_ND, class_N, torch.arange(80), split_N, tuple("wxyz"), subject=subject)


GRADED = [noisy("middle", 1.0, "birds"), noisy("easy", 0.3, "art"), noisy("hard", 3.0, "birds")]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("given", ["middle", "easy", "hard"]),
        ("easy_to_hard", ["easy", "middle", "hard"]),
        ("hard_to_easy", ["hard", "middle", "easy"]),
        ("by_subject", ["easy", "middle", "hard"]),
    ],
)
def test_a_sequence_goes_through_its_domains_in_order(order: str, expected: list[str]) -> None:
    wanted = asked(regime="sequence", order=order)
    assert domain_order(GRADED, wanted, 0) == expected
    regime = regime_of(GRADED, wanted, 0, 90)
    assert [each.name for each in regime.domains] == expected
    for step in range(0, 90, 7):
        assert set(domains_drawn(regime, wanted, step)) == {expected[step // 30]}


def test_a_random_order_is_of_the_seed_and_any_may_come() -> None:
    wanted = asked(regime="sequence", order="random")
    found = [tuple(domain_order(THREE, wanted, seed)) for seed in range(300)]
    assert set(found) == set(permutations("abc"))
    assert min(Counter(found).values()) > 25  # 50 expected
    assert found[:20] == [tuple(domain_order(THREE, wanted, seed)) for seed in range(20)]


def test_difficulty_is_that_of_split_train_alone() -> None:
    one = noisy("a", 0.3)
    hidden = torch.tensor([split == "test" for split in one.split_N])
    other = replace(one, features_ND=torch.where(hidden.unsqueeze(1), torch.zeros(8), one.features_ND))
    assert baseline_accuracy(one, asked(), 0) == baseline_accuracy(other, asked(), 0) > 0.9
    assert baseline_accuracy(noisy("a", 3.0), asked(), 0) < 0.8


@given(st.integers(1, 9), st.floats(0, 1))
def test_shares_of_a_sequence(domains: int, replay: float) -> None:
    share_PG = sequence_shares(domains, replay)
    torch.testing.assert_close(share_PG.sum(dim=1), torch.ones(domains, dtype=torch.float64))
    for phase in range(domains):
        assert share_PG[phase, phase + 1 :].tolist() == [0.0] * (domains - phase - 1)  # nothing of what is to come
        assert share_PG[phase, :phase].tolist() == pytest.approx([replay / max(1, phase)] * phase)


def test_replay_brings_back_the_domains_before_equally_often() -> None:
    wanted = asked(regime="sequence", replay=0.3, batch=400)
    regime = regime_of(THREE, wanted, 0, 30)
    counts = [
        Counter(name for step in range(first, first + 10) for name in domains_drawn(regime, wanted, step))
        for first in (0, 10, 20)
    ]
    assert counts[0] == {"a": 4000}
    assert set(counts[1]) == {"a", "b"}
    assert counts[1]["a"] / 4000 == pytest.approx(0.3, abs=0.03)
    assert counts[2]["a"] / 4000 == pytest.approx(0.15, abs=0.025)
    assert counts[2]["b"] / 4000 == pytest.approx(0.15, abs=0.025)


def test_merged_classes_of_one_name_stay_apart_and_mix_in_an_episode() -> None:
    wanted = asked(regime="merged", n_way=3, batch=2000)
    regime = regime_of(THREE[:2], wanted, 0, 10)
    assert int(regime.pools.classes_G) == 6
    class_N = torch.cat([THREE[0].class_N, THREE[1].class_N + 3])
    batch = EpisodeSampler(regime.pools, wanted, regime.schedule, 0)(0)
    class_BS = class_N[batch.support_BS]
    for of_episode, labels in zip(class_BS.tolist(), batch.support_label_BS.tolist(), strict=True):
        pairs = set(zip(of_episode, labels, strict=True))
        assert len(pairs) == len({number for number, _ in pairs}) == 3  # a label is one class of one domain
    classes_BW = torch.stack([row.unique() for row in class_BS])
    assert bool(((classes_BW % 3)[:, :, None] == (classes_BW % 3)[:, None]).sum(dim=(1, 2)).max() > 3)  # namesakes meet
    counts_C = torch.bincount(classes_BW.flatten()).double()
    assert float(((counts_C - 1000) ** 2 / 1000).sum()) < 20.5  # chi-square, 0.1 %: any class, whatever its domain


@given(classes=st.integers(2, 12), per_class=st.integers(3, 5), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_one_domain_and_several_get_the_same_budget(classes: int, per_class: int, seed: int) -> None:
    large, small = domain("large", [9] * 14), [domain(name, [6] * 6) for name in "pq"]
    budget = {"classes": classes, "images": classes * per_class}
    for regime in ("single", "merged"):
        wanted = asked(regime=regime, budget=budget, n_way=2)
        found = regime_of([*small, large], wanted, seed, 10)
        assert int(found.pools.classes_G) == classes
        assert len(found.pools.rows_N) == len(found.pools.rows_N.unique()) == budget["images"]
        assert set(found.pools.size_C.tolist()) == {per_class}
        rows = EpisodeSampler(found.pools, wanted, found.schedule, seed)(3)
        assert set(rows.support_BS.flatten().tolist()) <= set(found.pools.rows_N.tolist())
        assert [each.name for each in found.domains] == (["large"] if regime == "single" else ["p", "q", "large"])


def test_single_is_the_domain_named_or_that_with_most_train_images() -> None:
    held = replace(domain("held", [30] * 3), split_N=("test",) * 90)
    pair = [domain("a", [6] * 3), domain("b", [8] * 3), held]
    assert [each.name for each in regime_of(pair, asked(regime="single"), 0, 5).domains] == ["b"]
    assert [each.name for each in regime_of(pair, asked(regime="single", single="a"), 0, 5).domains] == ["a"]
    with pytest.raises(ValueError, match=r"^training.single: expected a train domain \(a, b, held\), found 'z'$"):
        regime_of(pair, asked(regime="single", single="z"), 0, 5)


def test_what_a_regime_lacks_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"^no domain to draw episodes from: expected at least one$"):
        regime_of([], asked(), 0, 5)
    with pytest.raises(ValueError, match=r"^domain 'easy': training.order by_subject needs a subject on its card, found none$"):
        regime_of([GRADED[0], replace(GRADED[1], subject="")], asked(regime="sequence", order="by_subject"), 0, 5)
    with pytest.raises(ValueError, match=r"^domain 'hard': 9-way"):
        regime_of(GRADED[2:], asked(regime="sequence", order="easy_to_hard", n_way=9), 0, 5)
    empty = [replace(each, split_N=("test",) * len(each.class_N)) for each in THREE]
    with pytest.raises(ValueError, match=r"^no image in split train of domain 'a', 'b', 'c'; "):
        regime_of(empty, asked(domain_weights="proportional"), 0, 5)
    merged = asked(regime="merged", n_way=6)
    regime = regime_of([domain("a", [6] * 5), domain("b", [6, 2])], merged, 0, 5)
    EpisodeSampler(regime.pools, merged, regime.schedule, 0)
    few = regime_of([domain("a", [6] * 4), domain("b", [6, 2])], merged, 0, 5)
    with pytest.raises(ValueError, match=r"^the 2 merged domains: 6-way 2-shot .* found 5 of 6 \(class 'b/c1' has 2\)"):
        EpisodeSampler(few.pools, merged, few.schedule, 0)
