"""Training: deterministic, starts where it says, has an effect, tells what is wrong."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import torch

from pipelines.training_settings import Training
from training.collection import DomainTensors, unit_rows
from training.learner import Learner
from training.log import COLUMNS
from training.noise import keys
from training.schedule import learning_rate_at
from training.shape import shape_of
from training.synthetic import rotation, synthetic_batch
from training.train import train
from training.turns import Turns
from training.validation import validation_episodes

SMALL = {"batch": 4, "warmup": 2, "learning_rate": 1e-3}
SETTINGS = Training(n_way=3, max_shot=2, n_query=2, synthetic_share=0.0, readout="ridge", **SMALL)


def domain(name: str, seed: int, classes: int = 6, images: int = 10, dimensions: int = 16) -> DomainTensors:
    """Gaussian classes; of each class 7 images to train, 3 to validate."""
    generator = torch.Generator().manual_seed(seed)
    mean_C1D = torch.randn(classes, 1, dimensions, generator=generator)
    noise_CND = torch.randn(classes, images, dimensions, generator=generator)
    features_ND = unit_rows((mean_C1D + noise_CND).flatten(0, 1))
    class_N = torch.arange(classes).repeat_interleave(images)
    split_N = tuple("train" if row % images < 7 else "validation" for row in range(len(class_N)))
    names = tuple(f"c{number}" for number in range(classes))
    return DomainTensors(name, features_ND, class_N, torch.arange(len(class_N)), split_N, names)


def weights(learner: Learner) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in learner.state_dict().values()])


def test_equal_arguments_give_equal_weights() -> None:
    domains = [domain("a", 0), domain("b", 1)]
    first = weights(train(domains, SETTINGS, steps=6, seed=3))
    torch.manual_seed(1234)
    torch.rand(7)
    assert torch.equal(first, weights(train(domains, SETTINGS, steps=6, seed=3)))
    assert not torch.equal(first, weights(train(domains, SETTINGS, steps=6, seed=4)))
    assert not torch.equal(first, weights(train(domains[:1], SETTINGS, steps=6, seed=3)))


def test_only_the_train_split_is_learned_from() -> None:
    one = domain("a", 0)
    changed = one.features_ND.clone()
    hidden = torch.tensor([split == "validation" for split in one.split_N])
    changed[hidden] = 0.0
    other = DomainTensors("a", changed, one.class_N, one.unit_N, one.split_N, one.classes)
    assert torch.equal(weights(train([one], SETTINGS, steps=4, seed=0)), weights(train([other], SETTINGS, steps=4, seed=0)))


@pytest.mark.parametrize("readout", ["linear", "class_mean", "ridge"])
def test_training_lowers_the_loss(readout: str, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"readout": readout, "batch": 16, "rotate": False, "learning_rate": 3e-3})
    train([domain("a", 0)], settings, steps=120, seed=0, log_path=tmp_path / "log.csv")
    loss = pl.read_csv(tmp_path / "log.csv")["loss"]
    assert float(loss[-10:].mean()) < 0.9 * float(loss[:5].mean())


def test_the_log_has_its_columns_and_validation_where_due(tmp_path: Path) -> None:
    domains = [domain("a", 0), domain("b", 1)]
    validation = validation_episodes(domains, SETTINGS)
    assert len(validation) == 2
    seen: list[int] = []
    log = tmp_path / "deep" / "log.csv"
    train(
        domains,
        SETTINGS,
        steps=12,
        seed=0,
        log_path=log,
        validation=validation,
        progress=lambda step, steps, row: seen.append(step),
    )
    frame = pl.read_csv(log)
    assert tuple(frame.columns) == COLUMNS
    assert frame["step"].to_list() == seen == list(range(1, 13))
    assert frame["validation_accuracy"].null_count() == 6
    assert frame["validation_accuracy"][-1] is not None
    assert validation_episodes([domain("a", 0, classes=2)], SETTINGS) == []


def test_the_synthetic_share_takes_the_place_of_the_domains() -> None:
    def trained(share: float, name: str) -> torch.Tensor:
        settings = SETTINGS.model_copy(update={"synthetic_share": share})
        return weights(train([domain(name, ord(name))], settings, steps=4, seed=0))

    assert torch.equal(trained(1.0, "a"), trained(1.0, "b"))
    assert not torch.equal(trained(0.0, "a"), trained(0.0, "b"))
    assert not torch.equal(trained(0.0, "a"), trained(1.0, "a"))


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [learning_rate_at(step, 100, 10, 1.0) for step in range(101)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.0)
    assert learning_rate_at(1, 3, 50, 1.0) == 1.0  # a short run is not all warm-up


def test_a_loss_that_breaks_is_told_in_one_line() -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1.0e30, "warmup": 0, "readout": "linear"})
    with pytest.raises(ValueError, match=r"loss is not a finite number at step \d+; lower training.learning_rate"):
        train([domain("a", 0)], settings, steps=10, seed=0)


def test_synthetic_tasks_are_unit_rows_that_a_class_mean_can_partly_tell_apart() -> None:
    from training.baselines import class_mean

    turns = Turns(32, 0, torch.device("cpu"))
    batch = synthetic_batch(keys(0, 64, 0), torch.stack([turns.matrix(0), turns.matrix(1)]), 5, 3, 4)
    assert batch.support_BSD.shape == (64, 15, 32)
    assert batch.query_BQD.shape == (64, 20, 32)
    torch.testing.assert_close(batch.query_BQD.norm(dim=-1), torch.ones(64, 20))
    scores = class_mean(batch.support_BSD, batch.support_label_BS, batch.query_BQD, 5)
    accuracy = float((scores.argmax(-1) == batch.query_label_BQ).float().mean())
    assert 0.3 < accuracy < 0.95


def test_rotations_are_orthogonal_and_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = rotation(16, generator), rotation(16, generator)
    torch.testing.assert_close(one @ one.T, torch.eye(16), atol=1e-5, rtol=0)
    assert float((one - other).abs().max()) > 0.1
    assert shape_of(SETTINGS, 16).dimensions == 16
