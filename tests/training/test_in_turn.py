"""Training in turn: a look at the end of each domain's turn, which changes nothing, in the order of training."""

from pathlib import Path

import pytest
import torch

from pipelines.training_settings import Training
from training.collection import DomainTensors, unit_rows
from training.episodes import evaluation_episodes
from training.evaluate import Scorer
from training.learner import Learner
from training.measure.continual import continual
from training.measure.in_turn import Judged, accuracies, ends_of_turns, train_in_turn
from training.regimes import regime_of
from training.train import new_learner, train

FORM = {"n_way": 3, "max_shot": 2, "n_query": 2, "batch": 4, "warmup": 2, "synthetic_share": 0.0}
SETTINGS = Training(regime="sequence", order="hard_to_easy", readout="linear", label_codes="learnable", **FORM)


def domain(name: str, spread: float) -> DomainTensors:
    """Gaussian classes, the easier the smaller `spread` is."""
    generator = torch.Generator().manual_seed(ord(name))
    mean_C1D = torch.randn(5, 1, 16, generator=generator)
    features_ND = unit_rows((mean_C1D + spread * torch.randn(5, 10, 16, generator=generator)).flatten(0, 1))
    return DomainTensors(
        name, features_ND, torch.arange(5).repeat_interleave(10), torch.arange(50), ("train",) * 50, tuple("vwxyz")
    )


DOMAINS = [domain("a", 1.0), domain("b", 3.0), domain("c", 0.3)]  # hard to easy: b, a, c


@pytest.fixture(scope="module")
def judged() -> Judged:
    return {one.name: (one.features_ND, evaluation_episodes(one, 3, 1, 3, 40, 0)) for one in DOMAINS}


def weights(learner: Learner) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in learner.state_dict().values()])


def test_looks_come_after_their_step_and_change_nothing() -> None:
    """A look sees the learner of so many steps: here of the last one, and of one that trains no further."""
    seen: dict[int, torch.Tensor] = {}
    support_BSD, label_BS = torch.randn(2, 3, 16), torch.arange(3).expand(2, 3)

    def look(done: int) -> object:
        def at(scorer: Scorer) -> None:
            with torch.no_grad():
                seen[done] = scorer(support_BSD, label_BS, support_BSD, 3)

        return at

    looked = train(DOMAINS, SETTINGS, steps=6, seed=3, looks={done: look(done) for done in (2, 6)})  # type: ignore[misc]
    assert torch.equal(weights(looked), weights(train(DOMAINS, SETTINGS, steps=6, seed=3)))
    with torch.no_grad():
        assert torch.equal(seen[6], looked(support_BSD, label_BS, support_BSD, 3))
    assert list(seen) == [2, 6]
    assert not torch.equal(seen[2], seen[6])


def test_rows_are_those_of_the_learner_at_the_ends_of_turns(judged: Judged) -> None:
    found = train_in_turn(DOMAINS, SETTINGS, judged, steps=9, seed=1)
    assert found.order == ("b", "a", "c")
    assert found.accuracy_TJ.shape == (3, 3)
    assert torch.equal(weights(found.learner), weights(train(DOMAINS, SETTINGS, steps=9, seed=1)))
    assert found.accuracy_TJ[-1].tolist() == pytest.approx(accuracies(found.learner, judged))
    assert found.untrained_J.tolist() == pytest.approx(accuracies(new_learner(SETTINGS, 16, 1).eval(), judged))
    own_TT, untrained_T = found.own()
    columns = [found.judged.index(name) for name in found.order]
    assert columns == [1, 0, 2]
    assert torch.equal(own_TT[:, 0], found.accuracy_TJ[:, 1])
    assert torch.equal(untrained_T, found.untrained_J[columns])
    assert continual(own_TT, untrained_T).acc == pytest.approx(float(own_TT[-1].mean()))


def test_a_turn_ends_where_the_next_domain_begins() -> None:
    for steps in (3, 7, 10, 300):
        schedule = regime_of(DOMAINS, SETTINGS, 0, steps).schedule
        phases = [schedule.phase(step) for step in range(steps)]
        ends = ends_of_turns(3, steps)
        assert [phases[end - 1] for end in ends] == [0, 1, 2]
        assert [phases[end] for end in ends[:-1]] == [1, 2]
        assert ends[-1] == steps


def test_learning_a_domain_shows_in_its_column(judged: Judged) -> None:
    """With replay of nothing, the easy domain that comes last is at its best after its own turn."""
    settings = SETTINGS.model_copy(update={"learning_rate": 5e-3, "rotate": False, "batch": 16})
    found = train_in_turn(DOMAINS, settings, judged, steps=120, seed=0)
    own_TT, untrained_T = found.own()
    assert float(own_TT[2, 2]) > float(untrained_T[2]) + 0.3
    assert float(own_TT[2, 2]) > float(own_TT[0, 2])


def test_what_cannot_be_is_told(judged: Judged, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^training.steps: 3 domains in turn need a step each, found 2$"):
        train_in_turn(DOMAINS, SETTINGS, judged, steps=2, seed=0)
    with pytest.raises(ValueError, match="expected sequence, found mixture"):
        train_in_turn(DOMAINS, SETTINGS.model_copy(update={"regime": "mixture"}), judged, steps=9, seed=0)
    found = train_in_turn(DOMAINS, SETTINGS, {"a": judged["a"]}, steps=3, seed=0)
    with pytest.raises(ValueError, match="domain 'b': trained on but not judged"):
        found.own()
