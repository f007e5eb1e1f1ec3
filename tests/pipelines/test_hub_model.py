"""Models of the Hub: small real ones, loaded as large ones are; and everything that is none."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import Hub
from made_models import save
from PIL import Image
from transformers import AutoImageProcessor, CLIPVisionModel, Dinov2Model, ResNetModel, ViTModel

from pipelines.encoding import choose
from pipelines.encoding.hub_files import model_folder
from pipelines.encoding.hub_model import HubModel
from pipelines.layout import Layout

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each kind."""
    root = tmp_path_factory.mktemp("models")
    for kind in ("clip", "dinov2", "resnet", "vit", "bert"):
        save(root / kind, kind)
    return root


def images(count: int = 5) -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [Image.fromarray(rng.integers(0, 256, (30 + 7 * n, 50, 3), dtype=np.uint8)) for n in range(count)]


@pytest.mark.parametrize(("kind", "made"), [("clip", CLIPVisionModel), ("dinov2", Dinov2Model), ("resnet", ResNetModel)])
def test_features_are_the_models_pooled_output_at_unit_length(models: Path, kind: str, made: type) -> None:
    encoder = HubModel.load(models / kind, f"hub:{kind}")
    found = encoder.encode(images())
    processor = AutoImageProcessor.from_pretrained(models / kind, backend="pil")
    plain = made.from_pretrained(models / kind).eval()
    with torch.no_grad():
        pixels = processor(images=images(), return_tensors="pt")["pixel_values"]
        expected = plain(pixel_values=pixels).pooler_output.flatten(1).numpy()
    assert found.dtype == np.float32
    assert found.shape == (5, *encoder.row)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_where_no_pooler_was_trained_the_class_token_counts(models: Path) -> None:
    found = HubModel.load(models / "vit", "hub:vit").encode(images())
    processor = AutoImageProcessor.from_pretrained(models / "vit", backend="pil")
    plain = ViTModel.from_pretrained(models / "vit", add_pooling_layer=False).eval()
    with torch.no_grad():
        expected = plain(**processor(images=images(), return_tensors="pt")).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_a_feature_depends_on_its_image_alone(models: Path) -> None:
    encoder = HubModel.load(models / "dinov2", "hub:dinov2")
    together = encoder.encode(images(40))  # more than a batch
    np.testing.assert_array_equal(together, encoder.encode(iter(images(40))))
    np.testing.assert_allclose(together[37:38], encoder.encode(images(40)[37:38]), atol=1e-6)


def test_the_digest_is_of_weights_configuration_and_preprocessing(models: Path, tmp_path: Path) -> None:
    digest = HubModel.load(models / "resnet", "hub:resnet").digest
    copied = shutil.copytree(models / "resnet", tmp_path / "elsewhere")
    assert HubModel.load(copied, "hub:other").digest == digest
    other = save(tmp_path / "other", "resnet", seed=1)
    assert HubModel.load(other, "hub:other").digest != digest
    path = copied / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_mean": [0.4, 0.4, 0.4]}))
    assert HubModel.load(copied, "hub:other").digest != digest


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def with_pickle_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_broken_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"half")


def without_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()


def without_preprocessing(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()


def with_weights_of_another(folder: Path) -> None:
    shutil.copy(folder.parent / "weights" / "model.safetensors", folder)


def with_code_of_its_own(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    own = {"model_type": "mine", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(config | own))
    (folder / "own.py").write_text("raise SystemExit('code of the repository ran')")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without_weights, "no model.safetensors there"),
        (with_pickle_alone, "pickle among them, are not read"),
        (with_broken_weights, "cannot be used as a model of images"),
        (without_configuration, "no config.json there"),
        (without_preprocessing, "no preprocessor_config.json there, so it is no model of images"),
        (with_weights_of_another, "its weights lack"),
        (with_code_of_its_own, "cannot be used as a model of images"),
    ],
)
def test_what_is_no_model_is_one_line(models: Path, tmp_path: Path, damage, words: str) -> None:
    shutil.copytree(models / "resnet", tmp_path / "weights")
    folder = shutil.copytree(models / "dinov2", tmp_path / "model")
    damage(folder)
    with pytest.raises(ValueError, match=words) as caught:
        choose("hub:./model", Layout(tmp_path), offline=True)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert str(caught.value).startswith("params.yaml: encoding.encoder: hub:./model: ")


def test_a_model_of_text_sees_nothing(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there, so it is no model of images"):
        HubModel.load(models / "bert", "hub:bert")
    dressed = shutil.copytree(models / "bert", tmp_path / "bert")
    shutil.copy(models / "clip" / "preprocessor_config.json", dressed)
    with pytest.raises(ValueError, match="BertModel has no vision tower"):
        HubModel.load(dressed, "hub:bert")


def test_folders_and_names_are_told_apart(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "resnet", tmp_path / "mine" / "resnet")
    for asked in ("hub:mine/resnet", "hub:./mine/resnet", f"hub:{tmp_path}/mine/resnet"):
        assert model_folder(asked, tmp_path, offline=True) == (tmp_path / "mine" / "resnet", asked)
    for asked, words in (
        ("hub:./absent", "no such folder"),
        ("hub:a/b/c", "'a/b/c' is no model: expected hub:OWNER/NAME"),
        ("hub:a b", "is no model"),
    ):
        with pytest.raises(ValueError, match=words):
            model_folder(asked, tmp_path, offline=True)


ASK = """
import sys
from pathlib import Path
from pipelines.encoding.hub_files import model_folder
for asked in sys.argv[2:]:
    try:
        folder, name = model_folder(asked, Path(), offline=sys.argv[1] == "offline")
        print(name, *sorted(path.name for path in folder.iterdir()))
    except ValueError as error:
        print(error)
"""


def test_a_model_comes_from_the_hub_once_and_without_pickle(models: Path, tmp_path: Path) -> None:
    def asked(*words: str) -> list[str]:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-c", ASK, *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.splitlines()

    files = {path.name: path.read_bytes() for path in (models / "dinov2").iterdir()}
    with Hub() as hub:
        commit = hub.commit("user/eyes", files | {"pytorch_model.bin": b"pickle", "README.md": b"Eyes."})
        names = "config.json model.safetensors preprocessor_config.json"
        told = asked("online", "hub:user/eyes", f"hub:user/eyes@{commit}", "hub:user/none", "hub:user/eyes@v9")
        assert told[:2] == [f"hub:user/eyes@{commit} {names}"] * 2
        assert "model 'user/none': there is none on the Hub" in told[2]
        assert "model 'user/eyes' at 'v9': there is no such revision" in told[3]
        assert hub.sent["pytorch_model.bin"] == 0
        seen = len(hub.requests)
        assert asked("offline", "hub:user/eyes") == told[:1]
        (other,) = asked("offline", "hub:user/other")
        assert "model 'user/other': not on this machine, and transfer.offline is set" in other
        assert len(hub.requests) == seen
        hub.repos["user/eyes"].token, hub.repos["user/eyes"].gated = "t", True
        shutil.rmtree(tmp_path / "hub")
        (gated,) = asked("online", "hub:user/eyes")
        assert "its terms must be accepted on the Hub" in gated
