"""Tables of picture addresses: every format, what is refused, and pictures fetched from a server that fails in every way."""

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drained import drained
from hypothesis import given
from hypothesis import strategies as st
from object_store import ACCESS, SECRET, ObjectStore
from servers import Server

from pipelines.cards import Label, Source
from pipelines.sources import Fault, RawRecord
from pipelines.sources.urls import check, look, records
from pipelines.sources.urls.table import LINE, Table
from pipelines.transfer import Place, Rules, TransferError

FAST = Rules(connections=3, retries=1, read_timeout=5.0)


def source(locator: str, image: str | None = None, label: str | None = None, **options: object) -> Source:
    found = Source(kind="urls", locator=locator, label=Label(image_column=image, column=label), options=options)
    check(found)
    return found


def read(folder: Path, wanted: Source | str, rules: Rules = FAST) -> tuple[list[RawRecord], dict[str, Any]]:
    place = Place(folder, folder / "downloads", domain="d", rules=rules)
    return drained(records(source(wanted) if isinstance(wanted, str) else wanted, place))


def refused(folder: Path, wanted: Source | str, *words: str, rules: Rules = FAST) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read(folder, wanted, rules)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


def table(path: Path, rows: Sequence[Sequence[object]], head: Sequence[str] = ("url", "label")) -> Path:
    """Written as its suffix says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: [row[at] for row in rows] for at, name in enumerate(head)}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(head, row, strict=True))) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, delimiter={".tsv": "\t", ".txt": ";"}.get(path.suffix, ","))
            writer.writerows([head, *rows])
    return path


def pictures(server: Server, count: int) -> list[tuple[str, str]]:
    for number in range(count):
        server.put(f"/p/{number}.jpg", b"picture %d" % number)
    return [(server.url(f"/p/{number}.jpg"), "even" if number % 2 == 0 else "odd") for number in range(count)]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "txt", "jsonl", "parquet"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    with Server() as server:
        path = table(tmp_path / f"t.{suffix}", pictures(server, 7))
        found, learned = read(tmp_path, f"t.{suffix}")
        server.put("/deep/t", path.read_bytes())
        remote, _ = read(tmp_path, server.url("/deep/t"))
    assert [record.source_id for record in found] == [f"{n + 1}-{n}.jpg" for n in range(7)]
    assert [record.data for record in found] == [b"picture %d" % n for n in range(7)]
    assert [record.label for record in found] == ["even", "odd"] * 3 + ["even"]
    assert {record.fault for record in found} == {None}
    assert remote == found
    assert learned["passed_over"] == 0
    assert learned["checksum"].startswith("sha256:")


def test_a_look_reads_the_table_alone_and_says_what_it_guessed(tmp_path: Path) -> None:
    head = ("id", "homepage", "image_url", "label", "label_name")
    with Server() as server:
        rows = [(f"r{at}", "https://x.org", url, at % 2, name) for at, (url, name) in enumerate(pictures(server, 4))]
        table(tmp_path / "t.csv", rows, head)
        seen = look(source("t.csv", id_column="id"), Place(tmp_path, tmp_path / "downloads"))
        assert server.asked == 0
        assert (seen.source.label.image_column, seen.source.label.column) == ("image_url", "label_name")
        assert (seen.classes, seen.records, seen.bytes) == ({"even": 2, "odd": 2}, 4, None)
        assert any("image_url" in line and "homepage" in line for line in seen.said)
        assert [record.source_id for record in read(tmp_path, seen.source)[0]] == ["r0", "r1", "r2", "r3"]


@pytest.mark.parametrize(
    ("head", "rows", "label", "reason"),
    [
        (("url", "y"), [("1", "b"), ("2", "b")], "y", "by its name"),
        (("url", "class", "Class-Name"), [("1", 0, "b"), ("2", 1, "c")], "Class-Name", "by its name"),
        (("url", "breed"), [("1", "b"), ("2", "c")], "breed", "the only one beside the address"),
        (
            ("url", "sha", "breed"),
            [("1", "x", "b"), ("2", "y", "b"), ("3", "z", "c")],
            "breed",
            "the only one whose values repeat",
        ),
    ],
)
def test_the_label_column_is_told(
    tmp_path: Path, head: tuple[str, ...], rows: list[tuple[object, ...]], label: str, reason: str
) -> None:
    table(tmp_path / "t.csv", [(f"s3://bucket/{row[0]}.jpg", *row[1:]) for row in rows], head)
    seen = look(source("t.csv"), Place(tmp_path, tmp_path / "downloads"))
    assert seen.source.label == Label(image_column="url", column=label)
    assert f"column {label} holds the label ({reason})" in seen.said


def test_paths_below_the_tables_folder_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "set" / "img").mkdir(parents=True)
    (tmp_path / "set" / "img" / "a b.png").write_bytes(b"one")
    (tmp_path / "set" / "a:b.png").write_bytes(b"two")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "secret.png")
    bad = ["../secret.png", str(tmp_path / "secret.png"), "img/../../secret.png", "..\\secret.png", "link.png", "img", "no.png"]
    bad += [
        "file:///etc/passwd",
        "ftp://h/x.png",
        "data:image/png;base64,AA==",
        "C:\\x.png",
        "http://",
        "http://[x/y.png",
        "${HOME}/x",
    ]
    (tmp_path / "set" / "loop.png").symlink_to("loop.png")
    (tmp_path / "set" / "none.png").touch()
    bad += ["loop.png", "none.png", "x" * 300 + ".png"]
    good = ["img/a b.png", "./img/a b.png", "img\\a b.png", "./a:b.png"]
    table(tmp_path / "set" / "t.csv", [(name, "c") for name in [*good, *bad, " "]])
    found, _ = read(tmp_path, source("set/t.csv", "url", "label"), FAST.__class__(max_failed=1.0))
    assert [record.data for record in found] == [b"one", b"one", b"one", b"two", *[b""] * (len(bad) + 1)]
    reasons = [record.fault.reason if record.fault else "" for record in found]
    assert reasons[:4] == [""] * 4
    assert all(reasons[4:])
    assert [reason for reason in reasons if "leaves" in reason] == ["the path leaves the table's folder"] * 5
    assert "ftp" in " ".join(reasons)
    refused(tmp_path, source("set/t.csv", "url", "label"), "cannot be had", "transfer.max_failed in params.yaml")


def test_a_path_in_a_table_that_was_fetched_leads_to_its_server(tmp_path: Path) -> None:
    with Server() as server:
        server.put("/set/img/a%20b%23.png", b"one")
        server.put("/set/t.csv", b"file_name,label\nimg/a b#.png,c\n")
        found, _ = read(tmp_path, server.url("/set/t.csv?version=3"))
        assert [record.data for record in found] == [b"one"]
        server.put("/set/t.csv", b"file_name,label\n/x.png,c\na/../../x.png,c\n")
        refused(tmp_path, source(server.url("/set/t.csv?version=4"), "file_name"), "2 of 2", "leaves the table's folder")
        assert "/x.png" not in server.pages


def test_rows_without_label_or_address(tmp_path: Path) -> None:
    with Server() as server:
        (one, _), (two, _) = pictures(server, 2)
        table(tmp_path / "t.csv", [(one, "c"), (two, ""), ("", "c"), ("", "")])
        message = refused(tmp_path, "t.csv", "1 of 2 pictures", "3 (the row names no address)", "max_failed")
        assert "0 now" in message
        assert server.asked == 0  # the table alone tells
        found, learned = read(tmp_path, "t.csv", Rules(max_failed=0.5))
        assert found == [
            RawRecord("1-0.jpg", "c", b"picture 0"),
            RawRecord("3", "c", b"", fault=Fault("the row names no address")),
        ]
        assert learned["passed_over"] == 2


def test_what_is_gone_for_good_is_a_fault_and_too_much_of_it_refuses(tmp_path: Path) -> None:
    with Server() as server:
        table(tmp_path / "t.csv", pictures(server, 8))
        for number in (2, 5, 6, 7):
            server.put(f"/p/{number}.jpg", status=404)
        message = refused(
            tmp_path, "t.csv", "4 of 8 pictures", "3-2.jpg", "6-5.jpg", "7-6.jpg", ", ...; mend", "transfer.max_failed"
        )
        assert "404" in message
        found, _ = read(tmp_path, "t.csv", Rules(max_failed=0.5))
    assert [record.data for record in found if record.fault is None] == [b"picture %d" % n for n in (0, 1, 3, 4)]
    assert [record.fault.status for record in found if record.fault] == [404] * 4
    assert [record.source_id for record in found] == [f"{n + 1}-{n}.jpg" for n in range(8)]


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    with Server() as server:
        table(tmp_path / "t.csv", pictures(server, 5))
        server.pages["/p/3.jpg"].statuses = [503]
        server.pages["/p/3.jpg"].retry_after = "0"
        found, _ = read(tmp_path, "t.csv")
        assert [record.data for record in found] == [b"picture %d" % n for n in range(5)]
        assert len(server.pages["/p/3.jpg"].requests) == 2


def test_a_second_run_fetches_only_what_failed(tmp_path: Path) -> None:
    with Server() as server:
        table(tmp_path / "t.csv", pictures(server, 6))
        server.pages["/p/1.jpg"].status = 503
        with pytest.raises(TransferError):
            read(tmp_path, "t.csv", Rules(connections=3, retries=0))
        asked = {path: len(page.requests) for path, page in server.pages.items()}
        assert asked["/p/5.jpg"] == 1
        server.pages["/p/1.jpg"].status = 200
        found, _ = read(tmp_path, "t.csv")
        assert [record.data for record in found] == [b"picture %d" % n for n in range(6)]
        after = {path: len(page.requests) for path, page in server.pages.items()}
        assert {path: after[path] - asked[path] for path in after if after[path] != asked[path]} == {"/p/1.jpg": 1}
    assert read(tmp_path, "t.csv")[0] == found  # the server is gone, all is kept
    assert read(tmp_path, "t.csv", Rules(offline=True))[0] == found


def test_offline_takes_nothing_from_the_network(tmp_path: Path) -> None:
    with Server() as server:
        table(tmp_path / "t.csv", pictures(server, 2))
        refused(tmp_path, "t.csv", "offline: 2 of 2 pictures", rules=Rules(offline=True, max_failed=1.0))
        assert server.asked == 0


def test_the_order_is_the_tables_whatever_comes_first(tmp_path: Path) -> None:
    with Server() as server:
        rows = pictures(server, 30)
        server.pages["/p/0.jpg"].rate = 100  # 9 bytes in .09 s
        (tmp_path / "here.jpg").write_bytes(b"here")
        rows = [*rows[:10], ("here.jpg", "even"), *rows[10:], ("here.jpg", "odd")]
        table(tmp_path / "t.csv", rows)
        found, _ = read(tmp_path, source("t.csv"), Rules(connections=8))
        names = [url.rpartition("/")[2] for url, _ in rows]
        assert [record.source_id for record in found] == [f"{at}-{name}" for at, name in enumerate(names, 1)]
        assert [record.label for record in found] == [label for _, label in rows]
        assert [found[10].data, found[-1].data] == [b"here", b"here"]
        assert server.most_at_once > 1


def test_objects_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ObjectStore() as store:
        store.reset()
        for name, value in {
            "AWS_ENDPOINT_URL": store.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_CONFIG_FILE": "none",
            "AWS_SHARED_CREDENTIALS_FILE": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        store.put("stones", "set/img/a b#1.png", b"one")
        store.put("stones", "two.png", b"two")
        store.put("stones", "set/t.csv", b"image,label\nimg/a b#1.png,c\ns3://stones/two.png,d\ns3://stones/no.png,d\n")
        found, _ = read(tmp_path, source("s3://stones/set/t.csv", "image"), Rules(retries=0, max_failed=0.5))
    assert [(record.source_id, record.label, record.data) for record in found] == [
        ("1-a_b_1.png", "c", b"one"),
        ("2-two.png", "d", b"two"),
        ("3-no.png", "d", b""),
    ]
    assert found[2].fault is not None
    assert [record.fault for record in found[:2]] == [None, None]


CHILD = """
import sys
from pathlib import Path
from pipelines.cards import Source
from pipelines.sources.urls import records
from pipelines.transfer import Place, Rules
folder = Path(sys.argv[1])
for record in records(Source(kind="urls", locator="t.csv"), Place(folder, folder / "downloads", rules=Rules(connections=2))):
    print(record.source_id, flush=True)
"""


def test_killed_and_gone_on(tmp_path: Path) -> None:
    with Server() as server:
        table(tmp_path / "t.csv", pictures(server, 400))
        server.pages["/p/200.jpg"].silent = True
        environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert child.stdout is not None
        came = [child.stdout.readline().strip() for _ in range(150)]
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert came == [f"{n + 1}-{n}.jpg" for n in range(150)]
        server.pages["/p/200.jpg"].silent = False
        before = {path: len(page.requests) for path, page in server.pages.items()}
        found, _ = read(tmp_path, "t.csv")
        assert [record.data for record in found] == [b"picture %d" % n for n in range(400)]
        again = [path for path, page in server.pages.items() if before[path] and len(page.requests) > before[path]]
        assert len(again) < 100  # what was under way, or not yet safe on the disk, at most


def test_the_secrets_of_rows_are_in_no_message(tmp_path: Path) -> None:
    with Server() as server:
        rows = [(server.url("/p/x.jpg?X-Amz-Signature=hush-hush&token=hush-hush"), "c")]
        rows.append((server.url("/p/y.jpg").replace("http://", "http://me:hush-hush@"), "c"))
        table(tmp_path / "t.csv", [*rows, ("gopher://hush-hush@h/x?hush-hush", "c"), ("http://[hush-hush", "c")])
        message = refused(tmp_path, source("t.csv", "url"), "cannot be had", rules=Rules(max_failed=0.6))
        assert "hush" not in message
        found, _ = read(tmp_path, source("t.csv", "url"), Rules(max_failed=1.0))
    assert "hush" not in repr(found)
    assert "hush" not in "".join(str(path) for path in (tmp_path / "downloads").rglob("*"))


def test_a_table_cannot_read_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hush-hush")
    with Server() as server:
        table(tmp_path / "t.csv", [(server.url("/${HF_TOKEN}.jpg"), "c"), (server.url("/?t=${HF_TOKEN}"), "c")])
        refused(tmp_path, "t.csv", "2 of 2")
        assert server.asked == 0
        server.put("/hush-hush/t.csv", b"url,label\nx.jpg,c\n")
        message = refused(tmp_path, source(server.url("/${HF_TOKEN}/t.csv"), "url"), "1 of 1", "whole addresses")
        assert "hush" not in message
        assert list(server.pages) == ["/hush-hush/t.csv"]


BAD = {
    "empty": (b"", "empty"),
    "spaces": (b" \n\n", "empty"),
    "a header alone": (b"url,label\n", "no row"),
    "no address": (b"a,label\nb,c\n", "source.label.image_column"),
    "two columns of addresses": (b"from,to,label\nhttp://x/1,http://x/2,c\n", "source.label.image_column"),
    "no label": (b"url,a,b\nhttp://x/1,1,2\n", "source.label.column"),
    "a short row": (b"url,label\nhttp://x/1,c\nhttp://x/2\n", "row 2 has 1 fields"),
    "a long row": (b"url,label\nhttp://x/1,c,d\n", "row 1 has 3 fields"),
    "equal columns": (b"url,label,label\nhttp://x/1,c,d\n", "two columns are named 'label'"),
    "an open quote": (b'url,label\nhttp://x/1,"c\n', "CSV"),
    "a zero byte": (b"url,label\nhttp://x/1,\0\n", "expected a table"),
    "latin 1": ("url,label\nhttp://x/1,Käse\n".encode("latin-1"), "UTF-8"),
    "gzip": (gzip.compress(b"url,label\nhttp://x/1,c\n"), "expected a table"),
    "a web page": (b"<!DOCTYPE html><html>", "web page"),
    "a JSON list": (b'[{"url": "http://x/1", "label": "c"}]', "JSON list"),
    "a broken line": (b'{"url": "http://x/1", "label": "c"}\n{"url": \n', "row 2 is no JSON object"),
    "a line of a list": (b'{"url": "http://x/1", "label": "c"}\n[1]\n', "row 2 is no JSON object"),
    "a list as label": (b'{"url": "http://x/1", "label": ["c"]}\n', "row 1: label is a list"),
    "a long line": (b"url,label\n" + b"x" * (LINE + 1), "characters"),
    "a cut Parquet": (b"PAR1" + bytes(100), "Parquet"),
}


def test_parquet_columns_of_any_type(tmp_path: Path) -> None:
    columns = {
        "image": [{"bytes": b"x", "path": "x.png"}] * 4,
        "thumb": [b"x"] * 4,
        "file_name": ["1.png", "2.png", "3.png", "4.png"],
        "label": pa.array([1.0, float("nan"), None, 2.0]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    for number in range(1, 5):
        (tmp_path / f"{number}.png").write_bytes(b"%d" % number)
    found, learned = read(tmp_path, "t.parquet")
    assert [(record.label, record.data) for record in found] == [("1.0", b"1"), ("2.0", b"4")]
    assert learned["passed_over"] == 2
    refused(tmp_path, source("t.parquet", "thumb"), "no column 'thumb'", "file_name, label")


@pytest.mark.parametrize("case", BAD)
def test_tables_that_are_none(tmp_path: Path, case: str) -> None:
    data, words = BAD[case]
    (tmp_path / "t.csv").write_bytes(data)
    refused(tmp_path, "t.csv", "t.csv", words)


def test_columns_and_options_that_are_not_there(tmp_path: Path) -> None:
    table(tmp_path / "t.csv", [("http://x/1", "c")])
    refused(tmp_path, source("t.csv", image="link"), "'link'", "columns: url, label")
    refused(tmp_path, source("t.csv", label="kind"), "'kind'", "source.label.column")
    refused(tmp_path, source("t.csv", id_column="key"), "'key'", "source.options.id_column")
    refused(tmp_path, source("t.csv", image="label", label="label"), "both")
    with pytest.raises(ValueError, match="id_column alone"):
        source("t.csv", shuffle=True)
    with pytest.raises(ValueError, match="expected a column's name"):
        source("t.csv", id_column=3)
    with pytest.raises(ValueError, match="image_column, column and group_column alone"):
        check(Source(kind="urls", locator="t.csv", label=Label(layout="folders")))
    table(tmp_path / "u.jsonl", [("http://x/1", "c", "a"), ("http://x/2", "c", None)], ("url", "label", "key"))
    refused(tmp_path, source("u.jsonl", id_column="key"), "row 2: no id")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20), st.sampled_from([",", "\t", ";"]))
def test_a_table_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], sign: str
) -> None:
    path = tmp_path_factory.mktemp("t") / "t"
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=sign).writerows([("url", "label"), *rows])
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    assert list(Table(path).rows()) == [{"url": one, "label": two} for one, two in rows]
