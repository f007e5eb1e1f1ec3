"""The data side's command line on real files and a real Prefect server: what it prints, leaves behind and refuses."""

import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest
from made_domains import make_project, picture, write_archive, write_card, write_params
from servers import Server

from pipelines.__main__ import main
from pipelines.ledger import counts, faults
from pipelines.params import load_params

ROLES = {"pebbles": "train", "shells": "held_out"}


@pytest.fixture
def project(tmp_path: Path, encoder_file: Path) -> Path:
    make_project(tmp_path, ROLES, encoder_file)
    return tmp_path


def say(root: Path, *words: str) -> int:
    return main(list(words), root)


def curate(root: Path, domain: str) -> int:
    """Embed and curate; the exit status."""
    return say(root, "embed", domain) or say(root, "curate", domain)


def refused(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a command that must exit with 2 and leave nothing half-written."""
    before = {path for path in root.rglob("*") if ".tessera" not in path.parts}
    capsys.readouterr()
    assert say(root, *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    after = {path for path in root.rglob("*") if ".tessera" not in path.parts}
    assert after <= before | {root / "raw", root / "embeddings"}, "something half-written was left"
    return lines[0]


@pytest.mark.usefixtures("prefect_server")
def test_download_and_curate(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(project, "download", "pebbles") == 0
    assert curate(project, "pebbles") == 0
    out = capsys.readouterr().out
    assert "download@pebbles: 84 raw records" in out
    assert "curate@pebbles: 84 records: 84 kept; 6 classes" in out
    ledger = pl.read_parquet(project / "collections" / "pebbles" / "ledger.parquet")
    assert faults(ledger) == []
    assert counts(ledger)["kept"] == 84
    record = json.loads((project / ".tessera" / "stages" / "curate@pebbles.json").read_text())
    assert record["stage"] == "curate@pebbles"
    assert record["bytes"] > 0
    first = {path.name: path.read_bytes() for path in (project / "collections" / "pebbles").iterdir()}
    assert curate(project, "pebbles") == 0
    assert {path.name: path.read_bytes() for path in (project / "collections" / "pebbles").iterdir()} == first
    assert say(project, "list") == 0
    out = capsys.readouterr().out
    assert "pebbles  train     curated" in out
    assert "shells   held_out  card" in out


@pytest.mark.usefixtures("prefect_server")
def test_check_finds_a_flipped_bit(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(project, "download", "pebbles") == curate(project, "pebbles") == 0
    for name in ("train-000000.tar", "index.parquet", "ledger.parquet"):
        path = project / "collections" / "pebbles" / name
        good = path.read_bytes()
        path.write_bytes(good[:700] + bytes([good[700] ^ 1]) + good[701:])
        capsys.readouterr()
        assert say(project, "check") == 1
        assert f"{name}: differs from its checksum" in capsys.readouterr().out
        path.write_bytes(good)


@pytest.mark.usefixtures("prefect_server")
def test_flow_runs_have_readable_names_tags_and_artifacts(project: Path, prefect_server: str) -> None:
    import httpx

    assert say(project, "download", "pebbles") == curate(project, "pebbles") == 0
    runs = httpx.post(f"{prefect_server}/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 5}).json()
    run = next(run for run in runs if run["name"] == "curate pebbles")
    assert sorted(run["tags"]) == ["curate", "pebbles"]
    assert run["state_type"] == "COMPLETED"
    wanted = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
    artifacts = {found["key"]: found for found in httpx.post(f"{prefect_server}/artifacts/filter", json=wanted).json()}
    assert {"verdicts-pebbles", "domain-pebbles", "report"} <= artifacts.keys()
    assert {"verdict": "kept", "records": 84} in json.loads(artifacts["verdicts-pebbles"]["data"])
    assert "data:image/" in artifacts["domain-pebbles"]["data"]


@pytest.mark.usefixtures("prefect_server")
def test_a_failed_run_shows_its_reason(project: Path, prefect_server: str, capsys: pytest.CaptureFixture[str]) -> None:
    import httpx

    write_params(project, ROLES, curation={"min_per_class": 50})
    assert say(project, "download", "shells") == say(project, "embed", "shells") == 0
    line = refused(project, capsys, "curate", "shells")
    assert "domain shells: 0 of its 6 classes have 50 usable images (curation.min_per_class)" in line
    runs = httpx.post(f"{prefect_server}/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 1}).json()
    assert runs[0]["state_type"] == "FAILED"
    assert "0 of its 6 classes" in runs[0]["state"]["message"]


@pytest.mark.usefixtures("prefect_server")
def test_a_class_with_one_image_is_set_aside(project: Path) -> None:
    write_archive(project / "pebbles.zip", extra={"lonely/0.png": picture(99, 1)})
    assert say(project, "download", "pebbles") == curate(project, "pebbles") == 0
    ledger = pl.read_parquet(project / "collections" / "pebbles" / "ledger.parquet")
    lonely = ledger.filter(pl.col("label") == "lonely").row(0, named=True)
    assert (lonely["verdict"], lonely["reason"]) == ("rare_class", "class has 1 usable images, 5 are needed")


def make_empty(path: Path) -> None:
    zipfile.ZipFile(path, "w").close()


def make_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def make_escaping(path: Path) -> None:
    write_archive(path, extra={"../../outside.png": b"x"})


@pytest.mark.parametrize(
    ("damage", "words"),
    [(make_empty, "no picture"), (make_truncated, "pebbles.zip"), (make_escaping, "leave")],
)
@pytest.mark.usefixtures("prefect_server")
def test_bad_archives_are_one_line(project: Path, capsys: pytest.CaptureFixture[str], damage: Any, words: str) -> None:
    damage(project / "pebbles.zip")
    assert words in refused(project, capsys, "download", "pebbles")
    assert not (project.parent / "outside.png").exists()
    write_archive(project / "pebbles.zip")
    assert say(project, "download", "pebbles") == 0, "the next run is not fine"


class Flaky(BaseHTTPRequestHandler):
    """Answers 503 as often as `refusals` says, then serves `body`."""

    body = b""
    refusals = 0
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if type(self).asked <= type(self).refusals:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(("refusals", "status"), [(2, 0), (99, 2)])
def test_a_download_is_tried_again(project: Path, capsys: pytest.CaptureFixture[str], refusals: int, status: int) -> None:
    write_params(project, ROLES, transfer={"retries": 2})
    handler = type("Handler", (Flaky,), {"body": (project / "pebbles.zip").read_bytes(), "refusals": refusals})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        write_card(project, "pebbles", source={"kind": "archive", "locator": f"http://127.0.0.1:{server.server_port}/p.zip"})
        if status:
            assert "503" in refused(project, capsys, "download", "pebbles")
            assert handler.asked == 3  # type: ignore[attr-defined]
        else:
            assert say(project, "download", "pebbles") == 0
            assert handler.asked == 3  # type: ignore[attr-defined]
        server.shutdown()


def test_a_secret_stands_in_no_record_of_a_failed_run(
    project: Path, prefect_server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    secret = "s3cr3t-of-the-test"
    monkeypatch.setenv("PEBBLES_TICKET", secret)
    with Server() as server:
        server.put("/p.zip", location=f"ftp://other/?token={secret}", status=302)
        locator = server.url("/p.zip") + "?token=${PEBBLES_TICKET}"
        write_card(project, "pebbles", source={"kind": "archive", "locator": locator})
        line = refused(project, capsys, "download", "pebbles")
        assert server.find("/p.zip").requests[0]["path"].endswith(secret), "the server was not sent the secret"
    assert "redirects to" in line
    wanted = {"sort": "START_TIME_DESC", "limit": 1}
    run = httpx.post(f"{prefect_server}/flow_runs/filter", json=wanted).text
    assert "redirects to" in run
    for text in (line, run, *(path.read_text("latin-1") for path in project.rglob("*") if path.is_file())):
        assert secret not in text


@pytest.mark.usefixtures("prefect_server")
def test_an_image_bomb_is_a_verdict(project: Path) -> None:
    import io

    from PIL import Image

    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    write_archive(project / "pebbles.zip", extra={"class0/bomb.png": bomb.getvalue()})
    assert say(project, "download", "pebbles") == curate(project, "pebbles") == 0
    ledger = pl.read_parquet(project / "collections" / "pebbles" / "ledger.parquet")
    found = ledger.filter(pl.col("source_id").str.ends_with("bomb.png")).row(0, named=True)
    assert found["verdict"] == "unreadable"
    assert "64000000" in found["reason"].replace(",", "").replace(" ", "")


@pytest.mark.usefixtures("prefect_server")
def test_a_full_disk_leaves_nothing(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "raw/pebbles")

    assert say(project, "download", "pebbles") == say(project, "embed", "pebbles") == 0
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.shards.ShardWriter._add", full)
        assert "the disk is full" in refused(project, capsys, "curate", "pebbles")
    assert not (project / "collections" / "pebbles").exists()
    assert curate(project, "pebbles") == 0


@pytest.mark.usefixtures("prefect_server")
def test_two_domains_with_the_same_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(tmp_path, ROLES)
    (tmp_path / "shells.zip").write_bytes((tmp_path / "pebbles.zip").read_bytes())
    assert say(tmp_path, "encoder") == 0
    for domain in ROLES:
        assert say(tmp_path, "download", domain) == curate(tmp_path, domain) == 0
    line = refused(tmp_path, capsys, "collect")
    assert "domains pebbles and shells hold the same images" in line
    assert "take one of them out of `domains:` in params.yaml" in line


def test_unknown_domain_missing_card_and_wrong_parameter(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'sand' is not listed; listed are pebbles, shells" in refused(project, capsys, "download", "sand")
    write_params(project, ROLES, curation={"image_side": 5})
    assert "curation.image_side" in refused(project, capsys, "curate", "pebbles")
    write_params(project, ROLES | {"sand": "spare"})
    assert "sand.yaml: no card for domain 'sand'" in refused(project, capsys, "list")
    (project / "params.yaml").unlink()
    assert "params.yaml: no such file" in refused(project, capsys, "list")


@pytest.mark.usefixtures("prefect_server")
def test_an_unknown_kind_of_source(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_card(project, "pebbles", source={"kind": "carrier_pigeon", "locator": "x"})
    line = refused(project, capsys, "download", "pebbles")
    assert "pebbles.yaml: source.kind: expected one of generated, folder, archive, huggingface" in line


def test_prune_removes_what_is_no_longer_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("raw", "collections", "features", ".tessera/downloads"):
        for name in ("sand", "pebbles"):
            (project / folder / name).mkdir(parents=True)
    (project / ".tessera" / "stages").mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (project / "embeddings" / f".sand.{gone.pid}.old").mkdir(parents=True)
    left = [".params.yaml.1.part", "raw/.pebbles.1.part", "raw/.shells.1.old", "collections/.manifest.json.1.part"]
    for name in left:
        (project / name.replace(".1.", f".{gone.pid}.")).mkdir()
    written = project / "collections" / f".manifest.json.{os.getpid()}.part"
    written.write_text("by a process that lives")
    (project / ".tessera" / "stages" / "embed@sand.json").write_text("{}")
    (project / "dvc.lock").write_text("schema: '2.0'\nstages:\n  embed@sand: {cmd: x}\n  embed@pebbles: {cmd: y}\n")
    assert say(project, "prune", "--dry-run") == 0
    assert (project / "raw" / "sand").exists()
    assert say(project, "prune") == 0
    assert not list(project.rglob("*sand*"))
    assert [path.name for path in project.rglob(".*") if "part" in path.name or "old" in path.name] == [
        f".shells.{gone.pid}.old",  # the only raw records of a listed domain: its next run puts them back
        written.name,
    ]
    written.unlink()
    assert (project / "raw" / "pebbles").exists()
    assert "sand" not in (project / "dvc.lock").read_text()
    assert "embed@pebbles" in (project / "dvc.lock").read_text()
    capsys.readouterr()
    assert say(project, "prune") == 0
    assert "nothing to prune" in capsys.readouterr().out


def test_preset_keeps_the_former_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "presets").mkdir()
    (project / "presets" / "two.yaml").write_text("# two\ndomains:\n  shells: train\n  pebbles: held_out\nsources_folder: x\n")
    before = (project / "params.yaml").read_text()
    assert say(project, "preset", "two", "--folder", str(project)) == 0
    assert (project / "params.yaml.bak").read_text() == before
    assert "# two" in (project / "params.yaml").read_text()
    assert f"sources_folder: {project}" in (project / "params.yaml").read_text()
    assert "no such preset; there are two" in refused(project, capsys, "preset", "three")


@pytest.mark.parametrize(("rule", "classes"), [("micro", 20), ("mini", None)])
def test_a_rule_changes_what_it_names_alone(project: Path, rule: str, classes: int | None, capsys: Any) -> None:
    committed = Path(__file__).parents[2]
    shutil.copytree(committed / "presets", project / "presets")
    text = (committed / "params.yaml").read_text()
    (project / "params.yaml").write_text(text)
    assert say(project, "preset", f"rules/{rule}") == 0
    changed = (project / "params.yaml").read_text()
    assert (project / "params.yaml.bak").read_text() == text
    curation = load_params(project / "params.yaml").curation
    assert (curation.min_per_class, curation.cap_per_class, curation.max_classes) == (40, 40, classes)
    pairs = list(zip(text.splitlines(), changed.splitlines(), strict=True))
    assert len([pair for pair in pairs if pair[0] != pair[1]]) == (3 if classes else 2)
    assert all(before.partition("#")[2] == after.partition("#")[2] for before, after in pairs), "a comment went"
    assert "leave --folder out" in refused(project, capsys, "preset", f"rules/{rule}", "--folder", ".")
    (project / "params.yaml").write_text("domains: 3")
    assert "params.yaml: domains" in refused(project, capsys, "preset", f"rules/{rule}")
    assert "real, rules/micro, rules/mini" in refused(project, capsys, "preset", "rules/maxi")


def test_help_explains_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for command in (
        "download",
        "curate",
        "encoder",
        "embed",
        "encode",
        "collect",
        "list",
        "check",
        "prune",
        "preset",
        "ui",
        "stop",
    ):
        assert command in text
