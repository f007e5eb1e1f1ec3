"""The encoder `conv` from pictures to labels: encoded, trained with the learner, cut off and gone on, measured, asked."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from curated import curated_project
from made_features import pictured
from safetensors.torch import load_file

from pipelines.collect import collect
from pipelines.encode import encode
from pipelines.encoding import choose
from pipelines.files import atomic_folder, read_json
from pipelines.images import decode
from pipelines.layout import Layout
from pipelines.params import Measurement, load_params
from pipelines.shards import read_images
from pipelines.training_settings import Training
from training.about import about_training, must_read, read_about
from training.calibration import calibrate
from training.collection import load_collection
from training.feature_parts import feature_parts
from training.learner import Learner, load_learner, save_learner
from training.measure import run
from training.measure import trial as trial_module
from training.measure.run import measure, trial_of
from training.measure.store import Store
from training.measure.sweep import plan
from training.predict import predict
from training.train import new_learner, train
from training.validation import validation_episodes

SETTINGS = Training(
    n_way=3, max_shot=2, n_query=2, batch=2, steps=6, synthetic_share=0.3, warmup=1, checkpoint_every=3, readout="parts"
)
DOMAINS = [pictured("a", 0), pictured("b", 1)]


def trained(folder: Path, cut: int | None = None) -> Learner:
    """A training with its checkpoint in `folder`, cut off after the row of step `cut`."""

    def progress(step: int, steps: int, row: object) -> None:
        if step == cut:
            raise InterruptedError

    return train(DOMAINS, SETTINGS, steps=6, seed=2, progress=progress, checkpoint_path=folder / "last.safetensors")


def test_the_loss_falls_for_the_backbone_learns(tmp_path: Path) -> None:
    asked = SETTINGS.model_copy(update={"synthetic_share": 0.0, "batch": 4})
    validation = validation_episodes(DOMAINS, asked)
    learner = train(DOMAINS, asked, steps=20, seed=0, log_path=tmp_path / "log.csv", validation=validation)
    log = pl.read_csv(tmp_path / "log.csv")
    assert float(log["loss"][-5:].mean()) < 0.5 * float(log["loss"][:3].mean())
    first = new_learner(asked, 256, 0, pixels=True)
    assert log["validation_accuracy"][-1] > 0.9
    moved = [not torch.equal(a, b) for a, b in zip(first.backbone.parameters(), learner.backbone.parameters(), strict=True)]
    assert all(moved)


def test_a_training_cut_off_goes_on_to_the_same_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = trained(tmp_path / "whole").state_dict()
    with pytest.raises(InterruptedError):
        trained(tmp_path / "cut", 5)
    found = trained(tmp_path / "cut").state_dict()
    assert "goes on after step 3" in capsys.readouterr().err
    assert all(torch.equal(found[name], tensor) for name, tensor in whole.items())
    assert any(name.startswith("backbone.") for name in whole)


def test_a_batch_in_parts_gives_the_same_step() -> None:
    asked = SETTINGS.model_copy(update={"synthetic_share": 0.0})
    whole, parts = (
        train(DOMAINS, asked.model_copy(update={"accumulate": accumulate}), steps=1, seed=0).state_dict()
        for accumulate in (1, 2)
    )
    before = new_learner(asked, 256, 0, pixels=True).state_dict()
    name = "backbone.head.weight"
    torch.testing.assert_close(whole[name] - before[name], parts[name] - before[name], atol=2e-4, rtol=0.01)


def test_tasks_without_labels_train_the_backbone() -> None:
    domains = [pictured("a", 0, views=4), pictured("b", 1, views=4)]
    asked = SETTINGS.model_copy(update={"regime": "pseudo", "synthetic_share": 0.0})
    found = train(domains, asked, steps=2, seed=0).state_dict()
    before = new_learner(asked, 256, 0, pixels=True).state_dict()
    assert not torch.equal(found["backbone.convolutions.0.weight"], before["backbone.convolutions.0.weight"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path) -> Layout:
    """A project encoded with conv, and a learner of it."""
    layout = curated_project(tmp_path_factory.mktemp("conv") / "project", encoder_file)
    encoder = choose("conv", layout, offline=True)
    for name in ("pebbles", "leaves"):
        with atomic_folder(layout.encoded(name)) as target:
            encode(name, layout, target, encoder, 0, 10**6)
    collect(load_params(layout.params), layout)
    manifest = read_json(layout.manifest)
    pebbles = load_collection(layout, manifest)["pebbles"]
    learner = train([pebbles], SETTINGS, steps=3, seed=0, parts=feature_parts(layout, manifest))
    calibrations = calibrate(learner, [pebbles], SETTINGS)
    save_learner(learner, layout.model, about_training(manifest, SETTINGS, {"pebbles": 1.0}, calibrations))
    return layout


def test_the_file_holds_the_backbone_and_says_what_it_reads(project: Layout) -> None:
    saved, learner = load_file(project.model), load_learner(project.model)
    assert learner.shape.pixels
    assert all(torch.equal(saved[name], tensor) for name, tensor in learner.state_dict().items())
    about, manifest = read_about(project.model), read_json(project.manifest)
    assert about["encoding"]["tensor"] == "pixels"
    must_read(about, manifest, project.model)
    other = manifest | {"encoding": manifest["encoding"] | {"encoder": "embedded", "encoder_digest": "e" * 64}}
    with pytest.raises(ValueError, match=r"trained on encoder conv .*, the collection is encoded by embedded eeeeeeee"):
        must_read(about, other, project.model)


def test_baselines_are_judged_on_the_features_of_the_learners_own_backbone(
    project: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Measurement(n_way=3, n_shots=[2], n_query=2, episodes=10, steps=1)
    collection = load_collection(project, read_json(project.manifest))
    judged: list[torch.Tensor] = []

    def seen(scorer: Callable[..., object], features_ND: torch.Tensor, drawn: object) -> object:
        judged.append(features_ND)
        return real(scorer, features_ND, drawn)

    real = run.episode_accuracies
    for module in (run, trial_module):
        monkeypatch.setattr(module, "episode_accuracies", seen)
    learner = load_learner(project.model)
    roles = {"pebbles": "train", "leaves": "held_out"}
    trial, company = trial_of(collection, roles, SETTINGS, asked, Store(project.trainings))
    results = measure(trial, plan(trial, company), learner=learner, workers=1)
    assert results.filter(pl.col("subset").is_null())["learner"].to_list() == ["learner", "class_mean", "ridge", "knn"]
    with torch.no_grad():
        expected = learner.backbone(collection["leaves"].features_ND)
    main, subset = judged[:4], judged[4]
    assert all(features_ND is main[0] for features_ND in main), "read once for all"
    torch.testing.assert_close(main[0], expected)
    assert not torch.allclose(subset, expected, atol=1e-4), "a subset's learner has a backbone of its own"


def test_a_users_pictures_are_read_as_those_of_the_shards(project: Layout, tmp_path: Path) -> None:
    index = pl.read_parquet(project.domain("pebbles") / "index.parquet")
    shown = index.filter(pl.col("label").is_in(["class0", "class1"]), split="train").group_by("label").head(3).sort("shard")
    for row, data in zip(shown.iter_rows(named=True), read_images(project.domain("pebbles"), shown), strict=True):
        folder = tmp_path / row["label"]
        folder.mkdir(exist_ok=True)
        decode(data, 10**6).image.save(folder / f"{row['key']}.png")
    found = predict(project, tmp_path, tmp_path)
    assert found.probability_QW.shape == (6, 2)
    learner, pebbles = load_learner(project.model), load_collection(project, read_json(project.manifest))["pebbles"]
    keys = [picture.path.stem for picture in found.pictures]
    rows = [index["key"].to_list().index(key) for key in keys]
    with torch.no_grad():
        features_ND = learner.backbone(pebbles.features_ND[rows])
        label_S = torch.tensor([found.labels.index(str(picture.folder)) for picture in found.pictures])
        scores_QW = learner(features_ND[None], label_S[None], features_ND[None], 2)[0]
    temperature = found.calibration.temperature if found.calibration else 1.0
    torch.testing.assert_close(found.probability_QW.float(), (scores_QW / temperature).softmax(-1), atol=1e-4, rtol=1e-3)
