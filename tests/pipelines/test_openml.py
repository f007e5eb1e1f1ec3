"""The kind openml against a server of OpenML's shape with a real object store: what comes, what is kept, what is refused."""

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openml_server import OpenML
from PIL import Image

from pipelines.cards import Label, Source
from pipelines.sources import RawRecord, openml
from pipelines.transfer import Pin, Place, Rules, SourceChanged, TransferError, retry

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef0123456789abcdef"
PNU, INS2, IRIS = 44312, 44292, 61
COUNTS = {f"tissue {number:02d}": 2 for number in range(17)} | {"one": 1, "two": 2}  # 19 classes, as PNU Micro has


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


def album(folder: str) -> dict[str, bytes]:
    """Files of a data set with every slip that published ones of Meta-Album have."""
    rows = [f"{label.replace(' ', '_')}_{n}.jpg,{label},tissue" for label, count in COUNTS.items() for n in range(count)]
    files = {f"{folder}/images/{row.split(',')[0]}": picture(place) for place, row in enumerate(rows)}
    missing = [".DS_Store,tissue 00,tissue", "gone_1.jpg,two,tissue", "gone_2.jpg,tissue 03,tissue"]
    table = "\n".join(["FILE_NAME,CATEGORY,SUPER_CATEGORY", *rows, rows[3], rows[3], *missing, ""])
    info = {
        "dataset_name": folder,
        "dataset_description": "Made for a test.",
        "total_categories": len(COUNTS),
        "total_super_categorie": 1,  # sic
        "image_column_name": "FILE_NAME",
        "category_column_name": "CATEGORY",
    }
    return files | {
        f"{folder}/labels.csv": table.encode(),
        f"{folder}/info.json": json.dumps(info).encode(),
        f"{folder}/images/.DS_Store": b"\0",
    }


def packed(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


PNU_ZIP = packed(album("PNU_Micro"))


@pytest.fixture(scope="module")
def shared() -> Iterator[OpenML]:
    with OpenML() as running:
        yield running


@pytest.fixture
def server(shared: OpenML, monkeypatch: pytest.MonkeyPatch) -> OpenML:
    shared.reset()
    shared.put(PNU, "Meta_Album_PNU_Micro", {"PNU_Micro.zip": PNU_ZIP})
    monkeypatch.setattr(retry, "sleep", lambda *_: None)
    monkeypatch.delenv("OPENML_APIKEY", raising=False)
    monkeypatch.setenv("OPENML_SERVER", shared.api)
    return shared


def place(folder: Path, pinned: dict[str, Pin] | None = None, **rules: Any) -> Place:
    return Place(folder, folder / "downloads", "tissues", Rules(**rules), pinned or {})


def source(number: int = PNU, **more: Any) -> Source:
    return Source(kind="openml", locator=str(number), **more)


def read(where: Place, number: int = PNU, **more: Any) -> tuple[list[RawRecord], dict[str, object]]:
    asked = source(number, **more)
    openml.check(asked)
    stream = openml.records(asked, where)
    found = []
    while True:
        try:
            found.append(next(stream))
        except StopIteration as end:
            return found, end.value


def test_every_slip_of_meta_album(server: OpenML, tmp_path: Path) -> None:
    where = place(tmp_path)
    found, learned = read(where, label=Label(layout="meta_album"))
    labels = Counter(record.label for record in found if record.data)
    assert labels == COUNTS
    assert [(record.source_id, record.label) for record in found if record.fault] == [
        ("PNU_Micro/images/gone_1.jpg", "two"),
        ("PNU_Micro/images/gone_2.jpg", "tissue 03"),
    ]
    files = album("PNU_Micro")
    assert all(record.data == files[record.source_id] for record in found if record.data)
    assert len({record.source_id for record in found}) == len(found)
    assert learned == {
        "passed_over": 4,  # two rows that came again, the row and the file .DS_Store
        "name": "Meta_Album_PNU_Micro",
        "version": "1",
        "md5_checksum": "0" * 32,
    }
    assert [path.partition("?")[0] for path in server.asked] == [
        f"/api/v1/xml/data/{PNU}",
        "/datasets",
        f"/datasets/0004/{PNU}/PNU_Micro.zip",
    ]
    assert where.came[f"openml:{PNU}"].bytes == len(PNU_ZIP)
    assert len(where.came) == 2  # and the archive's own


@pytest.mark.parametrize("folder", ["INS2_Mini", "INS_2_Mini"])
def test_both_spellings_of_an_id(server: OpenML, tmp_path: Path, folder: str) -> None:
    server.put(INS2, "Meta_Album_INS_2_Mini", {"INS_2_Mini.zip": packed(album(folder))})
    found, _ = read(place(tmp_path), INS2)
    assert Counter(record.label for record in found if record.data) == COUNTS
    assert {record.source_id.split("/")[0] for record in found} == {folder}


def test_loose_pictures(server: OpenML, tmp_path: Path) -> None:
    server.put(PNU, "Meta_Album_PNU_Micro", album("PNU_Micro") | {"PNU_Micro/notes.txt": b"-"})
    where = place(tmp_path)
    loose, _ = read(where)
    assert Counter(record.label for record in loose if record.data) == COUNTS
    assert set(where.came) == {f"openml:{PNU}"}
    server.asked.clear()
    assert read(place(tmp_path, where.came, offline=True))[0] == loose
    assert server.asked == []
    server.put(PNU, "Meta_Album_PNU_Micro", album("PNU_Micro") | {"PNU_Micro/images/more.jpg": picture(0)})
    with pytest.raises(SourceChanged, match=r"^openml:44312: the source changed: .* `python -m pipelines update tissues`"):
        read(place(tmp_path / "another machine", where.came))


def test_kept_is_not_fetched_again(server: OpenML, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place(tmp_path)
    before = read(first)
    server.asked.clear()

    def no_network(*_: object) -> None:
        raise AssertionError("asks the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for rules in ({}, {"offline": True}):
        again = place(tmp_path, first.came, **rules)
        assert read(again) == before
        assert again.came == first.came
    assert server.asked == []


def test_offline_without_anything_kept(server: OpenML, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^OpenML data set 44312 is not here whole, and offline nothing is fetched"):
        read(place(tmp_path, offline=True))
    assert server.asked == []


def test_killed_while_downloading(server: OpenML, tmp_path: Path) -> None:
    server.hold_after = len(PNU_ZIP) // 2
    home = tmp_path / "home"
    home.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    code = (
        "import sys; from pathlib import Path; from pipelines.cards import Source; from pipelines.transfer import Place\n"
        "from pipelines.sources import openml; folder = Path(sys.argv[1])\n"
        f"list(openml.records(Source(kind='openml', locator='{PNU}'), Place(folder, folder / 'downloads', 'tissues')))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=plain | {"HOME": str(home)}, stderr=subprocess.PIPE) as child:
        assert server.holding.wait(60)
        part = wait_for_part(tmp_path / "downloads")
        child.send_signal(signal.SIGKILL)
        assert child.communicate()[1] == b""  # the package would have logged
    kept = part.stat().st_size
    assert 0 < kept < len(PNU_ZIP)
    assert list(home.iterdir()) == []  # the package would have made folders there
    with pytest.raises(ValueError, match="not here whole"):
        read(place(tmp_path, offline=True))
    server.release.set()
    found, _ = read(place(tmp_path))
    assert server.ranges == [f"bytes={kept}-"]
    assert found == read(place(tmp_path / "undisturbed"))[0]


def wait_for_part(folder: Path) -> Path:
    while True:
        parts = [path for path in folder.glob("[!.]*.zip.part") if path.stat().st_size > 0]
        if parts:
            return parts[0]


def test_server_fails_for_a_while(server: OpenML, tmp_path: Path) -> None:
    server.statuses = [503, 500, 429]
    server.codes = [107]  # its database is busy
    server.store_statuses = [503, 502]
    assert len(read(place(tmp_path, retries=4))[0]) == sum(COUNTS.values()) + 2
    assert [path.partition("?")[0] for path in server.asked].count("/datasets") == 3


@pytest.mark.parametrize("faults", ["statuses", "store_statuses"])
def test_server_fails_for_good(server: OpenML, tmp_path: Path, faults: str) -> None:
    setattr(server, faults, [503] * 20)
    with pytest.raises(TransferError, match=r"^OpenML data set 44312 at http://127.0.0.1:.*503") as caught:
        read(place(tmp_path, retries=2))
    assert "\n" not in str(caught.value)
    assert len(getattr(server, faults)) == 17  # the first attempt and two more


def test_silent_server(server: OpenML, tmp_path: Path) -> None:
    server.silent = True
    with pytest.raises(TransferError, match="the server is silent"):
        read(place(tmp_path, retries=0, read_timeout=0.2))
    with pytest.raises(TransferError, match="deadline"):
        read(place(tmp_path, deadline=0.0))


def test_no_server(server: OpenML, tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(TransferError, match=r"^OpenML data set 44312 at"):
            read(place(tmp_path, retries=0), options={"server": f"http://127.0.0.1:{taken.getsockname()[1]}"})


def test_damaged_on_the_way(server: OpenML, tmp_path: Path) -> None:
    server.corrupt = True
    with pytest.raises(TransferError, match=r"PNU_Micro\.zip: .*MD5"):
        read(place(tmp_path))
    server.corrupt = False
    assert len(read(place(tmp_path))[0]) == sum(COUNTS.values()) + 2


def test_changed_source(server: OpenML, tmp_path: Path) -> None:
    first = place(tmp_path)
    read(first)
    files = album("PNU_Micro")
    files["PNU_Micro/images/one_0.jpg"] = picture(99)
    server.put(PNU, "Meta_Album_PNU_Micro", {"PNU_Micro.zip": packed(files)}, version="2")
    assert read(place(tmp_path, first.came))[1]["version"] == "1"  # what is kept is used
    elsewhere = place(tmp_path / "another machine", first.came)
    with pytest.raises(SourceChanged, match=r"PNU_Micro\.zip: .*`python -m pipelines update tissues` takes what is there now"):
        read(elsewhere)
    updated = place(tmp_path, first.came, update=True)
    found, learned = read(updated)
    assert learned["version"] == "2"
    assert {record.source_id: record.data for record in found}["PNU_Micro/images/one_0.jpg"] == picture_of(files)
    assert updated.came[f"openml:{PNU}"] != first.came[f"openml:{PNU}"]
    assert read(place(tmp_path, updated.came, offline=True))[0] == found


def picture_of(files: dict[str, bytes]) -> bytes:
    return files["PNU_Micro/images/one_0.jpg"]


def test_other_files_than_pinned(server: OpenML, tmp_path: Path) -> None:
    """The archive itself may be pinned under another host's address; the set as a whole still is."""
    first = place(tmp_path)
    read(first)
    whole = {f"openml:{PNU}": first.came[f"openml:{PNU}"]}
    server.put(PNU, "Meta_Album_PNU_Micro", {"PNU_Micro.zip": PNU_ZIP + b"\0"})
    with pytest.raises(SourceChanged, match=rf"^openml:{PNU}: the source changed: .*\(1 more\)"):
        read(place(tmp_path / "another machine", whole))


def test_key_is_used_and_never_shown(
    server: OpenML, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.key = KEY
    server.sets[PNU]["visibility"] = "private"
    with pytest.raises(ValueError, match=r"is private; set OPENML_APIKEY to the key of an account that may read it$"):
        read(place(tmp_path))
    monkeypatch.setenv("OPENML_APIKEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.statuses = [503]
    read(place(tmp_path))
    assert f"api_key={KEY}" in server.asked[-3]
    assert "api_key=" in caplog.text  # urllib3 logs the address
    server.key = "another"
    with pytest.raises(ValueError, match="refuses the key in OPENML_APIKEY") as caught:
        read(place(tmp_path, update=True))
    shown = caplog.text + str(caught.value)
    shown += "".join(str(record.args) for record in caplog.records)
    assert KEY not in shown
    held = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert held
    assert all(KEY.encode() not in content for content in held)


def test_key_is_not_given_to_a_server_that_a_card_names(
    server: OpenML, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENML_APIKEY", KEY)
    monkeypatch.delenv("OPENML_SERVER")
    read(place(tmp_path), options={"server": f"http://{server.host}"})
    assert server.asked
    assert all(KEY not in path for path in server.asked)


def test_the_package_is_left_as_it_was(server: OpenML, tmp_path: Path) -> None:
    read(place(tmp_path))
    package, root = sys.modules["openml"], logging.getLogger()
    package.config.apikey = "of somebody else"
    before = (dict(package.config.get_config_as_dict()), list(root.handlers), list(root.filters))
    read(place(tmp_path, update=True))
    assert (dict(package.config.get_config_as_dict()), list(root.handlers), list(root.filters)) == before
    assert "of+somebody+else" not in "".join(server.asked)
    assert [path.name for path in (tmp_path / "downloads" / "openml").iterdir()] == [f"{PNU}.json"]


def test_look(server: OpenML, tmp_path: Path) -> None:
    asked = source()
    server.sets[PNU]["original_data_url"] = "https://meta-album.github.io/datasets/PNU.html"
    seen = openml.look(asked, place(tmp_path))
    assert seen.classes == COUNTS | {"two": 3, "tissue 03": 3}
    assert seen.records == sum(COUNTS.values()) + 2
    assert (seen.title, seen.licence, seen.citation) == ("Meta_Album_PNU_Micro", "CC BY-NC 4.0", "Ullah et al. 2022")
    assert seen.description == "Made for a test."
    assert seen.homepage == "https://meta-album.github.io/datasets/PNU.html"
    assert seen.said[0] == "OpenML calls data set 44312 'Meta_Album_PNU_Micro', version 1"
    assert seen.source.label == Label(layout="meta_album", image_column="FILE_NAME", column="CATEGORY")
    server.asked.clear()
    found, _ = read(place(tmp_path), label=seen.source.label)
    assert Counter(record.label for record in found) == seen.classes
    assert server.asked == []  # the look has brought all


def test_what_another_server_said_is_not_used(server: OpenML, tmp_path: Path) -> None:
    read(place(tmp_path))
    server.asked.clear()
    read(place(tmp_path), options={"server": server.api.replace("127.0.0.1", "localhost")})
    assert server.asked[0] == f"/api/v1/xml/data/{PNU}"


def test_refused(server: OpenML, tmp_path: Path) -> None:
    server.put(IRIS, "iris", {})
    with pytest.raises(ValueError, match=r"^OpenML data set 61 holds no images/ folder: .* 'dataset_61\.pq'$"):
        read(place(tmp_path), IRIS)
    del server.sets[IRIS]["parquet_url"]
    with pytest.raises(ValueError, match=r"^OpenML data set 61 holds no images/ folder"):
        read(place(tmp_path), IRIS)
    with pytest.raises(ValueError, match=r"^OpenML data set 62 at http\S+ is not known there; check source\.locator"):
        read(place(tmp_path), 62)
    server.sets[PNU]["status"] = "deactivated"
    with pytest.raises(ValueError, match=r"^OpenML data set 44312 at http\S+ is deactivated"):
        read(place(tmp_path))
    server.put(PNU, "two archives", {"a.zip": PNU_ZIP, "b.zip": PNU_ZIP})
    with pytest.raises(ValueError, match=r"^OpenML data set 44312: expected one archive or .*, found 'a\.zip', 'b\.zip'"):
        read(place(tmp_path))
    server.sets[PNU]["parquet_url"] += "/../x\n<"
    with pytest.raises(ValueError, match=r"^OpenML data set 44312") as caught:
        read(place(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("faults", ["statuses", "store_statuses"])
def test_pages_of_html(server: OpenML, tmp_path: Path, faults: str) -> None:
    setattr(server, faults, [404])
    with pytest.raises(ValueError, match=r"^OpenML data set 44312.* 404") as caught:
        read(place(tmp_path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"locator": "iris"}, r"source\.locator: expected the id of an OpenML data set, such as '44241', found 'iris'"),
        ({"locator": "0"}, r"source\.locator: expected the id"),
        ({"locator": "44241\n"}, r"source\.locator: expected the id"),
        ({"locator": "44241", "checksum": "sha256:" + "0" * 64}, r"source\.checksum: goes with a single file"),
        ({"locator": "44241", "options": {"split": "train"}}, r"source\.options: OpenML takes server alone, found split"),
        (
            {"locator": "44241", "options": {"server": "http://openml.example"}},
            r"source\.options\.server: expected an https: URL",
        ),
        ({"locator": "44241", "options": {"server": "https://me:pw@openml.example"}}, r"source\.options\.server: expected"),
        ({"locator": "44241", "options": {"server": "https://[::"}}, r"source\.options\.server: expected"),
        ({"locator": "44241", "options": {"server": 5}}, r"source\.options\.server: expected"),
        ({"locator": "44241", "label": {"layout": "folders", "column": "x"}}, r"source\.label: columns go with"),
    ],
)
def test_check(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        openml.check(Source(kind="openml", **given))
    assert "pw" not in str(caught.value)
