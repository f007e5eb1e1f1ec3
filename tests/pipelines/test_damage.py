"""DVC is made to see a damaged file, and loses the copies that share the damage, whatever links to its cache are in use."""

import hashlib
import os
from pathlib import Path

import pytest

from pipelines.damage import look_again
from pipelines.layout import Layout

GOOD, BAD = b"good" * 10, b"goof" * 10


def cached(layout: Layout, name: bytes, holds: bytes) -> Path:
    """A copy in the cache under the MD5 of `name`."""
    digest = hashlib.md5(name, usedforsecurity=False).hexdigest()
    path = layout.dvc_cache / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(holds)
    path.chmod(0o444)
    return path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_a_damaged_copy_goes_and_sound_ones_stay(layout: Layout) -> None:
    damaged, sound = cached(layout, GOOD, BAD), cached(layout, b"other", b"other")
    same_size = cached(layout, b"1234" * 10, b"1234" * 10)
    path = layout.root / "file"
    path.write_bytes(BAD)
    os.utime(path, (1e9, 1e9))
    look_again(path, layout)
    assert path.stat().st_mtime > 1e9
    assert path.read_bytes() == BAD
    assert not damaged.exists()
    assert sound.exists()
    assert same_size.exists()


def test_a_hard_link_stays_and_its_copy_goes(layout: Layout) -> None:
    damaged = cached(layout, GOOD, BAD)
    path = layout.root / "file"
    os.link(damaged, path)
    look_again(path, layout)
    assert not damaged.exists()
    assert path.read_bytes() == BAD


def test_a_symbolic_link_to_a_damaged_copy_goes_with_it(layout: Layout) -> None:
    damaged = cached(layout, GOOD, BAD)
    path = layout.root / "file"
    path.symlink_to(damaged)
    look_again(path, layout)
    assert not damaged.exists()
    assert not path.is_symlink(), "what is written next would go through it into the cache"


def test_without_a_cache_or_a_file_nothing_happens(layout: Layout) -> None:
    look_again(layout.root / "none", layout)
    (layout.root / "file").write_bytes(BAD)
    look_again(layout.root / "file", layout)
    assert sorted(path.name for path in layout.root.iterdir()) == ["file"]
