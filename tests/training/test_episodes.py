"""Episodes: what they hold, what they never hold, and that they depend on nothing but seed, step and number."""

from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_features import domain, sampler

from training.collection import DomainTensors
from training.episodes import Episodes, evaluation_episodes

Sizes = list[int]
GOLDEN_SUPPORT = [[68, 87, 86, 67, 63, 64], [11, 28, 34, 38, 24, 9]]
GOLDEN_SUPPORT_LABEL = [[2, 1, 1, 2, 0, 0], [2, 1, 0, 0, 1, 2]]
GOLDEN_QUERY = [[69, 91, 62, 61, 89, 70], [36, 27, 8, 39, 15, 29]]
GOLDEN_QUERY_LABEL = [[2, 1, 0, 0, 1, 2], [0, 1, 2, 0, 2, 1]]


def same(one: Episodes, other: Episodes) -> bool:
    """Whether all tensors are equal."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Episodes)]
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def together(domains: list[DomainTensors]) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes and units of all rows; those of one domain are unlike those of another."""
    numbered = [(each, 10_000 * number) for number, each in enumerate(domains)]
    return torch.cat([d.class_N + n for d, n in numbered]), torch.cat([d.unit_N + n for d, n in numbered])


@given(
    sizes=st.lists(st.integers(6, 12), min_size=3, max_size=7),
    share=st.integers(1, 4),
    shots=st.sampled_from(["equal", "varied"]),
    min_way=st.integers(2, 3),
    seed=st.integers(0, 2**31 - 1),
    step=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_an_episode_is_balanced_and_its_units_never_straddle(
    sizes: Sizes, share: int, shots: str, min_way: int, seed: int, step: int
) -> None:
    count = sum(sizes) * share
    units = [row - row % share if row < count // 2 else row for row in range(count)]  # half of the images have copies
    domains = [domain("one", [size * share for size in sizes], units), domain("two", [20] * 4, [r // 2 for r in range(80)])]
    batch = sampler(domains, seed=seed, shots=shots, min_way=min_way)(step)
    class_N, unit_N = together(domains)
    assert min_way <= batch.n_way <= 3
    assert batch.support_BS.shape[1] in {batch.n_way * n_shot for n_shot in (1, 2, 3)}
    assert (batch.support_weight_BS is None) == (shots == "equal")
    for episode in range(len(batch)):
        taken_S = slice(None) if batch.support_weight_BS is None else batch.support_weight_BS[episode] > 0
        support, support_label = batch.support_BS[episode][taken_S], batch.support_label_BS[episode][taken_S]
        counts_Q = batch.weight_BQ[episode] > 0
        query, query_label = batch.query_BQ[episode][counts_Q], batch.query_label_BQ[episode][counts_Q]
        shots_W = torch.bincount(support_label, minlength=batch.n_way)
        most = batch.support_BS.shape[1] // batch.n_way
        assert shots_W.tolist() == [most] * batch.n_way if shots == "equal" else int(shots_W.min()) >= 1
        assert int(shots_W.max()) <= most
        assert len(set(torch.bincount(query_label, minlength=batch.n_way).tolist())) == 1
        rows = torch.cat([support, query])
        assert len(unit_N[rows].unique()) == len(rows)  # of a unit one image, so no image and no copy twice
        assert not set(unit_N[batch.support_BS[episode]].tolist()) & set(unit_N[query].tolist())  # nor in the padding
        labelled = set(zip(class_N[rows].tolist(), torch.cat([support_label, query_label]).tolist(), strict=True))
        assert len(labelled) == len({label for _, label in labelled}) == batch.n_way
        assert len({number // 10_000 for number, _ in labelled}) == 1  # one domain an episode


@given(
    seed=st.integers(0, 2**31 - 1),
    step=st.integers(0, 10**6),
    cut=st.integers(0, 8),
    shots=st.sampled_from(["equal", "varied"]),
)
@settings(max_examples=30, deadline=None)
def test_parts_of_a_batch_are_the_batch(seed: int, step: int, cut: int, shots: str) -> None:
    drawn = sampler([domain("a", [8] * 5), domain("b", [9] * 6)], seed=seed, shots=shots, min_way=2)
    whole = drawn(step)
    assert same(drawn(step, 0, cut), whole.part(0, cut))
    assert same(drawn(step, cut, 8), whole.part(cut, 8))


def test_equal_seed_and_step_give_equal_episodes_whatever_came_before() -> None:
    domains = [domain("a", [8] * 5), domain("b", [9] * 6)]
    one, other = sampler(domains), sampler(domains)
    one(0)
    assert same(one(5), other(5))
    assert not torch.equal(one(5).query_label_BQ, one(7).query_label_BQ)
    assert not torch.equal(sampler(domains, seed=1)(5).query_label_BQ, one(5).query_label_BQ)


def test_draws_are_those_that_they_were() -> None:
    """Known values: whoever changes the noise changes every training."""
    batch = sampler([domain("a", [8] * 5), domain("b", [9] * 6)], seed=3, min_shot=2, max_shot=2)(11, 0, 2)
    assert batch.support_BS.tolist() == GOLDEN_SUPPORT
    assert batch.support_label_BS.tolist() == GOLDEN_SUPPORT_LABEL
    assert batch.query_BQ.tolist() == GOLDEN_QUERY
    assert batch.query_label_BQ.tolist() == GOLDEN_QUERY_LABEL


def test_labels_shots_ways_domains_and_orders_vary() -> None:
    drawn = sampler([domain("a", [8] * 3), domain("b", [8] * 3)], min_way=2)
    query_orders, support_orders, labels, forms, domains = set(), set(), set(), set(), set()
    for step in range(60):
        batch = drawn(step)
        forms.add((batch.n_way, batch.support_BS.shape[1] // batch.n_way))
        for episode in range(len(batch)):
            row, label = batch.support_BS[episode], batch.support_label_BS[episode]
            query_orders.add(tuple(batch.query_label_BQ[episode].tolist()))
            support_orders.add(tuple(label.tolist()))
            domains.add(bool(row[0] >= 24))
            if batch.n_way == 3:
                of_class = {int(i % 24) // 8: int(y) for i, y in zip(row, label, strict=True)}
                labels.add(tuple(of_class[number] for number in range(3)))
    assert len(labels) == 6  # every permutation of three labels
    assert min(len(query_orders), len(support_orders)) > 50
    assert forms == {(n_way, n_shot) for n_way in (2, 3) for n_shot in (1, 2, 3)}
    assert domains == {False, True}


def test_each_image_and_each_label_is_as_likely_as_any_other() -> None:
    drawn = sampler([domain("a", [10, 10, 10, 30])], n_way=2, max_shot=1, n_query=1, batch=4000)
    batch = drawn(0)
    rows, labels = batch.support_BS, batch.support_label_BS
    images_N = torch.bincount(rows.flatten(), minlength=60)[:30].double()
    expected = 4000 * 2 / 4 / 10
    assert float(((images_N - expected) ** 2 / expected).sum()) < 59.7  # chi-square of 30 degrees, 0.1 %
    classes_C = torch.bincount((rows.flatten() // 10).clamp(max=3)).double()
    assert float(((classes_C - 2000) ** 2 / 2000).sum()) < 16.3  # classes are drawn, not images
    low_first = labels.gather(1, (rows // 10).argsort(dim=1))[:, 0].double()
    assert abs(float(low_first.mean()) - 0.5) < 0.03


def test_varied_shots_reach_both_ends() -> None:
    batch = sampler([domain("a", [60] * 6)], n_way=5, min_shot=2, max_shot=9, n_query=3, batch=200, shots="varied")
    found = set()
    for step in range(12):
        drawn = batch(step)
        assert drawn.support_weight_BS is not None
        label_BS = drawn.support_label_BS
        for label in range(5):
            found |= set(((label_BS == label) * drawn.support_weight_BS).sum(dim=1).int().tolist())
    assert found <= set(range(2, 10))
    assert {2, 9} <= found


def test_classes_with_few_images_take_part_where_shots_vary() -> None:
    small = [domain("a", [4, 4, 4, 4, 40])]
    with pytest.raises(ValueError, match=r"3-way 8-shot .*found 1 of 5 \(class 'c3' has 4\)"):
        sampler(small, max_shot=8)
    drawn = sampler(small, max_shot=8, shots="varied")
    for step in range(20):
        batch = drawn(step)
        assert batch.support_weight_BS is not None
        of_small_BS = (batch.support_BS < 16) * batch.support_weight_BS
        assert int(of_small_BS.sum(dim=1).max()) <= 3 * 2


def test_evaluation_episodes_are_drawn_once_and_hold_for_any_company() -> None:
    one = domain("a", [30] * 6)
    first = evaluation_episodes(one, 5, 5, 15, 20, 3)
    assert same(first, evaluation_episodes(one, 5, 5, 15, 20, 3))
    assert same(first.part(0, 7), evaluation_episodes(one, 5, 5, 15, 7, 3))
    assert not torch.equal(first.query_BQ, evaluation_episodes(one, 5, 5, 15, 20, 4).query_BQ)
    assert first.support_BS.shape == (20, 25)
    assert bool((first.weight_BQ == 1).all())
    uneven = evaluation_episodes(domain("a", [14] * 9 + [6]), 5, 5, 15, 50, 0)
    assert uneven.query_BQ.shape == (50, 45)
    assert int(uneven.query_BQ.max()) < 9 * 14  # the class of six is left out


def test_domains_with_fewer_queries_are_padded_with_weight_zero() -> None:
    batch = sampler([domain("few", [4] * 3), domain("many", [20] * 3)], min_shot=3, max_shot=3, n_query=5)(0)
    per_episode = batch.weight_BQ.sum(dim=1)
    assert set(per_episode.tolist()) == {3.0, 15.0}
    assert bool(((batch.support_BS[:, 0] < 12) == (per_episode == 3.0)).all())


def test_a_domain_of_a_million_images_costs_no_wide_table() -> None:
    """Two classes of half a million: a table of 64 episodes by 2 classes by units would be 512 MB."""
    drawn = sampler([domain("large", [500_000] * 2, dimensions=1)], n_way=2, batch=64)
    batch = drawn(0)
    assert max(tensor.numel() for tensor in (batch.support_BS, batch.query_BQ)) == 64 * batch.support_BS.shape[1]
    assert int(batch.support_BS.max()) > 900_000
