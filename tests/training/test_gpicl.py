"""GPICL's tasks, sequences and models: each a function of its number, and no label is seen before it is told."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_features import domain
from torch import Tensor
from torch.nn.functional import normalize

from pipelines.gpicl_settings import HEADS, Gpicl, SequenceModel
from training.gpicl.inputs import inputs_of, numbers, principal_axes
from training.gpicl.models import Model, sequence_model
from training.gpicl.sequences import Source, places
from training.gpicl.transformer import pairs_visible
from training.noise import keys

CPU = torch.device("cpu")
ASKED = Gpicl(n_way=3, context=9, inputs=4, projection=5, log2_tasks=8)
DOMAINS = [domain("a", [12] * 5), domain("b", [9] * 4)]
INPUTS = {"a": torch.randn(60, 4, generator=torch.Generator().manual_seed(1)), "b": torch.randn(36, 4)}
KINDS: list[SequenceModel] = ["transformer", "pairs", "lstm", "outer_lstm"]


def source(*, keeps_new: bool = True, seed: int = 0, **changes: Any) -> Source:
    return Source(DOMAINS, INPUTS, ASKED.model_copy(update=changes), seed, CPU, keeps_new=keeps_new)


def model(kind: SequenceModel, layers: int = 2) -> Model:
    generator = torch.Generator().manual_seed(3)
    return sequence_model(kind, generator, inputs=5, n_way=3, length=9, width=16, layers=layers)


def test_a_task_is_the_same_whenever_it_is_made_and_differs_from_all_others() -> None:
    tasks = source().tasks
    every = tasks.seen(torch.arange(256))
    some = source().tasks.seen(torch.tensor([200, 3]))
    assert every.projection_BXP is not None
    assert some.projection_BXP is not None
    assert torch.equal(some.projection_BXP, every.projection_BXP[[200, 3]])
    assert torch.equal(some.class_BW, every.class_BW[[200, 3]])
    assert torch.equal(some.label_BW, every.label_BW[[200, 3]])
    assert len(every.projection_BXP.flatten(1).unique(dim=0)) == 256
    unseen = tasks.unseen(torch.arange(256))
    assert unseen.projection_BXP is not None
    assert len(torch.cat([every.projection_BXP, unseen.projection_BXP]).flatten(1).unique(dim=0)) == 512
    other = source(seed=1).tasks.seen(torch.arange(256))
    assert other.projection_BXP is not None
    assert not torch.equal(other.projection_BXP, every.projection_BXP)


def test_a_projection_is_full_and_keeps_lengths_on_average() -> None:
    found = source(inputs=64, projection=48).tasks.seen(torch.arange(200)).projection_BXP
    assert found is not None
    assert found.shape == (200, 64, 48)
    assert (found != 0).all()
    assert found.mean() == pytest.approx(0.0, abs=1e-3)
    assert found.var() == pytest.approx(1 / 64, rel=0.02)  # N(0, 1/N_x)


def test_labels_are_a_permutation_each_as_likely_as_the_others() -> None:
    label_BW = source().tasks.seen(torch.arange(3000) % 256).label_BW
    assert torch.equal(label_BW.sort(dim=1).values, torch.arange(3).expand(3000, 3))
    many = source(log2_tasks=12).tasks.seen(torch.arange(4096)).label_BW
    _, counts = many.unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert counts.float() / 4096 == pytest.approx(torch.full((6,), 1 / 6).tolist(), abs=0.03)
    kept = source(permute=False).tasks.seen(torch.arange(256)).label_BW
    assert torch.equal(kept, torch.arange(3).expand(256, 3))


def test_the_classes_of_a_task_are_of_one_domain_and_different() -> None:
    found = source()
    class_BW = found.tasks.seen(torch.arange(256)).class_BW
    assert (class_BW.diff(dim=1) > 0).all()
    domain_BW = found.pools.domain_C[class_BW]
    assert (domain_BW == domain_BW[:, :1]).all()
    assert domain_BW.unique().tolist() == [0, 1]


def test_without_a_projection_tasks_are_distinct_by_classes_and_permutation() -> None:
    """5 of 3 classes and 4 of 3, each in 3! orders, are 84; one must stay unseen."""
    found = source(projection=None, log2_tasks=6, diagram=ASKED.diagram.model_copy(update={"log2_tasks": [0, 4]})).tasks
    assert found.distinct == 84
    seen, unseen = found.seen(torch.arange(64)), found.unseen(torch.arange(100))
    assert seen.projection_BXP is None
    both = [torch.cat([tasks.class_BW, tasks.label_BW], dim=1) for tasks in (seen, unseen)]
    assert [len(each.unique(dim=0)) for each in both] == [64, 20]
    assert len(torch.cat(both).unique(dim=0)) == 84


def test_more_tasks_than_can_be_distinct_are_refused_in_a_line() -> None:
    line = r"^gpicl.log2_tasks: 128 tasks asked for, but without a projection these domains give 84 distinct ones, [^\n]+$"
    few = ASKED.diagram.model_copy(update={"log2_tasks": []})
    with pytest.raises(ValueError, match=line):
        source(projection=None, log2_tasks=7, diagram=few)
    with pytest.raises(ValueError, match=r"^gpicl.log2_tasks: 16 tasks[^\n]+ give 14 distinct ones"):
        source(projection=None, log2_tasks=4, permute=False, diagram=few)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(8, 24), st.data())
def test_places_use_no_image_twice_and_fill_every_context(n_way: int, length: int, data: st.DataObject) -> None:
    least = -(-length // n_way)
    room_W = data.draw(st.lists(st.integers(least, least + 8), min_size=n_way, max_size=n_way))
    key_B = keys(0, 20, data.draw(st.integers(0, 2**31)))
    way_BT, before_BT = places(key_B, torch.tensor(room_W).expand(20, -1), length)
    for way_T, before_T in zip(way_BT.tolist(), before_BT.tolist(), strict=True):
        assert len(set(zip(way_T, before_T, strict=True))) == length
        assert all(before < room_W[way] for way, before in zip(way_T, before_T, strict=True))


def test_labels_before_say_nothing_of_the_next() -> None:
    """Where images are plenty, a class is as likely after itself as after any other, and late as early."""
    way_BT, _ = places(keys(0, 4000, 7), torch.full((4000, 4), 99), 12)
    counts_WW = torch.stack([(way_BT[:, 10:][way_BT[:, 9:11] == way]).bincount(minlength=4) for way in range(4)])
    assert (counts_WW / counts_WW.sum(1, keepdim=True)).flatten().tolist() == pytest.approx([0.25] * 16, abs=0.03)
    assert (way_BT[:, -1].bincount(minlength=4) / 4000).tolist() == pytest.approx([0.25] * 4, abs=0.03)


def test_a_sequence_is_its_tasks_images_projected_under_its_labels() -> None:
    found = source()
    number_B = torch.arange(20)
    tasks = found.tasks.seen(number_B)
    made = found.draw(tasks, keys(0, 20, 5))
    assert tasks.projection_BXP is not None
    for row in range(20):
        of = DOMAINS[int(found.pools.domain_C[tasks.class_BW[row, 0]])]
        distance_TN = (made.x_BTP[row].unsqueeze(1) - INPUTS[of.name] @ tasks.projection_BXP[row]).norm(dim=2)
        image_T = distance_TN.argmin(dim=1)
        assert distance_TN.amin(dim=1).max() < 1e-5
        assert len(image_T.unique()) == ASKED.context
        pairs = set(zip(of.class_N[image_T].tolist(), made.y_BT[row].tolist(), strict=True))
        assert len(pairs) == len({label for _, label in pairs}) == len({number for number, _ in pairs})  # one to one
    again = source().draw(source().tasks.seen(number_B[5:7]), keys(0, 20, 5)[5:7])
    assert torch.equal(again.x_BTP, made.x_BTP[5:7])
    assert torch.equal(again.y_BT, made.y_BT[5:7])


def test_new_images_are_at_both_ends_and_never_in_training() -> None:
    found = source(projection=None, log2_tasks=4, diagram=ASKED.diagram.model_copy(update={"log2_tasks": []}))
    tasks, key_B = found.tasks.seen(torch.arange(400) % 16), keys(0, 400, 5)
    trained, ends = found.draw(tasks, key_B), found.new_ends(tasks, key_B)
    assert torch.equal(trained.y_BT, ends.y_BT)
    assert torch.equal(trained.x_BTP[:, 1:-1], ends.x_BTP[:, 1:-1])
    shown = {tuple(x) for x in trained.x_BTP.flatten(0, 1).tolist()}
    new = {tuple(x) for x in ends.x_BTP[:, [0, -1]].flatten(0, 1).tolist()}
    assert new
    assert not shown & new


def test_biased_sequences_have_their_classes_in_their_own_places() -> None:
    found = source()
    tasks, key_B = found.tasks.seen(torch.arange(64)), keys(0, 64, 5)
    plain, biased = found.draw(tasks, key_B), found.draw(tasks, key_B, torch.arange(64) % 2 == 0)
    assert torch.equal(plain.x_BTP, biased.x_BTP)
    assert torch.equal(plain.y_BT[1::2], biased.y_BT[1::2])
    assert torch.equal(tasks.label_BW[::2].gather(1, biased.y_BT[::2]), plain.y_BT[::2])


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([60], "has 1 of 1"),  # a domain of one class
        ([30, 30], "has 2 of 2"),
        ([3, 3, 2, 2], "has 0 of 4"),  # 8 images, and one of each class is kept back
        ([12, 12, 3, 3], "has 2 of 4"),
    ],
)
def test_a_domain_too_small_for_the_context_is_told_in_a_line(sizes: list[int], said: str) -> None:
    small = domain("small", sizes)
    with pytest.raises(ValueError, match=rf"^gpicl.context: 9 images of 3 classes need 3[^\n]+domain 'small' {said}[^\n]+$"):
        Source([small], {"small": torch.randn(sum(sizes), 4)}, ASKED, 0, CPU, keeps_new=True)


def test_units_are_drawn_and_not_copies() -> None:
    """Two images a unit: a context of six has room in three classes of two units only if no unit comes twice."""
    twins = domain("twins", [8, 8, 8], units=[number // 2 for number in range(24)])
    asked = ASKED.model_copy(update={"context": 8, "projection": None, "log2_tasks": 0})
    asked = asked.model_copy(update={"diagram": ASKED.diagram.model_copy(update={"log2_tasks": []})})
    x_N1 = torch.arange(24.0).unsqueeze(1)
    found = Source([twins], {"twins": x_N1}, asked, 0, CPU, keeps_new=False)
    made = found.draw(found.tasks.seen(torch.zeros(50).long()), keys(0, 50, 1))
    for x_T in made.x_BTP.squeeze(2):
        assert len((x_T.long() // 2).unique()) == 8
    assert len(made.x_BTP.unique()) == 24


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_pair_changes_no_earlier_prediction(kind: SequenceModel) -> None:
    """Predictions up to a place are bitwise the same whatever label stands there, and whatever comes after."""
    reader, generator = model(kind).eval(), torch.Generator().manual_seed(5)
    x_BTP, y_BT = torch.randn(4, 9, 5, generator=generator), torch.randint(3, (4, 9), generator=generator)
    with torch.no_grad():
        before_BTW = reader(x_BTP, y_BT)
        for place in range(9):
            changed_BT = y_BT.clone()
            changed_BT[:, place] = (changed_BT[:, place] + 1) % 3
            after_BTW = reader(x_BTP, changed_BT)
            assert torch.equal(before_BTW[:, : place + 1], after_BTW[:, : place + 1])
            if place < 8:
                assert not torch.equal(before_BTW[:, place + 1], after_BTW[:, place + 1])  # and the next one does see it
            moved_BTP = x_BTP.clone()
            moved_BTP[:, place] += 1
            assert torch.equal(before_BTW[:, :place], reader(moved_BTP, y_BT)[:, :place])
            assert not torch.equal(before_BTW[:, place], reader(moved_BTP, y_BT)[:, place])


def test_an_asked_input_sees_the_pairs_before_it_and_itself() -> None:
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]
    assert pairs_visible(2).int().tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_drawn_from_its_generator_and_knows_its_state(kind: SequenceModel) -> None:
    one, other = model(kind), model(kind)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert (
        one.state == {"transformer": 2 * 9 * 16 * 2, "pairs": 2 * 9 * 16 * 2, "lstm": 2 * 16 * 2, "outer_lstm": 8 * 8 + 8}[kind]
    )
    assert HEADS == 4


def test_the_outer_product_lstm_is_its_formula() -> None:
    reader = model("outer_lstm")
    x_BTP, y_BT = torch.randn(2, 9, 5), torch.randint(3, (2, 9))
    matrix_BEE, out_BE = torch.zeros(2, 8, 8), torch.zeros(2, 8)
    scores: list[Tensor] = []
    for place in range(9):
        last_B4 = torch.zeros(2, 4)
        last_B4[torch.arange(2), y_BT[:, place - 1] if place else torch.tensor([3, 3])] = 1
        gate = reader.token(torch.cat([x_BTP[:, place], last_B4], dim=1)) + reader.again(out_BE)  # type: ignore[union-attr]
        forget, into, content, query, through = gate.chunk(5, dim=1)
        matrix_BEE = torch.einsum("be,bef->bef", torch.sigmoid(forget + 1), matrix_BEE)
        matrix_BEE = matrix_BEE + torch.einsum("be,bf->bef", torch.sigmoid(into), torch.tanh(content))
        out_BE = torch.sigmoid(through) * torch.tanh(torch.einsum("bef,bf->be", matrix_BEE, query) / 8**0.5)
        scores.append(reader.head(out_BE))
    torch.testing.assert_close(reader(x_BTP, y_BT), torch.stack(scores, dim=1), rtol=1e-5, atol=1e-5)


def test_inputs_are_the_train_domains_main_axes_of_mean_square_1() -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.1, 3.0, 1.0, 0.01])
    domains = {name: domain(name, [50, 50]) for name in ("train", "held")}
    rows = {name: normalize(torch.randn(100, 4, generator=generator) * spread + 2, dim=1) for name in domains}
    for name, each in domains.items():
        each.features_ND[:] = rows[name]
    found = inputs_of(domains, ["train"], 2)
    axes_DX = principal_axes([numbers(domains["train"])], 2)
    torch.testing.assert_close(axes_DX.T @ axes_DX, torch.eye(2), atol=1e-6, rtol=0)
    assert axes_DX[1, 0].abs() > 0.5  # the direction that varies most
    for name in domains:
        assert found[name].square().mean().item() == pytest.approx(1.0)
        centred = (rows[name] - rows[name].mean(0)) @ axes_DX
        torch.testing.assert_close(found[name], normalize(centred, dim=1) * 2**0.5)
    with pytest.raises(ValueError, match=r"^gpicl.inputs: expected at most the 4 numbers of an encoded image, found 5$"):
        inputs_of(domains, ["train"], 5)
