"""A reader never sees half a file, whatever goes wrong while it is written."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import files

ROOT = Path(__file__).parents[2]


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


def test_what_a_killed_write_left_is_removed_but_not_what_is_being_written(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (tmp_path / f".a.json.{gone.pid}.part").write_text("half")
    others = [tmp_path / name for name in (f".a.json.{os.getppid()}.part", f".b.{gone.pid}.part", ".a.json.x.part")]
    for other in others:
        other.write_text("half")
    files.write_json(tmp_path / "a.json", {})
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a.json", *others])


KILLED = """
import os, shutil, sys
from pathlib import Path
from pipelines import files

left = int(sys.argv[2])

def ends(function):
    def either(*given, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return function(*given, **named)
    return either

Path.rename, os.unlink, os.rmdir = ends(Path.rename), ends(os.unlink), ends(os.rmdir)
with files.atomic_folder(Path(sys.argv[1])) as folder:
    for name in ("one", "two"):
        (folder / name).write_text("new")
"""


def kill(target: Path, operations: int) -> int:
    """Replace a folder in a process that is killed before its n-th rename or removal; its exit status."""
    return subprocess.run([sys.executable, "-c", KILLED, str(target), str(operations)], cwd=ROOT).returncode


def test_a_folder_is_whole_whenever_its_replacement_is_killed(tmp_path: Path) -> None:
    target, operations, found = tmp_path / "domain", 0, []
    while True:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for name in ("one", "two"):
            (target / name).write_text("old")
        status = kill(target, operations)
        after = sorted(path.read_text() for path in target.iterdir()) if target.exists() else None
        found.append(after)
        with pytest.raises(OSError, match="No space"):
            half_fill(target)
        assert [path.name for path in tmp_path.iterdir()] == ["domain"]
        assert sorted(path.read_text() for path in target.iterdir()) == (after or ["old", "old"])
        if status == 0:
            break
        operations += 1
    assert found[0] == ["old", "old"]
    assert found[1] is None, "moved aside, and put back by the next run"
    assert len(found) > 5
    assert set(map(str, found[2:])) == {"['new', 'new']"}


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a", {"x": 1, "a": 2})
    files.write_json(tmp_path / "b", {"a": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_broken_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a.json: not valid JSON"):
        files.read_json(tmp_path / "a.json")
