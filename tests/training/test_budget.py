"""Budgets: as much as they name, spread evenly, from different images first."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_features import domain

from pipelines.training_settings import Training
from training.budget import even_parts, within_budget


def asked(budget: dict[str, int], **settings: object) -> Training:
    return Training(**{"n_way": 2, "max_shot": 2, "n_query": 1, "budget": budget} | settings)


@given(st.lists(st.integers(0, 30), max_size=12).flatmap(lambda s: st.tuples(st.just(s), st.integers(0, sum(s)))))
def test_what_is_dealt_out_adds_up_and_is_even(sizes_and_total: tuple[list[int], int]) -> None:
    sizes, total = sizes_and_total
    parts = even_parts(sizes, total)
    assert sum(parts) == total
    assert all(0 <= part <= size for part, size in zip(parts, sizes, strict=True))
    open_parts = [part for part, size in zip(parts, sizes, strict=True) if part < size]
    assert not open_parts or max(parts) - min(open_parts) <= 1  # nobody has more than one that could have had more


@given(
    sizes=st.lists(st.lists(st.integers(3, 9), min_size=2, max_size=5), min_size=1, max_size=3),
    seed=st.integers(0, 2**31 - 1),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_training_sees_as_many_classes_and_images_as_the_budget_names(
    sizes: list[list[int]], seed: int, data: st.DataObject
) -> None:
    domains = [domain(f"d{number}", each) for number, each in enumerate(sizes)]
    classes = data.draw(st.integers(2 * len(domains), sum(map(len, sizes))))
    settings = asked({"classes": classes})
    if min(even_parts([len(each) for each in sizes], classes)) < 2:
        with pytest.raises(ValueError, match="classes for 2-way episodes"):
            within_budget(domains, settings, seed)
        return
    kept = within_budget(domains, settings, seed)
    seen = [torch.unique(each.class_N[keep]) for each, keep in zip(domains, kept, strict=True)]
    assert sum(map(len, seen)) == classes
    for each, keep, found in zip(domains, kept, seen, strict=True):
        assert torch.equal(keep, torch.isin(each.class_N, found))  # whole classes
    there = int(sum(keep.sum() for keep in kept))
    images = data.draw(st.integers(classes, there))
    both = within_budget(domains, asked({"classes": classes, "images": images}), seed)
    assert int(sum(keep.sum() for keep in both)) == images
    assert all(bool((one <= other).all()) for one, other in zip(both, kept, strict=True))
    again = within_budget(domains, asked({"classes": classes, "images": images}), seed)
    assert all(torch.equal(one, other) for one, other in zip(both, again, strict=True))


def test_images_are_spread_over_classes_and_copies_come_last() -> None:
    units = [0, 0, 0, 0, 1, 2, *range(10, 16), *range(20, 26)]  # four copies of one picture in the first class
    one = domain("a", [6, 6, 6], units)
    for seed in range(20):
        (keep_N,) = within_budget([one], asked({"images": 9}), seed)
        assert torch.bincount(one.class_N[keep_N]).tolist() == [3, 3, 3]
        assert len(one.unit_N[keep_N].unique()) == 9
        (more_N,) = within_budget([one], asked({"images": 12}), seed)
        assert len(one.unit_N[more_N].unique()) == 11  # the fourth of the first class can only be a copy


def test_the_lot_changes_with_the_seed_and_only_split_train_is_in_it() -> None:
    one = domain("a", [9] * 6)
    split_N = tuple("train" if row % 3 else "test" for row in range(54))
    parted = type(one)(one.name, one.features_ND, one.class_N, one.unit_N, split_N, one.classes)
    kept = [within_budget([parted], asked({"classes": 3, "images": 12}), seed)[0] for seed in range(40)]
    assert not any(bool(keep[::3].any()) for keep in kept)
    chosen = torch.stack(kept).sum(dim=0)
    assert int(chosen.reshape(18, 3)[:, 1:].min()) > 0  # every train image has its turn
    (whole,) = within_budget([parted], asked({}), 0)
    assert torch.equal(whole, torch.tensor([split == "train" for split in split_N]))


def test_classes_too_small_for_an_episode_are_not_in_the_lot() -> None:
    one = domain("a", [2, 9, 2, 9, 9])
    for seed in range(10):
        (keep_N,) = within_budget([one], asked({"classes": 3}), seed)
        assert one.class_N[keep_N].unique().tolist() == [1, 3, 4]
    (keep_N,) = within_budget([one], asked({"classes": 5}, shots="varied"), 0)
    assert bool(keep_N.all())  # one support is enough


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"classes": 7}, r"training.budget.classes: .* with 3 or more different images, 6, found 7"),
        ({"images": 61}, r"training.budget.images: expected no more than the train domains have, 60, found 61"),
        ({"classes": 3}, r"training.budget.classes: 3 leave domain 'b' 1 classes for 2-way episodes; raise it, or take fewer"),
    ],
)
def test_a_budget_that_cannot_be_is_told_in_a_line(budget: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}") as error:
        within_budget([domain("a", [10] * 3), domain("b", [10] * 3)], asked(budget), 0)
    assert "\n" not in str(error.value)
