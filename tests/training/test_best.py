"""The best weights of a training: those of the highest validation accuracy, of equals the first."""

import torch
from test_train import SETTINGS, domain, weights

from training.best import Best
from training.train import new_learner, train
from training.validation import validation_episodes


def test_the_first_of_the_highest_is_kept_and_does_not_change_with_the_learner() -> None:
    learner, best = new_learner(SETTINGS, 16, seed=0), Best()
    assert best.learner(learner) is learner
    best.see(learner, 1, None)
    assert best.accuracy is None
    kept = {}
    for step, accuracy in enumerate((0.2, 0.5, 0.4, 0.5), start=1):
        with torch.no_grad():
            learner.norm.bias.fill_(step)
        best.see(learner, step, accuracy)
        kept[step] = weights(learner)
    assert (best.step, best.accuracy) == (2, 0.5)
    found = best.learner(learner)
    assert torch.equal(weights(found), kept[2])
    assert not found.training
    assert torch.equal(weights(learner), kept[4])


def test_a_training_fills_it_from_its_validations() -> None:
    domains, best, rows = [domain("a", 0), domain("b", 1)], Best(), []
    # a rate that is too high: the last weights are not the best ones
    settings = SETTINGS.model_copy(update={"learning_rate": 0.3, "readout": "linear"})
    last = train(
        domains,
        settings,
        steps=24,
        seed=0,
        validation=validation_episodes(domains, settings),
        best=best,
        progress=lambda step, steps, row: rows.append(row),
    )
    measured = {row["step"]: row["validation_accuracy"] for row in rows if row["validation_accuracy"] is not None}
    assert len(measured) == 6
    assert best.accuracy == max(measured.values()) == measured[best.step]
    assert best.step < 24
    assert not torch.equal(weights(best.learner(last)), weights(last))
