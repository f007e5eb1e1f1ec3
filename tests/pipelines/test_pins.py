"""Locks: what was fetched first is enforced, by real commands on real files, and taken anew when the user says so."""

import shutil
from pathlib import Path

import pytest
import yaml
from made_domains import make_project, picture, write_archive, write_card, write_params

from pipelines.__main__ import main
from pipelines.cards import Source
from pipelines.pins import Lock, PinnedFile, enforce, load_lock, make_lock, save_lock, source_digest
from pipelines.raw import RawSummary
from pipelines.transfer import Pin, SourceChanged

SOURCE = Source(kind="archive", locator="a.zip")
SUMMARY = RawSummary(records=3, bytes=30, passed_over=0, planted=0, files=1, faults=0, content="c" * 64)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    lock = make_lock(SOURCE, SUMMARY, {"a.zip": Pin(99, "f" * 64, '"tag"'), "b.zip": Pin(1, "0" * 64)})
    assert save_lock(path, lock, "a")
    assert not save_lock(path, lock, "a"), "an unchanged lock is not written again"
    assert load_lock(path, SOURCE) == lock
    assert lock.pinned() == {"a.zip": Pin(99, "f" * 64, '"tag"'), "b.zip": Pin(1, "0" * 64, None)}
    assert path.read_text().startswith("# What was fetched")


def test_another_source_section_is_pinned_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    save_lock(path, make_lock(SOURCE, SUMMARY, {}), "a")
    assert load_lock(path, SOURCE.model_copy(update={"locator": "b.zip"})) is None
    assert load_lock(tmp_path / "none.lock", SOURCE) is None


def test_many_files_are_pinned_by_content_alone() -> None:
    came = {f"{number}.tar": Pin(1, "0" * 64) for number in range(1001)}
    lock = make_lock(SOURCE, SUMMARY, came)
    assert lock.files == {}
    with pytest.raises(SourceChanged):
        enforce(lock, SUMMARY._replace(content="d" * 64), SOURCE, "a")


def test_other_records_of_the_same_files_are_another_reader_not_another_source() -> None:
    other = SUMMARY._replace(records=2, content="d" * 64)
    pinned = Lock(
        source=source_digest(SOURCE), records=3, bytes=30, content="c" * 64, files={"a": PinnedFile(bytes=1, sha256="0" * 64)}
    )
    enforce(pinned, other, SOURCE, "a")
    with pytest.raises(SourceChanged, match=r"domain a: its source shrank: it holds 2 records .*, 3 of 30 were pinned"):
        enforce(pinned, other, Source(kind="folder", locator="a"), "a")


@pytest.mark.parametrize("text", ["- 3", "source: 3", "source: x\nrecords: -1\nbytes: 0\ncontent: x", "{", "\x00"])
def test_a_malformed_lock_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.lock"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.lock") as caught:
        load_lock(path, SOURCE)
    assert "\n" not in str(caught.value)


@pytest.fixture
def project(tmp_path: Path, encoder_file: Path) -> Path:
    make_project(tmp_path, {"pebbles": "train", "shells": "held_out"}, encoder_file)
    return tmp_path


def said(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(list(words), root)
    streams = capsys.readouterr()
    return status, streams.out + streams.err


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("prefect_server")
def test_a_source_that_shrank_says_so_and_keeps_the_old_data_until_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["download", "pebbles"], project) == 0
    lock = project / "collections" / "pebbles.lock"
    first, before = lock.read_text(), contents(project / "raw" / "pebbles")
    values = yaml.safe_load(first)
    assert values["records"] == 84
    assert values["files"]["pebbles.zip"]["bytes"] == (project / "pebbles.zip").stat().st_size
    assert main(["download", "pebbles"], project) == 0
    assert lock.read_text() == first

    assert main(["embed", "pebbles"], project) == main(["curate", "pebbles"], project) == 0
    lock.write_text(first.replace(values["content"], "sha256:" + "0" * 64))
    assert "pebbles: other records than" in said(project, capsys, "check")[1]
    lock.write_text(first)
    assert "other records" not in said(project, capsys, "check")[1]

    write_archive(project / "pebbles.zip", images=10)
    status, text = said(project, capsys, "download", "pebbles")
    assert status == 2
    assert "shrank" in text
    assert "python -m pipelines update pebbles" in text
    assert contents(project / "raw" / "pebbles") == before
    assert lock.read_text() == first

    status, text = said(project, capsys, "update", "pebbles")
    assert status == 0
    assert "download@pebbles: 60 raw records" in text
    assert yaml.safe_load(lock.read_text())["records"] == 60
    assert main(["download", "pebbles"], project) == 0


@pytest.mark.usefixtures("prefect_server")
def test_a_folder_is_pinned_by_its_content(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project / "stones"
    for number in range(4):
        for image in range(6):
            path = folder / f"class{number}" / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(number, image))
    write_card(project, "stones", source={"kind": "folder", "locator": "stones"})
    write_params(project, {"stones": "train", "shells": "held_out"})
    assert main(["download", "stones"], project) == 0
    before = contents(project / "raw" / "stones")
    shutil.copy(folder / "class0" / "0.png", folder / "class1" / "new.png")
    status, text = said(project, capsys, "download", "stones")
    assert status == 2
    assert "its source changed: it holds 25 records" in text
    assert "24 of" in text
    assert contents(project / "raw" / "stones") == before
    assert main(["update", "stones"], project) == 0
    assert main(["download", "stones"], project) == 0


@pytest.mark.usefixtures("prefect_server")
def test_a_licence_that_is_not_allowed_is_refused_by_name_before_anything_is_fetched(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    (project / "params.yaml").write_text(yaml.safe_dump(params | {"allow_licences": ["MIT"]}))
    for command in ("download", "curate", "embed"):
        status, text = said(project, capsys, command, "pebbles")
        assert status == 2
        assert "allow_licences: domain 'pebbles' has the licence CC0-1.0, listed are only MIT" in text
    assert not (project / "raw").exists()
