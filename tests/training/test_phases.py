"""In-context meta-learning: tasks, what can be known of them, the transformer, its circuits, and what is decoded."""

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipelines.phases_settings import Phases
from training.phases.circuits import circuits
from training.phases.decode import decodability, rank_correlation
from training.phases.known import Known, from_labels, known
from training.phases.model import AttentionOnly, Seen
from training.phases.phase import begins, entered, phase_of
from training.phases.tasks import JUDGED, TRAINING, Contexts, Tasks
from training.phases.trial import Trial, look_steps, mean_loss, run_trial
from training.seeds import each_alone, over_seeds

SMALL = Phases(
    tasks=2, classes=5, labels=4, context=3, dimensions=9, heads=2, steps=10, batch=8, seeds=2, contexts=16, neighbours=3
)
KNOWN = Known(chance=0.1, non_context=0.3, semi_context=0.7)


@given(st.integers(2, 8), st.integers(0, 8), st.integers(1, 6), st.integers(0, 2**31 - 1), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_context_is_of_one_task_and_shows_no_class_twice(tasks: int, more: int, context: int, seed: int, step: int) -> None:
    asked = SMALL.model_copy(update={"tasks": tasks, "labels": tasks + more, "context": context, "classes": 7})
    made = Tasks(asked, seed)
    found, again = made.draw(20, TRAINING, step), Tasks(asked, seed).draw(20, TRAINING, step)
    assert all(torch.equal(one, other) for one, other in zip(vars(found).values(), vars(again).values(), strict=True))
    assert torch.equal(found.label_BN, made.label_WC[found.task_B].gather(1, found.class_BN))
    assert (found.class_BN[:, :-1].sort(dim=1).values.diff(dim=1) > 0).all()
    shown_B = torch.tensor([row[-1] in row[:-1] for row in found.class_BN.tolist()])
    assert torch.equal(found.shown_B, shown_B)


def test_tasks_agree_nowhere_and_depend_on_the_seed() -> None:
    asked = SMALL.model_copy(update={"tasks": 4, "classes": 200})
    label_WC = Tasks(asked, 0).label_WC
    assert torch.equal(label_WC.sort(dim=0).values, torch.arange(4).unsqueeze(1).expand(4, 200))
    assert not torch.equal(label_WC, Tasks(asked, 1).label_WC)
    assert not torch.equal(Tasks(asked, 0).middle_CD, Tasks(asked, 1).middle_CD)
    one, other = (Tasks(asked, 0).draw(8, TRAINING, step) for step in (0, 1))
    assert not torch.equal(one.item_BND, other.item_BND)


def test_items_lie_about_the_middles_of_their_classes() -> None:
    made = Tasks(SMALL.model_copy(update={"dimensions": 400, "noise": 0.0}), 0)
    found = made.draw(8, JUDGED)
    assert torch.equal(found.item_BND, made.middle_CD[found.class_BN])
    noisy = Tasks(SMALL.model_copy(update={"dimensions": 400, "noise": 1.0}), 0).draw(200, JUDGED)
    assert float(noisy.item_BND.square().sum(dim=2).mean()) == pytest.approx(1.0, abs=0.1)


def test_what_labels_tell_of_the_task_is_what_counting_all_draws_says() -> None:
    made = Tasks(SMALL, 3)
    contexts = made.draw(40, JUDGED)
    found_WB = from_labels(made, contexts)
    label_WC = made.label_WC.tolist()
    for number, label_N in enumerate(contexts.label_BN[:, :-1].tolist()):
        ways = [sum([of[drawn] for drawn in classes] == label_N for classes in permutations(range(5), 3)) for of in label_WC]
        assert found_WB[:, number].tolist() == pytest.approx([way / sum(ways) for way in ways])
    told = known(made, contexts)
    assert (told.chance, told.non_context, told.full_context) == (1 / 4, 1 / 2, 1.0)
    assert told.semi_context == pytest.approx(float(found_WB.amax(dim=0).mean()))
    assert 0.5 < told.semi_context < 1.0


def hand_built(tokens: int, *attended: tuple[int, int]) -> Tensor:
    """Attention of one head, each token to itself but for (from, to)."""
    share_TT = torch.eye(tokens)
    for row, column in attended:
        share_TT[row] = 0.0
        share_TT[row, column] = 1.0
    return share_TT


def test_measures_of_hand_built_attention_are_exactly_one_or_zero() -> None:
    alone = hand_built(7)  # three pairs: items at 0, 2, 4, labels at 1, 3, 5, the asked item at 6
    chunk = hand_built(7, (1, 0), (3, 2), (5, 4), (6, 3))
    elsewhere = hand_built(7, (1, 0), (3, 0), (5, 0), (6, 4))
    found = circuits(torch.stack([alone, chunk, elsewhere]).expand(2, 3, 7, 7))
    assert found["bigram"].tolist() == [1.0, 0.0, 0.0]
    assert found["label_attention"].tolist() == [0.0, 1.0, 0.0]
    assert found["chunk_example"].tolist() == pytest.approx([0.0, 1.0, 1 / 3])


def seen(contexts: Contexts) -> Seen:
    with torch.no_grad():
        made: Seen = AttentionOnly(SMALL, 0)(contexts.item_BND, contexts.label_BN)
    return made


def test_the_asked_label_is_never_read() -> None:
    found = Tasks(SMALL, 0).draw(8, JUDGED)
    told_BN = found.label_BN.clone()
    told_BN[:, -1] = (told_BN[:, -1] + 1) % SMALL.labels
    assert torch.equal(seen(found).scores_BL, seen(Contexts(found.item_BND, told_BN, found.class_BN, found.task_B)).scores_BL)


@pytest.mark.parametrize("pair", [0, 1, 2])
def test_no_token_sees_a_later_one(pair: int) -> None:
    model, found = AttentionOnly(SMALL, 0), Tasks(SMALL, 0).draw(8, JUDGED)
    other_BN = found.label_BN.clone()
    other_BN[:, pair] = (other_BN[:, pair] + 1) % SMALL.labels
    with torch.no_grad():
        one, other = (model.tokens(found.item_BND, label_BN) for label_BN in (found.label_BN, other_BN))
        for layer in model.layers:
            (one, share_BHTT), (other, _) = layer(one), layer(other)
            assert torch.equal(share_BHTT.triu(1), torch.zeros_like(share_BHTT))
            assert share_BHTT.sum(dim=3) == pytest.approx(torch.ones(8, 2, 7))
    at = 2 * pair + 1
    assert torch.equal(one[:, :at], other[:, :at])
    assert not torch.equal(one[:, at], other[:, at])


def test_states_and_attention_of_every_layer_come_out() -> None:
    made = seen(Tasks(SMALL, 0).draw(8, JUDGED))
    assert list(made.states) == ["input", "layer_1", "layer_2", "readout_1", "readout_2"]
    assert {tuple(state.shape) for state in made.states.values()} == {(8, 16)}
    assert [tuple(share.shape) for share in made.attention] == [(8, 2, 7, 7)] * 2
    assert made.scores_BL.shape == (8, 4)
    assert all(
        torch.equal(one, other)
        for one, other in zip(AttentionOnly(SMALL, 0).parameters(), AttentionOnly(SMALL, 0).parameters(), strict=True)
    )


def test_what_lies_apart_is_decoded_and_what_is_alike_is_not() -> None:
    task_B = torch.arange(30) % 3
    apart_BE = torch.eye(3)[task_B]
    assert decodability(apart_BE, task_B, apart_BE, task_B, 5) == 1.0
    assert decodability(apart_BE, task_B, apart_BE, (task_B + 1) % 3, 5) == 0.0
    alike_BE = torch.zeros(30, 3)
    assert decodability(alike_BE, task_B, alike_BE, task_B, 30) == pytest.approx(1 / 3)


def test_rank_correlation_goes_by_order_alone() -> None:
    assert rank_correlation([0.1, 0.2, 0.9], [1.0, 10.0, 11.0]) == pytest.approx(1.0)
    assert rank_correlation([0.1, 0.2, 0.9], [3.0, 2.0, -50.0]) == pytest.approx(-1.0)
    assert rank_correlation([0.5, 0.5, 0.5], [1.0, 2.0, 3.0]) is None


def test_a_phase_begins_half_way_to_what_is_its_own() -> None:
    assert begins(KNOWN) == pytest.approx({"untrained": 0.0, "non_context": 0.2, "semi_context": 0.5, "full_context": 0.85})
    assert [phase_of(value, KNOWN) for value in (0.1, 0.3, 0.7, 0.95)] == list(begins(KNOWN))


def test_a_phase_counts_as_entered_where_it_is_not_left_again() -> None:
    found = entered([0.1, 0.3, 0.1, 0.3, 0.6, 0.55], [0, 5, 10, 15, 20, 25], KNOWN)
    assert found == {"untrained": 0, "non_context": 15, "semi_context": 20, "full_context": None}


def test_looks_are_dense_at_first_and_hold_both_ends() -> None:
    steps = sorted(look_steps(4000))
    assert (steps[0], steps[-1], len(steps)) == (0, 4000, 41)
    assert all(later - step <= after - later + 1 for step, later, after in zip(steps, steps[1:], steps[2:], strict=False))
    assert sorted(look_steps(10)) == list(range(11))


def test_a_training_is_a_function_of_its_seed() -> None:
    one, again, other = (run_trial(Trial(SMALL, seed)) for seed in (0, 0, 1))
    assert one == again
    assert [look["loss"] for look in one["looks"]] != [look["loss"] for look in other["looks"]]
    assert [look["step"] for look in one["looks"]] == list(range(11))


def test_a_small_training_comes_to_read_the_whole_context() -> None:
    asked = SMALL.model_copy(update={"heads": 1, "steps": 400, "batch": 64, "learning_rate": 5e-3, "contexts": 256})
    found = run_trial(Trial(asked, 3))
    last = found["looks"][-1]
    assert last["phase"] == "full_context"
    assert last["accuracy"] > (1 + found["known"]["semi_context"]) / 2
    assert found["known"]["semi_context"] < 0.9
    assert last["decodability"]["readout_2"] > 0.9 > 0.65 > last["decodability"]["input"]


def test_a_loss_that_is_no_number_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"^phases.learning_rate: the loss is not a finite number by step 7; expected a lower"):
        mean_loss([torch.tensor(1.0), torch.tensor(float("nan"))], SMALL, 7)


def test_each_trial_comes_with_its_result_and_threads_are_as_before() -> None:
    before = torch.get_num_threads()
    assert list(each_alone(abs, [-2, 3], 1)) == [(-2, 2), (3, 3)]
    assert list(each_alone(abs, [], 4)) == []
    assert torch.get_num_threads() == before


def test_an_interval_over_seeds_is_students() -> None:
    assert over_seeds([1.0]) == [None, None]
    assert over_seeds([0.0, 2.0]) == pytest.approx([1 - 12.7062, 1 + 12.7062], abs=1e-3)
