"""The stage `encode`: what training reads, by every encoder, is what the shards hold and nothing else."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from curated import curated_project
from made_models import save
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch_file

from pipelines.__main__ import main
from pipelines.check_encoded import check_encoded
from pipelines.encode import encode, encode_pictures
from pipelines.encoders import Encoder, prepare
from pipelines.encoding import Embedded, choose, tensors
from pipelines.encoding.pixels import Pixels
from pipelines.encoding.views import view
from pipelines.features import digest, map_features, unit_rows
from pipelines.files import atomic_folder, read_json, write_json
from pipelines.images import decode
from pipelines.layout import Layout
from pipelines.shards import read_images
from pipelines.sums import domain_digest, write_sums

MOST_PIXELS = 10**6


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path) -> Layout:
    return curated_project(tmp_path_factory.mktemp("encode") / "project", encoder_file)


@pytest.fixture
def layout(curated: Layout, tmp_path: Path) -> Layout:
    """A copy of it to change."""
    shutil.copytree(curated.root, tmp_path / "copy")
    return Layout(tmp_path / "copy")


def encoded(layout: Layout, setting: str, views: int = 0, domain: str = "leaves") -> tuple[dict[str, np.ndarray], dict]:
    """The tensors of an encoded domain, and what is said of them."""
    encoder = choose(setting, layout, offline=True)
    with atomic_folder(layout.encoded(domain)) as target:
        images = encode(domain, layout, target, encoder, views, MOST_PIXELS)
    assert images == pl.read_parquet(layout.domain(domain) / "index.parquet").height
    return load_file(layout.encoded(domain) / "features.safetensors"), read_json(layout.encoded(domain) / "source.json")


def pictures(layout: Layout, domain: str = "leaves") -> list:
    index = pl.read_parquet(layout.domain(domain) / "index.parquet")
    data = read_images(layout.domain(domain), index)
    return [(key, decode(d, MOST_PIXELS).image) for key, d in zip(index["key"], data, strict=True)]


def test_embedded_rows_are_those_of_curation_at_unit_length(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.encode.decode", lambda *_: pytest.fail("a picture was decoded"))
    found, about = encoded(layout, "embedded")
    kept = map_features(layout.features("leaves") / "features.safetensors")
    assert list(found) == ["features"]
    np.testing.assert_array_equal(found["features"], unit_rows(kept))
    assert about["encoder"] == "embedded"
    assert about["encoder_digest"] == Encoder.load(layout.encoder).digest
    assert about["domain_digest"] == domain_digest(layout.domain("leaves"))
    assert about["features_digest"] == digest(found["features"])
    assert (about["images"], about["dimensions"], about["views"]) == (len(kept), 256, 0)
    assert check_encoded("leaves", layout, lambda size: None) == []


def test_views_are_encoded_from_the_shards(layout: Layout) -> None:
    found, about = encoded(layout, "embedded", views=2)
    shown = pictures(layout)
    assert found["views"].shape == (len(shown), 2, 256)
    assert about["views_digest"] == digest(found["views"])
    some = [(at, number) for at in (0, 1, 40) for number in (0, 1)]
    expected = Embedded.load(layout.encoder).encode(view(shown[at][1], shown[at][0], number) for at, number in some)
    np.testing.assert_allclose([found["views"][at, number] for at, number in some], expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found["views"], axis=2), 1, atol=1e-5)
    again, _ = encoded(layout, "embedded", views=2)
    assert all(np.array_equal(found[name], again[name]) for name in found)


def test_pixels_are_the_pictures_channels_first(layout: Layout) -> None:
    found, about = encoded(layout, "conv", views=1)
    shown = pictures(layout)
    assert found["pixels"].dtype == np.uint8
    assert found["pixels"].shape == (len(shown), 3, 48, 48)
    assert found["views"].shape == (len(shown), 1, 3, 48, 48)
    np.testing.assert_array_equal(found["pixels"][7].transpose(1, 2, 0), prepare(shown[7][1]))
    assert (about["tensor"], about["dimensions"]) == ("pixels", 6912)
    assert check_encoded("leaves", layout, lambda size: None) == []


def test_a_model_of_the_hub_encodes_the_shards(layout: Layout) -> None:
    save(layout.root / "models" / "dinov2", "dinov2")
    found, about = encoded(layout, "hub:./models/dinov2", views=1)
    encoder = choose("hub:./models/dinov2", layout, offline=True)
    shown = pictures(layout)
    np.testing.assert_allclose(found["features"][:4], encoder.encode(image for _, image in shown[:4]), atol=1e-5)
    assert about["encoder"] == "hub:./models/dinov2"
    assert about["encoder_digest"] == encoder.digest
    assert about["dimensions"] == 16


def test_what_is_not_finite_is_never_written(layout: Layout) -> None:
    class Broken(Pixels):
        row = (2,)

        def encode(self, images):
            return np.full((len(list(images)), 2), np.nan, np.float32)

    before = (layout.encoded("leaves") / "source.json").read_bytes()
    told = r"domain 'leaves': \d+ of \d+ rows by encoder broken are not finite"
    with pytest.raises(ValueError, match=told), atomic_folder(layout.encoded("leaves")) as target:
        encode("leaves", layout, target, Broken("broken", "features"), 0, MOST_PIXELS)
    assert (layout.encoded("leaves") / "source.json").read_bytes() == before


def test_features_of_other_shards_and_damaged_pictures_are_refused(layout: Layout) -> None:
    about = layout.features("leaves") / "source.json"
    write_json(about, read_json(about) | {"domain_digest": "0" * 64})
    with pytest.raises(ValueError, match="features/leaves: made from other shards than those in"):
        encoded(layout, "embedded")
    row = pl.read_parquet(layout.domain("pebbles") / "index.parquet").row(3, named=True)
    shard = layout.domain("pebbles") / row["shard"]
    data = bytearray(shard.read_bytes())
    data[row["offset"] : row["offset"] + 8] = b"not this"
    shard.write_bytes(data)
    with pytest.raises(ValueError, match=f"{row['key']}: not a picture of a known format; delete the folder"):
        encoded(layout, "conv", domain="pebbles")


def test_check_names_what_is_wrong(layout: Layout) -> None:
    found, about = encoded(layout, "embedded")
    folder = layout.encoded("leaves")

    def told(**changed: str) -> list[str]:
        write_json(folder / "source.json", about | changed)
        write_sums(folder)
        return check_encoded("leaves", layout, lambda size: None)

    assert told() == []
    assert told(domain_digest="0") == [f"{folder / 'source.json'}: made from other shards than those on disk"]
    assert told(features_digest="0") == [f"{folder / 'features.safetensors'}: features differ from their digest"]
    save_file({"features": found["features"][1:]}, folder / "features.safetensors")
    (short,) = told()
    assert "rows of features, the index has" in short
    (folder / "features.safetensors").write_bytes(b"x")
    assert check_encoded("leaves", layout, lambda size: None) == [
        f"{folder / 'features.safetensors'}: differs from its checksum"
    ]


def test_the_stage_says_what_it_made(layout: Layout, prefect_server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "leaves"], layout.root) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line == f"encode@leaves: 84 images by embedded, 256 numbers each -> {layout.encoded('leaves')}"
    params = (layout.root / "params.yaml").read_text()
    (layout.root / "params.yaml").write_text(params.replace("encoder: embedded", "encoder: hub:./none"))
    before = (layout.encoded("leaves") / "source.json").read_bytes()
    assert main(["encode", "leaves"], layout.root) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: params.yaml: encoding.encoder: ")
    assert "no such folder" in line
    assert (layout.encoded("leaves") / "source.json").read_bytes() == before


def test_work_travels_as_paths(layout: Layout) -> None:
    import pickle

    from pipelines.encode import _slices

    index = pl.read_parquet(layout.domain("leaves") / "index.parquet").select("key", "shard", "offset", "size")
    (part,) = _slices(layout.domain("leaves"), index)
    work = pickle.dumps((Embedded.load(layout.encoder), part))
    assert len(work) < 30_000
    encoder, part = pickle.loads(work)
    made = encode_pictures(encoder, 1, MOST_PIXELS, part)
    assert made.rows_N is None
    assert made.views_NV.shape == (84, 1, 256)
    assert str(part) == "images 0 to 83"


def test_tensors_on_disk_are_read_by_the_package(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    wanted = {"a": (np.float32, (3, 2)), "b": (np.uint8, (5,)), "none": (np.float32, (0, 4))}
    with tensors.tensors_on_disk(path, wanted) as made:
        made["a"][1] = 7
        made["b"][:] = np.arange(5)
    found = load_torch_file(path)
    assert found["a"].tolist() == [[0, 0], [7, 7], [0, 0]]
    assert found["b"].tolist() == [0, 1, 2, 3, 4]
    assert found["none"].shape == torch.Size([0, 4])
