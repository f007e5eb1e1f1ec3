"""`add`: any source becomes a card and a line in params.yaml, and what is added can be downloaded and curated."""

import io
import os
import pty
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hub_server import Hub
from made_domains import make_project, picture, write_archive, write_card, write_params
from openml_server import OpenML
from servers import Server

from pipelines.__main__ import main
from pipelines.add.command import write
from pipelines.cards import load_card
from pipelines.layout import Layout
from pipelines.params import load_params

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
ROLES = {"shells": "train", "corals": "held_out"}
CLASSES, EACH = 6, 14


@pytest.fixture
def project(tmp_path: Path, encoder_file: Path) -> Path:
    make_project(tmp_path, ROLES, encoder_file)
    return tmp_path


def add(root: Path, source: object, *flags: str) -> int:
    return main(["add", str(source), "--yes", *flags], root)


def left(root: Path) -> dict[str, bytes]:
    """What a project holds, but for its state."""
    files = (path for path in root.rglob("*") if path.is_file() and ".tessera" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def refused(root: Path, capsys: pytest.CaptureFixture[str], source: object, *flags: str) -> str:
    """The one line on stderr of an `add` that must exit with 2 and leave all as it was."""
    before = left(root)
    capsys.readouterr()
    assert add(root, source, *flags) == 2
    assert left(root) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def make_folder(path: Path, offset: int = 50, classes: int = CLASSES, each: int = EACH) -> Path:
    for number in range(classes):
        (path / f"class{number}").mkdir(parents=True)
        for image in range(each):
            (path / f"class{number}" / f"{image:03d}.png").write_bytes(picture(offset + number, image))
    return path


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def samples(first: int) -> dict[str, bytes]:
    members = {}
    for number in range(first, first + 12):
        members |= {f"{number:04d}.png": picture(number % 6, number), f"{number:04d}.cls": b"%d" % (number % 6)}
    return members


@pytest.mark.usefixtures("prefect_server")
def test_a_folder_is_added_downloaded_and_curated(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(project / "mine" / "pebbles")
    (folder / "readme.txt").write_text("of five beaches")
    assert add(project, folder, "--licence", "cc by 4.0", "--subject", "stones", "--title", "Pebbles: a few") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "looked into pebbles: a folder of pictures"
    assert "6 classes, 84 pictures" in out[1]
    assert "14 in each class" in out[1]
    assert out[2] == "  classes: " + ", ".join(f"class{number} 14" for number in range(6))
    assert out[-3:] == [
        f"wrote {project / 'collections' / 'pebbles.yaml'}",
        f"listed it in {project / 'params.yaml'} as train",
        "Next: dvc repro",
    ]
    card = load_card(project / "collections" / "pebbles.yaml")
    assert (card.title, card.domain, card.licence) == ("Pebbles: a few", "stones", "CC-BY-4.0")
    assert card.description == "84 pictures in 6 classes from pebbles."
    assert card.counts is not None
    assert (card.counts.classes, card.counts.images) == (6, 84)
    assert (card.source.kind, card.source.locator, card.source.label.layout) == ("folder", "mine/pebbles", "folders")
    assert load_params(project / "params.yaml").domains == ROLES | {"pebbles": "train"}
    assert main(["download", "pebbles"], project) == 0
    assert main(["embed", "pebbles"], project) == main(["curate", "pebbles"], project) == 0
    out = capsys.readouterr().out
    assert "download@pebbles: 84 raw records" in out
    assert "curate@pebbles: 84 records: 84 kept; 6 classes" in out


def test_every_kind_of_file(project: Path) -> None:
    write_archive(project / "zipped.zip", offset=60)
    make_tar(project / "tarred.tar.gz", {f"set/{n % 6}/{n}.png": picture(n % 6, n) for n in range(60)}, "w:gz")
    rows = [{"bytes": picture(n % 6, n), "path": f"{n}.png"} for n in range(60)]
    pq.write_table(pa.table({"image": rows, "label": [f"c{n % 6}" for n in range(60)]}), project / "rows.parquet")
    make_tar(project / "one.tar", samples(0))
    for number in range(3):
        make_tar(project / "shards" / f"s-{number:03d}.tar", samples(12 * number))
    make_folder(project / "pictures", 70)
    lines = [f"pictures/class{n % 6}/{n // 6:03d}.png,c{n % 6}" for n in range(60)]
    (project / "listed.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    expected = {
        "zipped.zip": ("zipped", "archive", "zipped.zip"),
        "tarred.tar.gz": ("tarred", "archive", "tarred.tar.gz"),
        "rows.parquet": ("rows", "huggingface", "rows.parquet"),
        "one.tar": ("one", "webdataset", "one.tar"),
        "shards/s-{000..002}.tar": ("s", "webdataset", "shards/s-{000..002}.tar"),
        "listed.csv": ("listed", "urls", "listed.csv"),
    }
    for source, (name, kind, locator) in expected.items():
        assert add(project, project / source, "--min-per-class", "2") == 0
        card = load_card(project / "collections" / f"{name}.yaml")
        assert (card.id, card.source.kind, card.source.locator) == (name, kind, locator)
        assert card.licence == card.domain == "unknown"
        assert card.curation.min_per_class == 2
        assert source == "shards/s-{000..002}.tar" or card.counts is not None
    assert add(project, project / "shards", "--id", "all_shards") == 0
    assert load_card(project / "collections" / "all_shards.yaml").source.locator == "shards/s-{000..002}.tar"
    listed = load_params(project / "params.yaml").domains
    assert list(listed) == [*ROLES, *(name for name, _, _ in expected.values()), "all_shards"]


@pytest.mark.usefixtures("prefect_server")
def test_an_address_without_a_suffix_is_fetched_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_archive(project / "x.zip", offset=80)
    content = (project / "x.zip").read_bytes()
    (project / "x.zip").unlink()
    with Server() as server:
        page = server.put("/get/pebbles", content)
        assert add(project, server.url("/get/pebbles"), "--role", "spare") == 0
        card = load_card(project / "collections" / "pebbles.yaml")
        assert (card.source.kind, card.source.locator) == ("archive", server.url("/get/pebbles"))
        assert main(["download", "pebbles"], project) == 0
        assert page.sent == len(content)
        server.put("/page.zip", b"<!DOCTYPE html><title>Sign in</title>")
        assert "gives a web page, not data" in refused(project, capsys, server.url("/page.zip"))
        assert refused(project, capsys, server.url("/none.zip"))
    assert load_params(project / "params.yaml").domains["pebbles"] == "spare"


def test_what_the_user_can_get_wrong_leaves_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zipped = project / "pebbles.zip"
    write_archive(zipped, offset=60)
    assert "--id: expected a-z" in refused(project, capsys, zipped, "--id", "mean")
    assert "is there already; --force" in refused(project, capsys, zipped, "--id", "shells")
    assert "at least one domain with the role 'train'" in refused(
        project, capsys, zipped, "--id", "shells", "--force", "--role", "spare"
    )
    assert "no SPDX licence" in refused(project, capsys, zipped, "--licence", "CC-BY")
    assert "source.options" in refused(project, capsys, zipped, "--config", "small")
    assert "meta_album" in refused(project, capsys, zipped, "--layout", "meta_album")
    assert "curation.min_per_class" in refused(project, capsys, zipped, "--min-per-class", "0")
    assert "webdataset" in refused(project, capsys, zipped, "--kind", "webdataset", "--layout", "table")
    assert "no such file" in refused(project, capsys, project / "other.zip")
    assert "--option: expected NAME=VALUE" in refused(project, capsys, zipped, "--option", "format")
    table = project / "table.csv"
    table.write_text("a,b,c\nhttps://example.org/1.png,x,y\n")
    assert "name it in --label-column" in refused(project, capsys, table)
    os.mkfifo(project / "pipe")
    assert "a device or a pipe" in refused(project, capsys, project / "pipe")
    (project / "pipe").unlink()
    broken = project / "broken.zip"
    broken.write_bytes(zipped.read_bytes()[:5000])
    assert "broken.zip" in refused(project, capsys, broken)
    (project / "empty").mkdir()
    assert "holds no picture" in refused(project, capsys, project / "empty")
    assert "netrc" in refused(project, capsys, "https://me:hush@example.org/a.zip")
    text = "domains: {shells: train, corals: held_out}\n"
    (project / "params.yaml").write_text(text)
    assert "by hand" in refused(project, capsys, zipped)
    assert add(project, zipped, "--no-list") == 0
    assert (project / "params.yaml").read_text() == text
    assert "Next: a line `pebbles: train`" in capsys.readouterr().out


def test_ids_are_not_taken_twice(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("a", "b")):
        (project / name).mkdir()
        write_archive(project / name / "pebbles.zip", offset=60 + 10 * number)
    assert add(project, project / "a" / "pebbles.zip") == 0
    assert "is the card of this source already" in refused(project, capsys, project / "a" / "pebbles.zip")
    assert add(project, project / "b" / "pebbles.zip") == 0
    assert "its id is pebbles_2, for pebbles is there already" in capsys.readouterr().out
    assert load_card(project / "collections" / "pebbles_2.yaml").source.locator == "b/pebbles.zip"
    before = (project / "params.yaml").read_bytes()
    assert add(project, project / "b" / "pebbles.zip", "--force", "--id", "pebbles", "--licence", "MIT") == 0
    card = load_card(project / "collections" / "pebbles.yaml")
    assert (card.source.locator, card.licence) == ("b/pebbles.zip", "MIT")
    assert (project / "params.yaml").read_bytes() == before
    assert add(project, project / "b" / "pebbles.zip", "--force", "--id", "pebbles", "--role", "spare") == 0
    assert load_params(project / "params.yaml").domains["pebbles"] == "spare"


def test_a_line_that_is_there_keeps_its_role(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(project, ROLES | {"pebbles": "spare"})
    write_archive(project / "pebbles.zip", offset=60)
    before = (project / "params.yaml").read_bytes()
    assert "pebbles is listed as spare already; --force makes it train" in refused(
        project, capsys, project / "pebbles.zip", "--role", "train"
    )
    assert add(project, project / "pebbles.zip") == 0
    assert (project / "params.yaml").read_bytes() == before
    assert "as spare" in capsys.readouterr().out


def test_a_card_that_cannot_be_listed_is_taken_back(project: Path) -> None:
    layout, card = Layout(project), load_card(project / "collections" / "shells.yaml")
    before = layout.card("shells").read_bytes()
    layout.params.write_text("domains: {shells: train, corals: held_out}\n")
    for each in (card.model_copy(update={"title": "Other"}), card.model_copy(update={"id": "pebbles"})):
        with pytest.raises(ValueError, match="by hand"):
            write(each, "spare", layout)
    assert layout.card("shells").read_bytes() == before
    assert not layout.card("pebbles").exists()


def test_what_is_worth_a_word_is_said(
    project: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    far = tmp_path_factory.mktemp("far") / "pebbles.zip"
    with zipfile.ZipFile(far, "w") as archive:
        for number in range(30):
            archive.writestr(f"\x1b[31mred/{number}.png", picture(1, number))
            archive.writestr(f"grey/{number}.png", picture(2, number))
        archive.writestr("few/0.png", picture(3, 0))
    write_params(project, ROLES, allow_licences=["CC0-1.0"])
    assert add(project, far, "--licence", "MIT") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "largest 30 (" in out
    assert "smallest class 1 (few)" in out
    assert "  1 class has fewer than 5 pictures and would be set aside as rare" in out
    assert "warning: 2 classes would be kept; an episode takes 5 classes" in out
    assert f"  the card names {far}, which is on this machine alone" in out
    assert "  subject: unknown" in out
    assert "has the licence MIT, listed are only CC0-1.0" in out
    assert load_card(project / "collections" / "pebbles.yaml").source.locator == str(far)


def test_asked_on_a_terminal_for_what_no_flag_gives(project: Path) -> None:
    write_archive(project / "pebbles.zip", offset=60)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipelines", "add", "pebbles.zip", "--subject", "stones"]
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=project, env=environment, stdin=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.write(ours, b"\nCC-BY\ncc by-sa 4.0\n")  # Enter for the title; a licence that is not certain is asked for again
        out, _ = process.communicate()
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert "title [Pebbles]: " in out
    assert out.count("licence (SPDX, e.g. CC-BY-4.0) [unknown]: ") == 2
    assert "'CC-BY' is no SPDX licence for certain" in out
    assert "subject, in" not in out
    card = load_card(project / "collections" / "pebbles.yaml")
    assert (card.title, card.domain, card.licence) == ("Pebbles", "stones", "CC-BY-SA-4.0")


def test_comments_of_the_panel_stay(project: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (project / "params.yaml").write_text(text)
    write_archive(project / "pebbles.zip", offset=60)
    assert add(project, project / "pebbles.zip", "--role", "held_out") == 0
    assert (project / "params.yaml").read_text().replace("  pebbles: held_out\n", "") == text


@pytest.mark.skipif(not DATA.is_dir(), reason="the real sets are not on this machine")
@pytest.mark.parametrize(
    ("file", "kind", "layout", "classes", "images"),
    [
        ("noto_emoji.zip", "archive", "meta_album", 40, 1239),
        ("omniglot.tar.gz", "archive", "folders", 200, 4000),
        ("trashnet.zip", "archive", "folders", 6, 144),
        ("grocery.parquet", "huggingface", None, 24, 336),
    ],
)
def test_real_sets(file: str, kind: str, layout: str | None, classes: int, images: int, project: Path) -> None:
    panel = {"domains": ROLES, "sources_folder": str(DATA)}
    (project / "params.yaml").write_text(yaml.safe_dump(panel, sort_keys=False))
    assert add(project, file) == 0
    card = load_card(project / "collections" / f"{file.partition('.')[0]}.yaml")
    assert (card.source.kind, card.source.label.layout, card.source.locator) == (kind, layout, file)
    assert card.counts is not None
    assert (card.counts.classes, card.counts.images) == (classes, images)


def test_a_data_set_of_the_hub(project: Path) -> None:
    rows = [{"bytes": picture(n % 6, n), "path": f"{n}.png"} for n in range(60)]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": rows, "label": [f"c{n % 6}" for n in range(60)]}), buffer)
    about = "---\nlicense: cc-by-4.0\npretty_name: River birds\n---\n"
    with Hub() as hub:
        hub.commit("user/birds", {"data/train-00000-of-00001.parquet": buffer.getvalue(), "README.md": about.encode()})
        command = [sys.executable, "-m", "pipelines", "add", "user/birds", "--split", "train"]
        environment = dict(os.environ) | {"PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.url}
        subprocess.run(command, cwd=project, env=environment, stdin=subprocess.DEVNULL, check=True)
    card = load_card(project / "collections" / "birds.yaml")
    assert (card.title, card.licence) == ("River birds", "CC-BY-4.0")
    assert (card.source.kind, card.source.locator) == ("huggingface", "user/birds")
    assert (card.source.label.image_column, card.source.label.column) == ("image", "label")
    assert card.source.options["split"] == "train"


def test_a_data_set_of_openml(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(project / "set.zip", offset=60)
    with OpenML() as server:
        server.put(44241, "Meta_Album_BRD_Micro", {"BRD_Micro.zip": (project / "set.zip").read_bytes()}, licence="CC BY-NC 4.0")
        monkeypatch.setenv("OPENML_SERVER", server.api)
        assert add(project, "https://www.openml.org/d/44241") == 0
    card = load_card(project / "collections" / "openml_44241.yaml")
    assert (card.source.kind, card.source.locator) == ("openml", "44241")
    assert card.licence == "CC-BY-NC-4.0"


def test_a_card_that_is_there_is_only_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_card(project, "ma_birds", source={"kind": "openml", "locator": "44285"})
    before = left(project)
    assert "what --title says is not in it" in refused(project, capsys, "openml:44285", "--title", "Birds")
    assert add(project, "openml:44285", "--role", "held_out") == 0
    assert "ma_birds.yaml is the card of this source" in capsys.readouterr().out
    assert load_params(project / "params.yaml").domains == ROLES | {"ma_birds": "held_out"}
    after = left(project)
    assert [name for name in after if after[name] != before.get(name)] == ["params.yaml"]
    assert "is the card of this source already" in refused(project, capsys, "openml:44285")


def test_a_folder_is_no_generator_of_the_same_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_card(project, "cells", source={"kind": "generated", "locator": "cells"})
    make_folder(project / "cells")
    assert add(project, project / "cells") == 0
    assert "its id is cells_2, for cells is there already" in capsys.readouterr().out
    assert load_card(project / "collections" / "cells_2.yaml").source.kind == "folder"


def test_flags_go_into_the_card(project: Path) -> None:
    make_tar(project / "odd.tar", {f"v1.{name}": data for name, data in samples(0).items()})
    table = project / "table.csv"
    make_folder(project / "pictures", 70)
    lines = [f"pictures/class{n % 6}/{n // 6:03d}.png,c{n % 6},{n}" for n in range(60)]
    table.write_text("\n".join(["where,what,number", *lines]) + "\n")
    flags = ("--image-column", "where", "--label-column", "what", "--option", "id_column=number")
    prose = ("--description", "Pictures, drawn.", "--citation", "Us", "--homepage", "https://example.org")
    assert add(project, table, *flags, *prose, "--id", "drawn") == 0
    card = load_card(project / "collections" / "drawn.yaml")
    assert (card.source.label.image_column, card.source.label.column) == ("where", "what")
    assert card.source.options == {"id_column": "number"}
    assert (card.description, card.citation, card.homepage) == ("Pictures, drawn.", "Us", "https://example.org")
    assert add(project, project / "odd.tar", "--kind", "webdataset", "--option", "key=last_dot") == 0
    assert load_card(project / "collections" / "odd.yaml").source.options == {"key": "last_dot"}
