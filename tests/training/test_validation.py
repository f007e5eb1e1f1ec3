"""Validation: which images of which domains it looks at, and what becomes of its figures."""

from pathlib import Path

import polars as pl
import pytest
import torch
from test_train import SETTINGS, domain

from pipelines.training_settings import Training
from training.device import choose
from training.evaluate import episode_accuracies
from training.log import DOMAIN_COLUMNS
from training.train import new_learner, train
from training.train_stage import episodes_of
from training.validation import passed_over, validate, validation_episodes

DOMAINS = [domain("a", 0), domain("b", 1)]
SPARE = domain("c", 2)
SMALL = domain("small", 3, classes=2)


def test_train_domains_are_seen_by_their_validation_images_and_spare_ones_by_all() -> None:
    found = validation_episodes(DOMAINS, SETTINGS, [SPARE])
    assert [(each.domain, each.role) for each in found] == [("a", "train"), ("b", "train"), ("c", "spare")]
    for given, each in zip(DOMAINS, found, strict=False):
        hidden = torch.tensor([split == "validation" for split in given.split_N])
        assert torch.equal(each.rows_NP, given.features_ND[hidden])
    assert torch.equal(found[2].rows_NP, SPARE.features_ND)


def test_a_domain_that_is_too_small_is_passed_over_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    found = episodes_of([DOMAINS[0], SMALL], [SPARE], SETTINGS, tell=True)
    assert passed_over([DOMAINS[0], SMALL, SPARE], found) == ["small"]
    said = "  train: too few validation images for 3-way 2-shot episodes, passed over: small\n"
    assert capsys.readouterr().err == said
    episodes_of([DOMAINS[0], SMALL], [], SETTINGS, tell=False)
    assert capsys.readouterr().err == ""


def test_the_best_cannot_be_kept_where_no_train_domain_is_measured() -> None:
    best = SETTINGS.model_copy(update={"keep": "best"})
    assert episodes_of(DOMAINS, [], best, tell=False)
    with pytest.raises(ValueError, match=r"^training.keep: best needs a train domain .+; say last$"):
        episodes_of([SMALL], [SPARE], best, tell=False)


def test_the_log_has_each_domain_and_the_mean_of_those_that_are_trained_on(tmp_path: Path) -> None:
    validation = validation_episodes(DOMAINS, SETTINGS, [SPARE])
    learner = train(DOMAINS, SETTINGS, steps=12, seed=0, log_path=tmp_path / "log.csv", validation=validation)
    log, by_domain = pl.read_csv(tmp_path / "log.csv"), pl.read_csv(tmp_path / "validation.csv")
    assert tuple(by_domain.columns) == DOMAIN_COLUMNS
    measured = log.drop_nulls("validation_accuracy")
    assert by_domain["step"].unique().sort().to_list() == measured["step"].to_list()
    for row in measured.iter_rows(named=True):
        seen = by_domain.filter(pl.col("step") == row["step"])
        assert seen["domain"].to_list() == ["a", "b", "c"]
        assert row["validation_accuracy"] == pytest.approx(float(seen["accuracy"][:2].mean()), abs=1e-6)
    last = by_domain.tail(3)["accuracy"].to_list()
    expected = [float(episode_accuracies(learner, each.rows_NP, each.episodes).mean()) for each in validation]
    assert last == pytest.approx(expected, abs=1e-6)


def test_what_is_looked_at_changes_no_weight() -> None:
    def trained(settings: Training, spare: bool) -> list[torch.Tensor]:
        validation = validation_episodes(DOMAINS, settings, [SPARE] if spare else [])
        return list(train(DOMAINS, settings, steps=4, seed=0, validation=validation).state_dict().values())

    assert all(map(torch.equal, trained(SETTINGS, True), trained(SETTINGS, False)))


def test_validation_leaves_a_learner_in_training() -> None:
    learner = new_learner(SETTINGS, 16, seed=0).train()
    (found,) = validate(learner, validation_episodes(DOMAINS[:1], SETTINGS), choose(SETTINGS))
    assert learner.training
    assert 0 < found.accuracy <= 1
    assert validate(learner, [], choose(SETTINGS)) == []
