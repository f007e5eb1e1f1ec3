"""A reader never sees half a file, whatever goes wrong while it is written."""

import errno
import os
from pathlib import Path

import pytest

from pipelines import files


def half_write(target: Path) -> None:
    with files.atomic_path(target) as path:
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_fill(target: Path) -> None:
    with files.atomic_folder(target) as folder:
        (folder / "two").write_text("2")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"b": 1})
    with pytest.raises(OSError, match="No space"):
        half_write(target)
    assert files.read_json(target) == {"b": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_failing_folder_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "domain"
    with files.atomic_folder(target) as folder:
        (folder / "one").write_text("1")
    with pytest.raises(OSError, match="No space"):
        half_fill(target)
    assert [path.name for path in target.iterdir()] == ["one"]
    assert [path.name for path in tmp_path.iterdir()] == ["domain"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    stale = tmp_path / ".domain.123.part"
    stale.mkdir()
    (stale / "half").write_text("x")
    with files.atomic_folder(tmp_path / "domain") as folder:
        (folder / "one").write_text("1")
    assert [path.name for path in tmp_path.iterdir()] == ["domain"]


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a", {"x": 1, "a": 2})
    files.write_json(tmp_path / "b", {"a": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_broken_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a.json: not valid JSON"):
        files.read_json(tmp_path / "a.json")
