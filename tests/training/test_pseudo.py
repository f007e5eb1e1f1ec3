"""Pseudo-tasks: views of one image are a class, a query is mixed with an image of none, labels are never read."""

from collections import Counter
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_features import viewed
from torch import Tensor

from pipelines.training_settings import Training
from training.batch import Batch
from training.collection import DomainTensors
from training.pseudo import LEAST_MIXED, MOST_MIXED, PseudoSampler, mix
from training.regimes import regime_of
from training.store import FeatureStore

VIEWS = 5


def told_apart(name: str, images: int, units: list[int] | None = None) -> DomainTensors:
    """A domain whose views are axes of their own: view v of image i is axis i * VIEWS + v, so that a mixture can be read."""
    one = viewed(name, images, VIEWS, units=units)
    return replace(one, views_NVD=torch.eye(images * VIEWS).view(images, VIEWS, -1))


def sampler(domains: list[DomainTensors], *, seed: int = 0, **asked: object) -> PseudoSampler:
    wanted = Training(**{"regime": "pseudo", "n_way": 3, "max_shot": 3, "n_query": 2, "batch": 6} | asked)
    views = [each.views_NVD.flatten(0, 1) for each in domains if each.views_NVD is not None]
    return PseudoSampler(regime_of(domains, wanted, seed, 100), wanted, seed, FeatureStore(views, torch.device("cpu")))


def same(one: Batch, other: Batch) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch)]
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)


@given(
    images=st.integers(4, 9),
    copies=st.integers(1, 2),
    shots=st.sampled_from(["equal", "varied"]),
    seed=st.integers(0, 2**31 - 1),
    step=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_a_pseudo_class_is_the_views_of_one_image_and_queries_mix_in_others(
    images: int, copies: int, shots: str, seed: int, step: int
) -> None:
    unit_N = [row // copies for row in range(images * copies)]
    batch = sampler([told_apart("a", images * copies, unit_N)], seed=seed, shots=shots, min_way=2)(step, 0, 6)
    n_way = batch.n_way
    for episode in range(6):
        support_SD, label_S = batch.support_BSD[episode], batch.support_label_BS[episode]
        assert bool(((support_SD == 1).sum(dim=1) == 1).all())
        axis_S = support_SD.argmax(dim=1)
        image_of = {int(label): int(axis) // VIEWS for label, axis in zip(label_S, axis_S, strict=True)}
        classes = {unit_N[image] for image in image_of.values()}
        assert len(image_of) == len(classes) == n_way  # different images, none the copy of another
        assert [int(axis) // VIEWS for axis in axis_S] == [image_of[int(label)] for label in label_S]
        assert len(axis_S.unique()) == len(axis_S)  # a view once
        label_Q = batch.query_label_BQ[episode]
        assert set(torch.bincount(label_Q, minlength=n_way).tolist()) == {len(label_Q) // n_way}
        own = []
        for query_D, label in zip(batch.query_BQD[episode], label_Q.tolist(), strict=True):
            first, second = query_D.argsort(descending=True)[:2].tolist()
            assert int((query_D > 0).sum()) == 2
            assert float(query_D.norm()) == pytest.approx(1, abs=1e-6)
            assert first // VIEWS == image_of[label]  # the larger part is of the label's image
            assert unit_N[second // VIEWS] not in classes
            amount = float(query_D[second] / (query_D[first] + query_D[second]))
            assert LEAST_MIXED - 1e-6 <= amount <= MOST_MIXED + 1e-6
            own.append(first)
        assert len(set(own)) == len(own)
        assert not set(own) & set(axis_S.tolist())  # no view is support and query


def test_the_amount_is_uniform_and_each_image_and_view_has_its_turn() -> None:
    one = sampler([told_apart("a", 8)], batch=2000)
    query_XD = torch.cat([one(step, 0, 2000).query_BQD.flatten(0, 1) for step in range(2)])
    parts, axes = query_XD.topk(2, dim=1)
    amount = (parts[:, 1] / parts.sum(dim=1)).sort().values
    expected = torch.linspace(LEAST_MIXED, MOST_MIXED, len(amount))
    assert float((amount - expected).abs().max()) / (MOST_MIXED - LEAST_MIXED) < 1.95 / len(amount) ** 0.5  # Kolmogorov, 0.1 %
    for place in (0, 1):
        counts = torch.bincount(axes[:, place], minlength=40).double()
        assert float(((counts / counts.mean()) - 1).abs().max()) < 0.2


def test_labels_are_never_read() -> None:
    generator = torch.Generator().manual_seed(0)
    one = viewed("a", 30, VIEWS)
    labelled = replace(one, class_N=torch.arange(30) % 7, classes=tuple("abcdefg"))
    permuted = replace(labelled, class_N=labelled.class_N[torch.randperm(30, generator=generator)])
    for asked in ({}, {"shots": "varied"}, {"domain_weights": "proportional"}):
        found = [sampler([each, viewed("b", 9, VIEWS)], **asked) for each in (one, labelled, permuted)]
        assert all(same(found[0](step, 0, 6), other(step, 0, 6)) for other in found[1:] for step in range(5))


@given(seed=st.integers(0, 2**31 - 1), step=st.integers(0, 10**6), cut=st.integers(0, 6))
@settings(max_examples=25, deadline=None)
def test_parts_of_a_batch_are_the_batch_whatever_came_before(seed: int, step: int, cut: int) -> None:
    domains = [viewed("a", 9, VIEWS), viewed("b", 12, VIEWS, seed=1)]
    one = sampler(domains, seed=seed, min_way=2, shots="varied")
    whole = one(step, 0, 6)
    other = sampler(domains, seed=seed, min_way=2, shots="varied")
    other(step + 1, 0, 6)
    assert same(other(step, 0, cut), whole.part(0, cut))
    assert same(other(step, cut, 6), whole.part(cut, 6))
    assert not torch.equal(one(step + 1, 0, 6).query_BQD, whole.query_BQD)


def test_draws_are_those_that_they_were() -> None:
    """Known values: whoever changes the noise changes every training."""
    batch = sampler([told_apart("a", 6)], seed=3, min_shot=2, max_shot=2, n_query=1)(11, 0, 2)
    assert batch.support_BSD.argmax(dim=-1).tolist() == [[15, 27, 10, 11, 28, 17], [26, 20, 8, 27, 5, 24]]
    assert batch.support_label_BS.tolist() == [[2, 1, 0, 0, 1, 2], [0, 1, 2, 0, 2, 1]]
    assert batch.query_BQD.topk(2).indices.tolist() == [[[25, 6], [18, 1], [12, 21]], [[9, 15], [21, 13], [29, 4]]]
    assert batch.query_label_BQ.tolist() == [[1, 2, 0], [2, 1, 0]]


def test_an_episode_is_of_one_domain_and_orders_and_labels_vary() -> None:
    domains = [told_apart("a", 5), told_apart("b", 5)]
    for number, each in enumerate(domains):
        assert each.views_NVD is not None
        padding = torch.zeros(5, VIEWS, 25)
        parts = [each.views_NVD, padding] if number == 0 else [padding, each.views_NVD]
        domains[number] = replace(each, views_NVD=torch.cat(parts, dim=2))
    batch = sampler(domains, batch=400, min_shot=3)(0, 0, 400)
    of_b_B = (batch.support_BSD[..., 25:].sum(dim=(1, 2)) > 0).tolist()
    assert of_b_B == (batch.query_BQD[..., 25:].sum(dim=(1, 2)) > 0).tolist()
    assert bool(((batch.support_BSD[..., 25:].sum(dim=(1, 2)) == 0) | (batch.support_BSD[..., :25].sum(dim=(1, 2)) == 0)).all())
    assert sum(of_b_B) / 400 == pytest.approx(0.5, abs=0.1)
    for label_BX in (batch.support_label_BS, batch.query_label_BQ):
        assert min(Counter(label_BX[:, 0].tolist()).values()) > 90  # 133 expected
        assert len({tuple(row) for row in label_BX.tolist()}) > 80


def test_mixing_of_nothing_is_the_image() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.nn.functional.normalize(torch.randn(2, 3, 4, 8, generator=generator), dim=-1)
    torch.testing.assert_close(mix(one, other, torch.zeros(3, 4, 1)), one)
    torch.testing.assert_close(mix(one, other, torch.ones(3, 4, 1).double()), other)
    halves = mix(one, other, torch.full((3, 4, 1), 0.5))
    torch.testing.assert_close((halves * one).sum(-1), (halves * other).sum(-1))


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (
            viewed("b", 9, 3),
            r"domain 'b': regime pseudo at 3 shots needs views of each image, 4 or more, found 3; set encoding.views",
        ),
        (
            viewed("b", 9, 7),
            r"domain 'b': regime pseudo at 3 shots needs views of each image, as many as domain 'a' has, 5, found 7",
        ),
        (replace(viewed("b", 9, 5), views_NVD=None), r"domain 'b': .* needs views of each image, 4 or more, found 0"),
        (viewed("b", 3, 5), r"domain 'b': 3-way pseudo-tasks need 4 or more different images in split train, found 3"),
        (viewed("b", 9, 5, units=[0, 0, 0, 0, 0, 0, 0, 1, 2]), r"domain 'b': 3-way .* 4 or more different images .* found 3"),
    ],
)
def test_what_cannot_be_drawn_is_told_at_the_start(second: DomainTensors, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}") as error:
        sampler([viewed("a", 9, VIEWS), second])
    assert "\n" not in str(error.value)
