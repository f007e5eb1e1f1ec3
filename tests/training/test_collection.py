"""Reading domains: only whole and matching files are accepted, exclusions are applied."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import save_file

from pipelines.features import digest, unit_rows
from pipelines.files import write_json
from pipelines.layout import Layout
from pipelines.sums import domain_digest, write_sums
from training import collection
from training.collection import DomainTensors, load_collection, load_domain


def write_domain(
    layout: Layout, name: str, rows: np.ndarray | None = None, images: int = 6, views: np.ndarray | None = None, **said: object
) -> dict[str, str]:
    """Files as curation and encoding leave them; returns the manifest's entry, less the role. `said`: facts in source.json."""
    rng = np.random.default_rng(len(name))
    rows = unit_rows(rng.normal(size=(images, 4)).astype(np.float32)) if rows is None else rows
    folder = layout.domain(name)
    folder.mkdir(parents=True)
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
    index.write_parquet(folder / "index.parquet")
    write_json(folder / "classes.json", ["l0", "l1"])
    write_sums(folder)
    tensor = "pixels" if rows.dtype == np.uint8 else "features"
    about = {
        "encoder": "embedded",
        "encoder_digest": "enc",
        "domain_digest": domain_digest(folder),
        "features_digest": digest(rows),
        "tensor": tensor,
        "dimensions": int(np.prod(rows.shape[1:])),
        "images": images,
        "views": 0 if views is None else views.shape[1],
    }
    layout.encoded(name).mkdir(parents=True)
    tensors = {tensor: rows} | ({} if views is None else {"views": views})
    save_file(tensors, layout.encoded(name) / "features.safetensors")
    about |= {} if views is None else {"views_digest": digest(views)}
    write_json(layout.encoded(name) / "source.json", about | said)
    write_sums(layout.encoded(name))
    return {"digest": domain_digest(folder), "encoded_digest": domain_digest(layout.encoded(name))}


def test_a_domain_is_read_in_the_order_of_its_index(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    features_ND = unit_rows(np.arange(1, 25, dtype=np.float32).reshape(6, 4))
    write_domain(layout, "beads", features_ND)
    found = load_domain(layout, "beads")
    assert found.class_N.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.unit_N[0] == found.unit_N[1]
    assert len(found.unit_N.unique()) == 5
    assert found.classes == ("l0", "l1")
    np.testing.assert_array_equal(found.features_ND.numpy(), features_ND)
    assert found.views_NVD is None
    assert len(found.in_splits("test").features_ND) == 1
    fewer = load_domain(layout, "beads", ["beads-0", "beads-3"])
    torch.testing.assert_close(fewer.features_ND, found.features_ND[[1, 2, 4, 5]])


def test_pixels_and_views_come_along_flat(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
    views = rng.integers(0, 256, (6, 2, 3, 8, 8), dtype=np.uint8)
    write_domain(layout, "beads", rows, views=views)
    found = load_domain(layout, "beads", subject="toys")
    assert found.subject == "toys"
    assert found.features_ND.dtype == torch.uint8
    assert found.features_ND.shape == (6, 192)
    fewer = found.in_splits("test")
    assert fewer.subject == "toys"
    assert fewer.views_NVD is not None
    np.testing.assert_array_equal(fewer.views_NVD.numpy(), views[5:].reshape(1, 2, 192))
    np.testing.assert_array_equal(fewer.features_ND.numpy(), rows[5:].reshape(1, 192))


def test_large_tensors_stay_on_disk_and_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    write_domain(layout, "beads", views=np.ones((6, 2, 4), np.float32))
    copied = load_domain(layout, "beads")
    made: list[np.ndarray] = []
    from_numpy = torch.from_numpy
    monkeypatch.setattr(collection, "MAPPED_FROM", 1)
    monkeypatch.setattr(torch, "from_numpy", lambda rows: made.append(rows) or from_numpy(rows))
    mapped = load_domain(layout, "beads")
    assert [isinstance(rows, np.memmap) for rows in made[:2]] == [True, True]
    assert torch.equal(mapped.features_ND, copied.features_ND)
    assert torch.equal(mapped.views_NVD, copied.views_NVD)
    assert mapped.in_splits("train", "test") is mapped


def test_files_that_do_not_match_are_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_domain(layout, "short", np.ones((5, 4), dtype=np.float32))
    with pytest.raises(ValueError, match="5 rows for the 6 images of domain 'short'"):
        load_domain(layout, "short")
    broken = np.ones((6, 4), dtype=np.float32)
    broken[2, 1] = np.nan
    write_domain(layout, "nan", broken)
    with pytest.raises(ValueError, match="domain 'nan': 1 of 6 features are not finite"):
        load_domain(layout, "nan")
    write_domain(layout, "swapped")
    path = layout.encoded("swapped") / "features.safetensors"
    save_file({"features": np.ones((6, 4), dtype=np.float32)}, path)
    with pytest.raises(ValueError, match="differ from the digest"):
        load_domain(layout, "swapped")
    path.write_bytes(b"half")
    with pytest.raises(ValueError, match="expected a safetensors file"):
        load_domain(layout, "swapped")
    write_domain(layout, "old", domain_digest="of former shards")
    with pytest.raises(ValueError, match="encoded/old: older than the shards of domain 'old'; run `dvc repro`"):
        load_domain(layout, "old")
    write_domain(layout, "never")
    (layout.encoded("never") / "source.json").unlink()
    with pytest.raises(ValueError, match="encoded/never: not encoded yet"):
        load_domain(layout, "never")


def test_exclusions_hold_for_train_and_spare_but_not_for_held_out(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    roles = (("a", "train"), ("h", "held_out"))
    domains = {name: {**write_domain(layout, name), "role": role, "subject": "toys"} for name, role in roles}
    exclusions = [
        {"domain": "a", "key": "a-2", "because_domain": "h", "because_key": "h-1"},
        {"domain": "h", "key": "h-1", "because_domain": "a", "because_key": "a-2"},
    ]
    encoding = {"encoder": "embedded", "encoder_digest": "enc", "tensor": "features", "dimensions": 4, "views": 0}
    manifest = {"version": 1, "encoder": "enc", "encoding": encoding, "domains": domains, "exclusions": exclusions}
    found = load_collection(layout, manifest)
    assert list(found) == ["a", "h"]
    assert len(found["a"].class_N) == 5
    assert len(found["h"].class_N) == 6
    assert found["a"].subject == "toys"
    for field, message in (("encoded_digest", "encoded_digest is not"), ("digest", "domain_digest is not")):
        other = {**manifest, "domains": {**domains, "a": {**domains["a"], field: "else"}}}
        with pytest.raises(ValueError, match=f"domain 'a': {message}"):
            load_collection(layout, other)
    for other in ({**manifest, "encoding": {**encoding, "encoder_digest": "else"}}, {**manifest, "encoding": None}):
        with pytest.raises(ValueError, match="its encoder is not the manifest's"):
            load_collection(layout, other)


@pytest.mark.parametrize(("what", "count"), [("features", 6), ("views", 12)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_wherever_they_stand(what: str, count: int, value: float) -> None:
    rows = {"features": torch.ones(6, 4), "views": torch.ones(6, 2, 4)}
    rows[what][3, ..., 1] = value
    bad = 1 if what == "features" else 2
    classes = (torch.zeros(6).long(), torch.arange(6), ("train",) * 6, ("c",))
    with pytest.raises(ValueError, match=f"^domain 'sky': {bad} of {count} {what} are not finite numbers; encode it again$"):
        DomainTensors("sky", rows["features"], *classes, views_NVD=rows["views"])
