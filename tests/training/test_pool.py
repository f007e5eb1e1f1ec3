"""Pools: units of classes, units over classes, who may take part."""

import pytest
import torch
from made_features import domain, separate_pools

from training.pool import feasible_queries, pools_of, units_of


def test_a_unit_over_two_classes_counts_for_one() -> None:
    one = domain("a", [3, 3, 3], [0, 1, 2, 2, 4, 5, 6, 7, 8])  # the copy of image 2 stands in the next class
    assert units_of(one).size_C.tolist() == [3, 2, 3]
    assert set(units_of(one).rows_N.tolist()) == {0, 1, 2, 4, 5, 6, 7, 8}


def test_units_that_span_all_classes_are_dealt_out_evenly() -> None:
    patients = 12  # each with two images in each of three classes
    one = domain("slides", [2 * patients] * 3, [number // 2 for _ in range(3) for number in range(2 * patients)])
    units = units_of(one)
    assert units.size_C.tolist() == [4, 4, 4]
    assert units.images_K.tolist() == [2] * patients


def test_tables_lead_from_a_class_to_its_images_and_no_further() -> None:
    domains = [domain("a", [2, 0, 5], [0, 0, 2, 3, 3, 5, 6]), domain("b", [3, 4])]
    pools = separate_pools(domains)
    assert [pools.sizes(pool).tolist() for pool in (0, 1)] == [[4, 1], [4, 3]]  # largest first, without the empty class
    assert pools.labels == ("c2", "c0", "c1", "c0")
    assert pools.domain_C.tolist() == [0, 0, 1, 1]
    class_N = torch.cat([domains[0].class_N, domains[1].class_N + 10])
    for place, number in enumerate([2, 0, 11, 10]):
        units = range(int(pools.unit_C[place]), int(pools.unit_C[place] + pools.size_C[place]))
        places = [int(pools.first_K[unit]) + i for unit in units for i in range(int(pools.images_K[unit]))]
        assert sorted(pools.rows_N[places].tolist()) == (class_N == number).nonzero().squeeze(1).tolist()


def test_only_kept_images_are_in_a_pool_and_without_labels_all_are_of_one_class() -> None:
    one = domain("a", [3, 3])
    keep_N = torch.tensor([True, False, True, False, False, True])
    assert units_of(one, keep_N).rows_N.tolist() == [0, 2, 5]
    whole = units_of(one, keep_N, labels=False)
    assert whole.size_C.tolist() == [3]
    assert whole.rows_N.tolist() == [0, 2, 5]


def test_domains_join_to_one_pool_and_keep_their_classes_apart() -> None:
    domains = [domain("a", [4, 4]), domain("b", [5])]
    pools = pools_of([units_of(each) for each in domains], ["both"], [0, 8], [0, 0])
    assert pools.sizes(0).tolist() == [5, 4, 4]
    assert feasible_queries(pools, 0, 3, 2, 5) == 2
    with pytest.raises(ValueError, match=r"both: 4-way 2-shot .* need 4 classes .*found 3 of 3"):
        feasible_queries(pools, 0, 4, 2, 5)


def test_queries_are_reduced_so_that_four_fifths_of_the_classes_take_part() -> None:
    def queries(sizes: list[int]) -> int:
        return feasible_queries(separate_pools([domain("a", sizes)]), 0, 5, 5, 15)

    assert queries([14] * 9 + [6]) == 9
    assert queries([14] * 5 + [5] * 5) == 1
    assert queries([40] * 5) == 15


def test_too_small_a_class_is_named_with_what_was_needed() -> None:
    with pytest.raises(
        ValueError, match=r"^domain 'beads': 3-way 3-shot .* need 3 classes with 4 .*found 2 of 3 \(class 'c0' has 3\)"
    ):
        feasible_queries(separate_pools([domain("beads", [3, 9, 9])]), 0, 3, 3, 2)
    with pytest.raises(ValueError, match=r"need 5 classes .* found 3 of 3"):
        feasible_queries(separate_pools([domain("beads", [9, 9, 9])]), 0, 5, 1, 5)
