"""The frozen encoder: what it gives for a picture depends on that picture alone, and its file is checked when read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file, save_file

from pipelines.encoders import Encoder, fit, prepare
from pipelines.encoders.blocks import block_width, powered_blocks, unit_range
from pipelines.encoders.encoder import BATCH
from pipelines.encoders.hog import BINS, hog
from pipelines.encoders.patches import normalised_patches, spherical_kmeans
from pipelines.encoders.pooling import pool, pooling_weights
from pipelines.encoders.preparation import SIDE
from pipelines.encoders.projection import fit_projection
from pipelines.encoders.reference import PAINTERS, reference_images

MANY = reference_images(2 * BATCH + 5, SIDE, seed=7)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return fit()


@pytest.fixture(scope="session")
def features_ND(encoder: Encoder) -> np.ndarray:
    return encoder.encode(MANY)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(len(MANY))), size=st.integers(1, len(MANY)))
def test_a_feature_does_not_depend_on_batch_or_order(
    encoder: Encoder, features_ND: np.ndarray, order: list[int], size: int
) -> None:
    chosen = order[:size]
    np.testing.assert_allclose(encoder.encode(MANY[chosen]), features_ND[chosen], rtol=0, atol=1e-5)


def test_an_image_alone_is_encoded_as_in_a_batch(encoder: Encoder, features_ND: np.ndarray) -> None:
    alone = np.concatenate([encoder.encode([image]) for image in MANY[:6]])
    np.testing.assert_allclose(alone, features_ND[:6], rtol=0, atol=1e-5)


def test_features_have_the_promised_form(encoder: Encoder, features_ND: np.ndarray) -> None:
    assert features_ND.shape == (len(MANY), encoder.dimensions)
    assert features_ND.dtype == np.float32
    assert np.isfinite(features_ND).all()
    assert 0.5 < features_ND.std() < 2  # of order one, so that a learner can take them as they are
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_pictures_iterators_and_arrays_give_the_same(encoder: Encoder, features_ND: np.ndarray) -> None:
    pictures = (Image.fromarray(image) for image in MANY[:5])
    np.testing.assert_allclose(encoder.encode(pictures), features_ND[:5], rtol=0, atol=1e-5)


@pytest.mark.parametrize("value", [0, 255])
def test_a_flat_image_has_a_finite_feature(encoder: Encoder, value: int) -> None:
    assert np.isfinite(encoder.encode([np.full((SIDE, SIDE, 3), value, np.uint8)])).all()


@pytest.mark.parametrize(
    "array", [np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_other_arrays_are_refused(encoder: Encoder, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 arrays \[height, width, 3\]"):
        encoder.encode([array])


def test_near_copies_are_nearer_than_strangers(encoder: Encoder, features_ND: np.ndarray) -> None:
    dimmed = np.round(MANY * 0.9).astype(np.uint8)
    copies = encoder.encode(np.roll(dimmed, 1, axis=1))
    distances = np.linalg.norm(features_ND[:, None] - copies[None], axis=-1)
    assert (distances.argmin(axis=1) == np.arange(len(MANY))).mean() > 0.9


def test_colour_and_orientation_are_seen(encoder: Encoder, features_ND: np.ndarray) -> None:
    for changed in (MANY[..., ::-1], MANY.transpose(0, 2, 1, 3)):
        moved = np.linalg.norm(encoder.encode(changed) - features_ND, axis=1)
        assert np.median(moved) > 2


def test_fitting_twice_gives_the_same_encoder_and_needs_no_torch() -> None:
    script = "import sys; from pipelines.encoders import fit; print(fit(3, 300).digest, 'torch' in sys.modules)"
    root = Path(__file__).parents[2]
    again = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert again.stdout.split() == [fit(3, 300).digest, "False"]


def test_another_seed_gives_another_encoder() -> None:
    assert fit(3, 300).digest != fit(4, 300).digest


def test_a_saved_encoder_comes_back(encoder: Encoder, features_ND: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "features" / "encoder.safetensors"
    encoder.save(path)
    loaded = Encoder.load(path)
    assert loaded.digest == encoder.digest
    np.testing.assert_array_equal(loaded.encode(MANY[:BATCH]), features_ND[:BATCH])
    assert path.stat().st_size < 10_000_000
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_digest_follows_every_tensor(encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    encoder.save(path)
    digests = {encoder.digest}
    for name, tensor in load_file(path).items():
        changed = tensor.copy()
        changed.flat[0] += 1
        save_file({**load_file(path), name: changed}, tmp_path / "changed.safetensors")
        digests.add(Encoder.load(tmp_path / "changed.safetensors").digest)
    assert len(digests) == 5


def _broken(path: Path, how: str) -> None:
    """Turn a good encoder's file into one that must be refused."""
    arrays = load_file(path)
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not an encoder\n" * 20)
    elif how == "missing file":
        path.unlink()
    elif how == "missing tensor":
        save_file({name: array for name, array in arrays.items() if name != "axes"}, path)
    elif how == "foreign":
        save_file({"weight": np.zeros((3, 3), np.float32)}, path)
    elif how == "other type":
        save_file({**arrays, "offset": arrays["offset"].astype(np.float64)}, path)
    elif how == "misfit":
        save_file({**arrays, "offset": arrays["offset"][:-1]}, path)
    elif how == "fewer atoms":
        save_file({**arrays, "filters": arrays["filters"][:, :-1].copy(), "offsets": arrays["offsets"][:-1]}, path)
    elif how == "not finite":
        save_file({**arrays, "offset": np.full_like(arrays["offset"], np.nan)}, path)


BREAKS = [
    "truncated",
    "empty",
    "text",
    "missing file",
    "missing tensor",
    "foreign",
    "other type",
    "misfit",
    "fewer atoms",
    "not finite",
]


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_or_foreign_file_is_refused_in_one_line(encoder: Encoder, tmp_path: Path, how: str) -> None:
    path = tmp_path / "encoder.safetensors"
    encoder.save(path)
    _broken(path, how)
    with pytest.raises(ValueError, match=r"encoder\.safetensors: not .* encoder") as caught:
        Encoder.load(path)
    assert "\n" not in str(caught.value)
    assert "dvc repro" in str(caught.value)


def test_prepare_squashes_any_mode_to_rgb() -> None:
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"):
        prepared = prepare(Image.new(mode, (70, 31)))
        assert prepared.shape == (SIDE, SIDE, 3)
        assert prepared.dtype == np.uint8
    assert (prepare(Image.new("RGBA", (9, 9), (0, 0, 0, 0))) == 255).all()  # transparency is laid on white


@settings(max_examples=50, deadline=None)
@given(positions=st.integers(1, 40), cells=st.integers(1, 12))
def test_pooling_averages(positions: int, cells: int) -> None:
    cells = min(cells, positions)
    weights = pooling_weights(positions, cells)
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)
    flat = pool(np.full((2, positions, positions, 3), 4.0, np.float32), cells)
    rounding = positions**2 * float(np.finfo(np.float32).eps)  # of a sum over so many terms
    np.testing.assert_allclose(flat, np.full((2, cells * cells * 3), 4.0), rtol=rounding + 1e-6)


def test_pooling_keeps_places_apart() -> None:
    image = np.zeros((1, 8, 8, 1), np.float32)
    image[0, 0, 7, 0] = 1  # top right
    assert pool(image, 2)[0].argmax() == 1


@pytest.mark.parametrize(("axis", "expected"), [(1, 0), (0, BINS // 2)])
def test_hog_sees_the_direction_of_an_edge(axis: int, expected: int) -> None:
    """A step across columns has gradient angle 0; one across rows 90 degrees, between the bins 4 and 5."""
    image = np.zeros((1, SIDE, SIDE, 3), np.float32)
    np.moveaxis(image[0], axis, 0)[SIDE // 2 :] = 1
    total = hog(image).reshape(-1, BINS).sum(axis=0)
    assert total.argmax() in (expected, (expected + 1) % BINS if axis == 0 else expected)
    assert total.max() > 0.45 * total.sum()


def test_patches_ignore_brightness_and_contrast() -> None:
    image = unit_range(MANY[:1]) * 0.5
    plain, changed = normalised_patches(image, 3), normalised_patches(image * 1.5 + 0.1, 3)
    strong = (plain**2).mean(axis=-1) > 0.95
    np.testing.assert_allclose(plain[strong], changed[strong], atol=0.1)
    np.testing.assert_allclose(plain.mean(axis=-1), 0, atol=1e-5)


def test_kmeans_finds_planted_directions() -> None:
    rng = np.random.default_rng(0)
    directions = np.eye(5, 8, dtype=np.float32)
    points = directions[rng.integers(0, 5, 2000)] * rng.normal(size=(2000, 1)).astype(np.float32)
    atoms = spherical_kmeans((points + 0.01 * rng.normal(size=points.shape)).astype(np.float32), 20, rng)
    assert (np.abs(atoms @ directions.T).max(axis=0) > 0.99).all()


def test_projection_centres_scales_and_orders() -> None:
    rng = np.random.default_rng(0)
    blocks = [
        (5 + rng.normal(size=(500, 12)) * np.arange(1, 13)).astype(np.float32),
        rng.normal(size=(500, 6)).astype(np.float32),
    ]
    features = fit_projection(blocks, 8)(np.concatenate(blocks, axis=1))
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    assert (np.diff(features.var(axis=0)) <= 1e-4).all()
    assert (features**2).sum(axis=1).mean() == pytest.approx(8, rel=1e-3)
    correlation = np.corrcoef(features.T) - np.eye(8)
    assert np.abs(correlation).max() < 1e-3
    rescaled = fit_projection([blocks[0] * 100, blocks[1]], 8)(np.concatenate([blocks[0] * 100, blocks[1]], axis=1))
    np.testing.assert_allclose(rescaled, features, atol=1e-3)  # a block's own scale does not matter


def test_reference_images_are_fixed_by_seed_and_position() -> None:
    first = reference_images(len(PAINTERS) * 2, 32, seed=3)
    np.testing.assert_array_equal(first[:5], reference_images(5, 32, seed=3))  # a longer set begins with the shorter
    assert (first != reference_images(len(first), 32, seed=4)).any(axis=(1, 2, 3)).all()
    assert len({image.tobytes() for image in first}) == len(first)
    assert (first.std(axis=(1, 2, 3)) > 1).all()


def test_blocks_have_the_stated_width(encoder: Encoder) -> None:
    blocks = powered_blocks(unit_range(MANY[:2]), encoder.dictionary)
    assert sum(block.shape[1] for block in blocks) == block_width(encoder.dictionary.filters_DK.shape[1])
