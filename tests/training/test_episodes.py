"""Episodes: what they hold, what they never hold, and that they depend on nothing but seed and step."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.collection import DomainTensors
from training.episodes import EpisodeSampler, build_pool, evaluation_episodes, feasible_queries


def domain(name: str, sizes: list[int], units: list[int] | None = None, dimensions: int = 4) -> DomainTensors:
    """A domain whose features name their row: features_ND[i, 0] = i."""
    class_N = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    count = len(class_N)
    features_ND = torch.zeros(count, dimensions)
    features_ND[:, 0] = torch.arange(count)
    unit_N = torch.tensor(units) if units else torch.arange(count)
    return DomainTensors(name, features_ND, class_N, unit_N, ("train",) * count, tuple(f"c{i}" for i in range(len(sizes))))


def sampler(
    domains: list[DomainTensors], n_way: int = 3, min_shot: int = 1, max_shot: int = 3, n_query: int = 2, seed: int = 0
):
    return EpisodeSampler(domains, n_way, min_shot, max_shot, n_query, batch=8, seed=seed)


@given(
    sizes=st.lists(st.integers(6, 12), min_size=3, max_size=7),
    share=st.integers(1, 4),
    seed=st.integers(0, 2**31 - 1),
    step=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_an_episode_is_balanced_and_its_units_never_straddle(sizes: list[int], share: int, seed: int, step: int) -> None:
    count = sum(sizes)
    units = [row - row % share if row < count // 2 else row for row in range(count)]  # half of the images have copies
    one = domain("one", [size * share for size in sizes], None)
    one = domain("one", sizes, units) if share == 1 else one
    two = domain("two", [20] * 4, [row // 2 for row in range(80)])
    drawn = sampler([one, two], seed=seed)
    batch = drawn(step)
    class_N = torch.cat([one.class_N, two.class_N + 100])
    unit_N = torch.cat([one.unit_N, two.unit_N + 10_000])
    n_shot = batch.support_BS.shape[1] // 3
    for episode in range(len(batch)):
        support, query = batch.support_BS[episode], batch.query_BQ[episode][batch.weight_BQ[episode] > 0]
        support_label = batch.support_label_BS[episode]
        query_label = batch.query_label_BQ[episode][batch.weight_BQ[episode] > 0]
        assert torch.bincount(support_label).tolist() == [n_shot] * 3
        assert len(set(torch.bincount(query_label).tolist())) == 1
        assert not set(support.tolist()) & set(query.tolist())
        seen = unit_N[torch.cat([support, query])]
        assert len(set(seen.tolist())) == len(seen)
        named = {(int(c), int(y)) for c, y in zip(class_N[support], support_label, strict=True)}
        named |= {(int(c), int(y)) for c, y in zip(class_N[query], query_label, strict=True)}
        assert len(named) == 3
        assert len({label for _, label in named}) == 3
        assert len({c // 100 for c, _ in named}) == 1  # one domain an episode


def test_equal_seed_and_step_give_equal_episodes_whatever_came_before() -> None:
    domains = [domain("a", [8] * 5), domain("b", [9] * 6)]
    one, other = sampler(domains), sampler(domains)
    one(0)
    for field in ("support_BS", "support_label_BS", "query_BQ", "query_label_BQ", "weight_BQ"):
        assert torch.equal(getattr(one(5), field), getattr(other(5), field))
    assert not torch.equal(one(5).query_label_BQ, one(7).query_label_BQ)
    assert not torch.equal(sampler(domains, seed=1)(5).query_label_BQ, one(5).query_label_BQ)


def test_labels_shots_domains_and_query_order_vary() -> None:
    one = domain("a", [8] * 3)
    two = domain("b", [8] * 3)
    drawn = sampler([one, two])
    orders, labels, shots, domains = set(), set(), set(), set()
    for step in range(40):
        batch = drawn(step)
        shots.add(batch.support_BS.shape[1] // 3)
        for episode in range(len(batch)):
            orders.add(tuple(batch.query_label_BQ[episode].tolist()))
            row = batch.support_BS[episode]
            domains.add(bool(row[0] >= 24))
            first_of_class = {int(i % 24) // 8: int(y) for i, y in zip(row, batch.support_label_BS[episode], strict=True)}
            labels.add(tuple(first_of_class[c] for c in range(3)))
    assert len(labels) == 6  # every permutation of three labels
    assert len(orders) > 50
    assert shots == {1, 2, 3}
    assert domains == {False, True}


def test_each_image_is_as_likely_as_any_other() -> None:
    pool = domain("a", [10] * 4)
    counts = torch.zeros(40)
    drawn = sampler([pool], n_way=2, min_shot=1, max_shot=1, n_query=1)
    for step in range(400):
        batch = drawn(step)
        counts += torch.bincount(torch.cat([batch.support_BS, batch.query_BQ], dim=1).flatten(), minlength=40)
    expected = float(counts.sum()) / 40
    assert (counts - expected).abs().max() < 5 * expected**0.5


def test_a_unit_over_two_classes_counts_for_one() -> None:
    one = domain("a", [3, 3, 3], [0, 1, 2, 2, 4, 5, 6, 7, 8])  # the copy of image 2 stands in the next class
    assert build_pool(one).size_C.tolist() == [3, 2, 3]
    assert set(build_pool(one).rows_N.tolist()) == {0, 1, 2, 4, 5, 6, 7, 8}


def test_units_that_span_all_classes_are_dealt_out_evenly() -> None:
    patients = 12  # each with two images in each of three classes
    one = domain("slides", [2 * patients] * 3, [number // 2 for _ in range(3) for number in range(2 * patients)])
    pool = build_pool(one)
    assert pool.size_C.tolist() == [4, 4, 4]
    assert pool.images_K.tolist() == [2] * patients
    for step in range(20):
        batch = sampler([one], n_way=3, min_shot=1, max_shot=1, n_query=2)(step)
        drawn = torch.cat([batch.support_BS, batch.query_BQ], dim=1)
        assert all(len(one.unit_N[rows].unique()) == 9 for rows in drawn), "two images of one patient met"


def test_too_small_a_class_is_named_with_what_was_needed() -> None:
    small = domain("beads", [3, 9, 9])
    with pytest.raises(
        ValueError, match=r"domain 'beads': 3-way 3-shot .* need 3 classes with 4 .*found 2 of 3 \(class 'c0' has 3\)"
    ):
        sampler([small])
    with pytest.raises(ValueError, match=r"need 5 classes .* found 3 of 3"):
        evaluation_episodes(domain("beads", [9, 9, 9]), 5, 1, 5, 10, 0)
    with pytest.raises(ValueError, match="at least one"):
        sampler([])


def test_queries_are_reduced_so_that_four_fifths_of_the_classes_take_part() -> None:
    uneven = domain("a", [14] * 9 + [6])
    assert feasible_queries(uneven, build_pool(uneven), 5, 5, 15) == 9
    drawn = evaluation_episodes(uneven, 5, 5, 15, 50, 0)
    assert drawn.query_BQ.shape == (50, 45)
    assert int(drawn.query_BQ.max()) < 9 * 14  # the class of six is left out
    half = domain("a", [14] * 5 + [5] * 5)
    assert feasible_queries(half, build_pool(half), 5, 5, 15) == 1
    plenty = domain("a", [40] * 5)
    assert feasible_queries(plenty, build_pool(plenty), 5, 5, 15) == 15


def test_evaluation_episodes_are_drawn_once_and_hold_for_any_company() -> None:
    one = domain("a", [30] * 6)
    first, again = evaluation_episodes(one, 5, 5, 15, 20, 3), evaluation_episodes(one, 5, 5, 15, 20, 3)
    assert torch.equal(first.query_BQ, again.query_BQ)
    assert not torch.equal(first.query_BQ, evaluation_episodes(one, 5, 5, 15, 20, 4).query_BQ)
    assert first.support_BS.shape == (20, 25)
    assert bool((first.weight_BQ == 1).all())


def test_domains_with_fewer_queries_are_padded_with_weight_zero() -> None:
    drawn = sampler([domain("few", [4] * 3), domain("many", [20] * 3)], min_shot=3, max_shot=3, n_query=5)
    batch = drawn(0)
    per_episode = batch.weight_BQ.sum(dim=1)
    assert set(per_episode.tolist()) == {3.0, 15.0}
    assert bool(((batch.support_BS[:, 0] < 12) == (per_episode == 3.0)).all())
