"""Data sets of a hub on loopback through the hub's own client: pins, kills, offline, refusals, and no token in any text."""

import errno
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Image
from hub_server import Hub, Reader, Repo

from pipelines.sources.huggingface.files import Blob, bring
from pipelines.transfer import Place, Rules

TOKEN = "hf_NobodyMustSeeThisOne"
FEATURES = Features({"image": Image(decode=False), "label": ClassLabel(names=["cat", "dog"])})
CARD = b"---\nlicense: cc-by-4.0\npretty_name: Pets\n---\nPets of the neighbours.\n"
Read = dict[str, Any]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def reader(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    reader = Reader(hub, tmp_path_factory.mktemp("reader"), HF_TOKEN=TOKEN)
    try:
        yield reader
        assert TOKEN not in reader.output()
        assert list(reader.home.rglob("*")) == []  # all that was kept is below the downloads
    finally:
        reader.end()


@pytest.fixture(autouse=True)
def _as_new(hub: Hub) -> None:
    for kept in (hub.repos, hub.sent, hub.statuses, hub.drops, hub.requests, hub.moved, hub.stalls):
        kept.clear()


def rows(seed: int, count: int, size: int = 300) -> list[tuple[bytes, int]]:
    return [(hashlib.shake_256(f"{seed} {row}".encode()).digest(size), row % 2) for row in range(count)]


def parquet(seed: int, count: int = 4, size: int = 300, path: str | None = None) -> bytes:
    """Pictures of these rows, with paths of their own unless one is given for all."""
    found = rows(seed, count, size)
    images = [{"bytes": data, "path": path or f"{seed}-{row}.png"} for row, (data, _) in enumerate(found)]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": [label for _, label in found]}, schema=FEATURES.arrow_schema), buffer)
    return buffer.getvalue()


def expected(split: str, seed: int, count: int = 4, size: int = 300) -> list[list[object]]:
    return [
        [f"{split}/{seed}-{row}.png", ("cat", "dog")[label], hashlib.sha256(data).hexdigest(), None]
        for row, (data, label) in enumerate(rows(seed, count, size))
    ]


def source(locator: str, label: dict[str, str] | None = None, **options: object) -> dict[str, Any]:
    return {"kind": "huggingface", "locator": locator, "options": options, "label": label or {}}


def pets(hub: Hub, size: int = 300) -> str:
    files = {
        "README.md": CARD,
        "data/train-00000-of-00002.parquet": parquet(1, size=size),
        "data/train-00001-of-00002.parquet": parquet(2, size=size),
        "data/test-00000-of-00001.parquet": parquet(3, size=size),
    }
    return hub.commit("user/pets", files)


def refused(answer: Read, *words: str) -> None:
    assert answer["error"] == "ValueError", answer
    assert "\n" not in answer["text"]
    assert TOKEN not in answer["text"]
    for word in words:
        assert word in answer["text"]


def test_all_splits_in_order_then_offline(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    commit = pets(hub)
    question = {"folder": str(tmp_path), "source": source("user/pets")}
    first = reader.read(**question)
    assert first["records"] == [*expected("train", 1), *expected("train", 2), *expected("test", 3)]
    assert first["learned"] == {"revision": commit, "passed_over": 0}
    assert first["came"] == {"hub:user/pets": [0, commit, None]}
    sizes = sum(len(data) for path, data in hub.repos["user/pets"].commits[commit].items() if path.endswith(".parquet"))
    assert first["expected"] == first["got"] == sizes
    before = len(hub.requests)
    second = reader.read(**question, pinned=first["came"])
    assert (second["records"], second["got"]) == (first["records"], 0)
    offline = reader.read(**question, rules={"offline": True})
    assert (offline["records"], offline["learned"]) == (first["records"], first["learned"])
    assert len(hub.requests) == before
    assert not list((tmp_path / "downloads").rglob("*.part"))


def test_one_split_or_several(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    pets(hub)
    assert reader.read(folder=str(tmp_path), source=source("user/pets", split="test"))["records"] == expected("test", 3)
    assert "data/train-00000-of-00002.parquet" not in hub.sent
    found = reader.read(folder=str(tmp_path), source=source("hf://datasets/user/pets", split=["test", "train"]))
    assert found["records"] == [*expected("test", 3), *expected("train", 1), *expected("train", 2)]
    refused(reader.read(folder=str(tmp_path), source=source("user/pets", split="dev")), "no split 'dev'", "train, test")


def test_a_new_commit_is_read_only_where_asked_for(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    old = pets(hub)
    question = {"folder": str(tmp_path), "source": source("user/pets", split="train")}
    first = reader.read(**question)
    files = hub.repos["user/pets"].commits[old] | {"data/train-00001-of-00002.parquet": parquet(9)}
    new = hub.commit("user/pets", files)
    assert reader.read(**question, pinned=first["came"])["records"] == first["records"]
    hub.sent.clear()
    updated = reader.read(**question, pinned=first["came"], rules={"update": True})
    assert updated["records"] == [*expected("train", 1), *expected("train", 9)]
    assert updated["came"] == {"hub:user/pets": [0, new, None]}
    assert [path for path in hub.sent if path.endswith(".parquet")] == [
        "data/train-00001-of-00002.parquet"
    ]  # the other is kept
    elsewhere = reader.read(**question | {"folder": str(tmp_path / "other")}, pinned=first["came"])
    assert elsewhere["records"] == first["records"]


def test_revisions(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    old = pets(hub)
    hub.repos["user/pets"].tags["v1"] = old
    hub.commit("user/pets", {"data/train.parquet": parquet(7)})
    tagged = reader.read(folder=str(tmp_path), source=source("user/pets", revision="v1", split="test"))
    assert tagged["records"] == expected("test", 3)
    assert tagged["came"] == {"hub:user/pets@v1": [0, old, None]}
    assert reader.read(folder=str(tmp_path), source=source("user/pets", revision=old, split="test"))["records"] == expected(
        "test", 3
    )
    refused(
        reader.read(folder=str(tmp_path), source=source("user/pets", revision="v2")), "no such revision; there are main, v1"
    )


def test_configs(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    card = "---\nconfigs:\n- config_name: small\n  data_files: a/*.parquet\n- config_name: large\n  data_files:\n"
    card += "  - split: train\n    path: b/x.parquet\n  - split: dev\n    path: b/y.parquet\n---\n"
    files = {"a/one.parquet": parquet(1), "b/x.parquet": parquet(2), "b/y.parquet": parquet(3)}
    hub.commit("user/zoo", {"README.md": card.encode(), **files})
    question = {"folder": str(tmp_path)}
    found = reader.read(**question, source=source("user/zoo", config="large"))
    assert found["records"] == [*expected("train", 2), *expected("dev", 3)]
    assert reader.read(**question, source=source("user/zoo", config="small"))["records"] == expected("train", 1)
    refused(reader.read(**question, source=source("user/zoo", config="gone")), "source.options.config", "'small', 'large'")
    refused(reader.read(**question, source=source("user/zoo")), "source.options.config", "'small', 'large'")
    refused(
        reader.read(**question, source=source("user/zoo", config="tiny"), rules={"offline": True}), "config tiny is not here"
    )


def test_the_conversion_that_the_hub_keeps(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    hub.commit("user/script", {"script.py": b"raise SystemExit"})
    names = {"a/train/0000.parquet": 1, "a/test/0000.parquet": 2, "b/train/0000.parquet": 3, "b/train/0001.parquet": 4}
    hub.commit("user/script", {name: parquet(seed) for name, seed in names.items()}, "refs/convert/parquet")
    options = {"revision": "refs/convert/parquet"}
    question = {"folder": str(tmp_path)}
    found = reader.read(**question, source=source("user/script", config="a", **options))
    assert found["records"] == [*expected("train", 1), *expected("test", 2)]
    assert set(hub.sent) >= {"a/train/0000.parquet", "a/test/0000.parquet"}
    found = reader.read(**question, source=source("user/script", config="b", **options))
    assert found["records"] == [*expected("train", 3), *expected("train", 4)]
    refused(reader.read(**question, source=source("user/script", **options)), "source.options.config: name one of a, b")
    refused(reader.read(**question, source=source("user/script", config="c", **options)), "hub:user/script")


def test_an_old_id_without_an_owner(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    commit = pets(hub)
    hub.moved["pets"] = "user/pets"
    for streaming in (False, True):
        found = reader.read(folder=str(tmp_path), source=source("pets", split="test", streaming=streaming))
        assert [row[2] for row in found["records"]] == [row[2] for row in expected("test", 3)]
        assert found["came"] == {"hub:pets": [0, commit, None]}
    offline = reader.read(folder=str(tmp_path), source=source("pets", split="test"), rules={"offline": True})
    assert offline["records"] == expected("test", 3)


@pytest.mark.parametrize("streaming", [False, True])
def test_image_folders(hub: Hub, reader: Reader, tmp_path: Path, streaming: bool) -> None:
    files = {f"train/{kind}/{row}.png": f"{kind}{row}".encode() * row for kind in ("cat", "dog") for row in (0, 1, 4000)}
    hub.commit("user/folder", {"README.md": b"# none", **files})
    found = reader.read(folder=str(tmp_path), source=source("user/folder", streaming=streaming))
    wanted = sorted((f"train/{path}", path.split("/")[1], hashlib.sha256(data).hexdigest()) for path, data in files.items())
    assert sorted(tuple(row[:3]) for row in found["records"]) == wanted
    assert bool(list((tmp_path / "downloads").rglob("*.png"))) != streaming


def test_an_archive_of_folders(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("cat/1.png", "dog/1.png"):
            archive.writestr(name, name * 3000)
    hub.commit("user/zipped", {"data/all.zip": buffer.getvalue()})
    for streaming in (False, True):
        found = reader.read(folder=str(tmp_path), source=source("user/zipped", streaming=streaming))
        assert [row[:2] for row in found["records"]] == [[f"train/data/all.zip/{kind}/1.png", kind] for kind in ("cat", "dog")]
        assert found["records"][0][2] == hashlib.sha256(b"cat/1.png" * 3000).hexdigest()


@pytest.mark.parametrize("streaming", [False, True])
def test_tar_shards(hub: Hub, reader: Reader, tmp_path: Path, streaming: bool) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for row in range(3):
            for name, data in ((f"{row}.jpg", b"jpg%d" % row), (f"{row}.cls", b"%d" % row)):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    hub.commit("user/tars", {"train-0.tar": buffer.getvalue()})
    found = reader.read(folder=str(tmp_path), source=source("user/tars", streaming=streaming))
    wanted = [[f"train/train-0.tar#{row}", str(row), hashlib.sha256(b"jpg%d" % row).hexdigest(), None] for row in range(3)]
    assert found["records"] == wanted


def test_streaming_keeps_nothing(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    commit = pets(hub, size=9000)
    found = reader.read(folder=str(tmp_path), source=source("user/pets", streaming=True))
    digests = [row[2] for row in found["records"]]
    assert digests == [
        row[2] for seed, split in ((1, "train"), (2, "train"), (3, "test")) for row in expected(split, seed, size=9000)
    ]
    assert found["learned"] == {"revision": commit, "passed_over": 0}
    assert not list((tmp_path / "downloads").rglob("*.parquet"))
    kept = sum(path.stat().st_size for path in (tmp_path / "downloads").rglob("*") if path.is_file())
    assert kept < 5000
    offline = reader.read(folder=str(tmp_path), source=source("user/pets", streaming=True), rules={"offline": True})
    refused(offline, "streaming needs the hub")


def test_a_stream_that_is_refused(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    pets(hub, size=9000)
    question = {"folder": str(tmp_path), "source": source("user/pets", streaming=True)}
    assert "records" in reader.read(**question)
    hub.statuses[:] = [0, 403]
    refused(
        reader.read(**question), "data/train-00000-of-00002.parquet: the hub answers 403; it refuses access, check HF_TOKEN"
    )


def test_a_path_in_a_row_is_never_opened(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    images = [{"bytes": None, "path": "/etc/passwd"}, {"bytes": b"own", "path": "/etc/hostname"}]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": [0, 1]}, schema=FEATURES.arrow_schema), buffer)
    hub.commit("user/evil", {"train.parquet": buffer.getvalue()})
    for streaming in (False, True):
        found = reader.read(folder=str(tmp_path), source=source("user/evil", streaming=streaming))
        digests = [(row[2], row[3]) for row in found["records"]]
        assert digests == [
            (hashlib.sha256(b"").hexdigest(), ["the row holds no picture", None]),
            (hashlib.sha256(b"own").hexdigest(), None),
        ]


def test_a_kill_in_mid_download(hub: Hub, tmp_path: Path) -> None:
    commit = pets(hub, size=400_000)
    path = "data/train-00000-of-00002.parquet"
    content = hub.repos["user/pets"].commits[commit][path]
    stall = len(content) // 2
    hub.stalls[path] = stall
    question = {"folder": str(tmp_path), "source": source("user/pets", split="train"), "rules": {"connections": 2}}
    reader = Reader(hub, tmp_path, HF_TOKEN=TOKEN)
    try:
        reader.ask(**question)
        assert hub.stalled.wait(60)
        parts = tmp_path / "downloads" / "huggingface" / "dataset--user--pets" / "blobs"
        part = parts / f"{hashlib.sha256(content).hexdigest()}.part"
        while not part.exists() or part.stat().st_size < stall:
            pass
        whole = parts / hashlib.sha256(hub.repos["user/pets"].commits[commit]["data/train-00001-of-00002.parquet"]).hexdigest()
        while not whole.exists():
            pass
    finally:
        reader.end()
    hub.stalls.clear()
    before = hub.sent.copy()
    reader = Reader(hub, tmp_path, HF_TOKEN=TOKEN)
    try:
        found = reader.read(**question)
    finally:
        reader.end()
    assert found["records"] == [*expected("train", 1, size=400_000), *expected("train", 2, size=400_000)]
    assert hub.sent[path] - before[path] == len(content) - stall  # not a byte twice
    assert hub.sent["data/train-00001-of-00002.parquet"] == before["data/train-00001-of-00002.parquet"]
    assert found["got"] == len(content) - stall


def test_faults_on_the_way(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    commit = pets(hub, size=40_000)
    path = "data/test-00000-of-00001.parquet"
    size = len(hub.repos["user/pets"].commits[commit][path])
    question = {"folder": str(tmp_path), "source": source("user/pets", split="test")}
    hub.statuses[:] = [0, 503]  # the card is content, too
    hub.drops[:] = [10**6, 50_000]
    found = reader.read(**question)
    assert found["records"] == expected("test", 3, size=40_000)
    assert hub.sent[path] == size == found["got"]
    assert any(headers.get("Range") for _, where, headers in hub.requests if "/large/" in where)


def test_a_hub_that_stays_away(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    pets(hub)
    question = {"folder": str(tmp_path), "source": source("user/pets", split="test"), "rules": {"retries": 0}}
    hub.statuses[:] = [0, 503]
    failed = reader.read(**question)
    assert failed["error"] == "TransferError"
    assert "503" in failed["text"]
    assert reader.read(**question)["records"] == expected("test", 3)
    small = reader.read(**question | {"folder": str(tmp_path / "b"), "rules": {"limit_bytes": 100}})
    refused(small, "more than the limit of 100")
    refused(
        reader.read(**question | {"folder": str(tmp_path / "c"), "rules": {"offline": True}}),
        "not here, and offline is asked for",
    )


def test_a_full_disk(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    commit = pets(hub, size=40_000)
    path = "data/test-00000-of-00001.parquet"
    question = {"folder": str(tmp_path), "source": source("user/pets", split="test")}
    full = reader.read(**question, largest_file=70_000)
    assert full["error"] == "OSError"  # neither the user's to mend in the card nor one to try again at once
    before = hub.sent[path]
    found = reader.read(**question)
    assert found["records"] == expected("test", 3, size=40_000)
    assert hub.sent[path] - before == len(hub.repos["user/pets"].commits[commit][path]) - 70_000


def test_a_disk_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    content = b"a picture"
    digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / digest).write_bytes(content)
    monkeypatch.setattr("os.link", no_links)
    place = Place(tmp_path, tmp_path, rules=Rules(offline=True))
    top = bring("user/pets", tmp_path, "c" * 40, [Blob("cat/1.png", len(content), digest)], place)
    assert (top / "cat" / "1.png").read_bytes() == content


def test_what_came_is_what_the_hub_lists(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    commit = pets(hub)
    files = hub.repos["user/pets"].commits[commit]
    question = {"folder": str(tmp_path), "source": source("user/pets", split="test"), "rules": {"retries": 0}}
    assert "records" in reader.read(**question)
    path = "data/test-00000-of-00001.parquet"
    for blob in (tmp_path / "downloads").rglob("blobs/*"):
        blob.unlink()
    for blob in (tmp_path / "downloads").rglob("*.parquet"):
        blob.unlink()
    files[path] = bytes([files[path][0] ^ 1]) + files[path][1:]  # the same size, but not what was listed
    failed = reader.read(**question)
    assert "other content than the hub lists" in failed["text"]
    assert not list((tmp_path / "downloads").rglob("*.part"))


def test_refusals(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    question = {"folder": str(tmp_path)}
    refused(
        reader.read(**question, source=source("user/none")), "hub:user/none", "no such data set on the hub, or a private one"
    )
    pets(hub)
    hub.repos["user/pets"].token = "hf_AnotherTokenThanOurs"
    refused(reader.read(**question, source=source("user/pets")), "no such data set on the hub, or a private one")
    hub.repos["user/pets"].gated = True
    refused(reader.read(**question, source=source("user/pets")), "gated; accept its terms", "HF_TOKEN")
    hub.commit("user/script", {"script.py": b"raise SystemExit", "x.parquet": parquet(1)})
    refused(reader.read(**question, source=source("user/script")), "needs a Python script of its own, which is not run here")
    hub.commit("user/text", {"x.txt": b"no pictures"})
    refused(reader.read(**question, source=source("user/text")), "stored as text, which holds no pictures")
    hub.commit("user/empty", {"README.md": b"# nothing"})
    refused(reader.read(**question, source=source("user/empty")), "hub:user/empty")
    summed = source("user/pets") | {"checksum": "sha256:" + "0" * 64}
    refused(reader.read(**question, source=summed), "pinned by its commit")
    refused(reader.read(**question, source=source("user/pets"), pinned={"hub:user/pets": [0, "../../etc", None]}), "40 digits")


def test_paths_that_lead_out_of_the_data_set(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    card = b"---\nconfigs:\n- config_name: a\n  data_files: ../../other/x.parquet\n---\n"
    hub.commit("user/out", {"README.md": card, "../../../x.parquet": parquet(1), "y.parquet": parquet(2)})
    answer = reader.read(folder=str(tmp_path), source=source("user/out"))
    refused(answer, "hub:user/out")
    hub.commit("user/up", {"train/../../../../../../up/x.parquet": parquet(1)})
    refused(reader.read(folder=str(tmp_path), source=source("user/up")), "hub:user/up")
    assert {path.name for path in tmp_path.iterdir()} <= {"downloads"}


def test_the_token_opens_a_private_set_and_goes_nowhere_else(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    commit = pets(hub, size=9000)
    hub.repos["user/pets"].token = TOKEN
    found = reader.read(folder=str(tmp_path), source=source("user/pets"))
    assert len(found["records"]) == 12
    assert len(reader.read(folder=str(tmp_path), source=source("user/pets", streaming=True))["records"]) == 12
    tokens = {path.startswith("/large/"): headers.get("Authorization") for _, path, headers in hub.requests}
    assert tokens == {False: f"Bearer {TOKEN}", True: None}  # the other host must not have it
    gone = reader.read(folder=str(tmp_path / "c"), source=source("user/pets"), pinned={"hub:user/pets": [0, "a" * 40, None]})
    refused(gone, "the hub does not have this revision any more")
    del hub.repos["user/pets"].commits[commit]["data/test-00000-of-00001.parquet"]
    failed = reader.read(folder=str(tmp_path / "b"), source=source("user/pets"), pinned=found["came"])
    assert TOKEN not in json.dumps([found, failed])
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


def test_a_look_reads_no_picture(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    commit = pets(hub, size=400_000)
    hub.repos["user/pets"] = Repo(
        hub.repos["user/pets"].commits, {"main": commit}, answers={"description": "Of the neighbours."}
    )
    found = reader.read(folder=str(tmp_path), source=source("user/pets"), look=True)
    assert found["source"]["options"] == {"config": "default", "split": ["train", "test"]}
    assert (found["source"]["label"]["image_column"], found["source"]["label"]["column"]) == ("image", "label")
    assert (found["title"], found["licence"], found["description"]) == ("Pets", "cc-by-4.0", "Of the neighbours.")
    assert found["homepage"].endswith("/datasets/user/pets")
    assert sum(hub.sent.values()) < found["bytes"] / 2
    plain, settled = (reader.read(folder=str(tmp_path), source=s) for s in (source("user/pets"), found["source"]))
    assert plain["records"] == settled["records"]


def test_a_look_at_folders_and_shards(hub: Hub, reader: Reader, tmp_path: Path) -> None:
    hub.commit("user/folder", {f"{kind}/{row}.png": bytes(5000) for kind in ("cat", "dog") for row in range(3)})
    found = reader.read(folder=str(tmp_path), source=source("user/folder"), look=True)
    assert (found["source"]["label"]["column"], found["bytes"]) == ("label", 30_000)
    assert "classes in column 'label': 2" in found["said"][1]
    assert not [path for path in hub.sent if path.endswith(".png")]
