"""Reading domains: only whole and matching files are accepted, exclusions are applied."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import save_file

from pipelines.files import write_json
from pipelines.layout import Layout
from training.collection import load_collection, load_domain


def write_domain(layout: Layout, name: str, features_ND: np.ndarray | None = None, images: int = 6) -> dict[str, str]:
    """Files as curation and embedding leave them; returns the manifest's entry, less the role."""
    rng = np.random.default_rng(len(name))
    features_ND = rng.normal(size=(images, 4)).astype(np.float32) if features_ND is None else features_ND
    layout.domain(name).mkdir(parents=True)
    layout.features(name).mkdir(parents=True)
    keys = [f"{name}-{i}" for i in range(images)]
    index = pl.DataFrame(
        {
            "key": keys,
            "class": pl.Series([i % 2 for i in range(images)], dtype=pl.Int32),
            "label": [f"l{i % 2}" for i in range(images)],
            "split": ["train"] * (images - 1) + ["test"],
            "unit": [keys[0], keys[0], *keys[2:]],
        }
    )
    index.write_parquet(layout.domain(name) / "index.parquet")
    write_json(layout.domain(name) / "classes.json", ["l0", "l1"])
    save_file({"features": features_ND}, layout.features(name) / "features.safetensors")
    digest = hashlib.sha256(features_ND.tobytes()).hexdigest()
    about = {
        "domain_digest": f"of-{name}",
        "encoder_digest": "enc",
        "features_digest": digest,
        "dimensions": 4,
        "images": images,
    }
    write_json(layout.features(name) / "source.json", about)
    return {"digest": f"of-{name}", "features_digest": digest}


def test_a_domain_is_read_in_the_order_of_its_index(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    features_ND = np.arange(1, 25, dtype=np.float32).reshape(6, 4)
    write_domain(layout, "beads", features_ND)
    found = load_domain(layout, "beads")
    assert found.class_N.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.unit_N[0] == found.unit_N[1]
    assert len(found.unit_N.unique()) == 5
    assert found.classes == ("l0", "l1")
    expected = features_ND / np.linalg.norm(features_ND, axis=1, keepdims=True)
    np.testing.assert_allclose(found.features_ND.numpy(), expected, rtol=1e-6)
    assert len(found.in_splits("test").features_ND) == 1
    fewer = load_domain(layout, "beads", ["beads-0", "beads-3"])
    torch.testing.assert_close(fewer.features_ND, found.features_ND[[1, 2, 4, 5]])


def test_files_that_do_not_match_are_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_domain(layout, "short", np.ones((5, 4), dtype=np.float32))
    with pytest.raises(ValueError, match="5 features for the 6 images of domain 'short'"):
        load_domain(layout, "short")
    broken = np.ones((6, 4), dtype=np.float32)
    broken[2, 1] = np.nan
    write_domain(layout, "nan", broken)
    with pytest.raises(ValueError, match="domain 'nan': 1 of 6 features are not finite"):
        load_domain(layout, "nan")
    write_domain(layout, "swapped")
    save_file({"features": np.ones((6, 4), dtype=np.float32)}, layout.features("swapped") / "features.safetensors")
    with pytest.raises(ValueError, match="differs from the digest"):
        load_domain(layout, "swapped")
    (layout.features("swapped") / "features.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match="expected a safetensors file"):
        load_domain(layout, "swapped")


def test_exclusions_hold_for_train_and_spare_but_not_for_held_out(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    domains = {name: {**write_domain(layout, name), "role": role} for name, role in (("a", "train"), ("h", "held_out"))}
    exclusions = [
        {"domain": "a", "key": "a-2", "because_domain": "h", "because_key": "h-1"},
        {"domain": "h", "key": "h-1", "because_domain": "a", "because_key": "a-2"},
    ]
    manifest = {"version": 1, "encoder": "enc", "domains": domains, "exclusions": exclusions}
    found = load_collection(layout, manifest)
    assert list(found) == ["a", "h"]
    assert len(found["a"].class_N) == 5
    assert len(found["h"].class_N) == 6
    for field, message in (("features_digest", "features_digest is not"), ("digest", "domain_digest is not")):
        other = {**manifest, "domains": {**domains, "a": {**domains["a"], field: "else"}}}
        with pytest.raises(ValueError, match=f"domain 'a': {message}"):
            load_collection(layout, other)
    with pytest.raises(ValueError, match="encoder_digest is not"):
        load_collection(layout, {**manifest, "encoder": "else"})
