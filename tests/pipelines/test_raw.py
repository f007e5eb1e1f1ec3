"""Raw records: what goes in comes out, in bounded pieces, the same bytes each time, and nothing half-written."""

import errno
import hashlib
import json
import struct
from collections.abc import Generator, Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.files import atomic_folder
from pipelines.raw import RawSummary, Sizes, count_raw, read_raw, write_raw
from pipelines.seen import Seen
from pipelines.sources import Fault, Planted, RawRecord
from pipelines.transfer.locators import shown

ABOUT = {"kind": "archive", "locator": "https://user:hush@host/x.zip?token=whisper"}
RECORDS = [
    RawRecord("a", "cat", b"\x00one"),
    RawRecord("b", "dog", b"", Planted("copy", "a")),
    RawRecord("c", "cat", b"three", Planted("leak", "z", "digits")),
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
record_lists = st.lists(
    st.builds(
        RawRecord,
        texts,
        texts,
        st.binary(max_size=40),
        st.none() | st.builds(Planted, texts, st.none() | texts),
        st.none() | st.builds(Fault, texts, st.none() | st.integers(100, 599)),
        st.none() | texts,
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda record: record.source_id,
)


def row_of(record: RawRecord) -> tuple[str, str, bytes, str | None, str | None]:
    return (*record[:3], record.fault.reason if record.fault else None, record.group)


def content_of(records: list[RawRecord]) -> str:
    """The digest of all records, written down once more from its description."""
    whole = b""
    for record in records:
        for piece in (record.source_id.encode(), record.label.encode(), hashlib.sha256(record.data).digest()):
            whole += struct.pack("<Q", len(piece)) + piece
        if record.group is not None:
            whole += b"\xff" * 8 + struct.pack("<Q", len(record.group.encode())) + record.group.encode()
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"


def folder_of(root: Path, name: str = "raw") -> Path:
    folder = root / name
    folder.mkdir()
    return folder


@settings(max_examples=60, deadline=None)
@given(
    records=record_lists,
    sizes=st.builds(Sizes, st.integers(1, 10), st.integers(1, 100), st.integers(1, 300)),
    batch=st.integers(1, 12),
)
def test_records_in_are_rows_out(
    tmp_path_factory: pytest.TempPathFactory, records: list[RawRecord], sizes: Sizes, batch: int
) -> None:
    folder = tmp_path_factory.mktemp("raw")
    steps: list[tuple[int, int]] = []
    summary = write_raw(iter(records), folder, ABOUT, lambda *step: steps.append(step), sizes)
    frames = list(read_raw(folder, batch))
    assert [row for frame in frames for row in frame.iter_rows()] == [row_of(record) for record in records]
    assert all(0 < frame.height <= batch for frame in frames)
    texts_of = {"source_id": pl.String, "label": pl.String, "data": pl.Binary, "fault": pl.String, "group": pl.String}
    assert frames[0].schema == texts_of
    size = sum(len(record.data) for record in records)
    assert summary[:3] == (len(records), size, 0)
    assert steps[-1] == (len(records), size)
    assert count_raw(folder) == len(records)
    assert summary.files == len(list(folder.glob("records-*.parquet")))
    planted = pl.read_parquet(folder / "planted.parquet")
    assert planted.rows() == [(record.source_id, *record.planted) for record in records if record.planted]
    assert planted.schema == dict.fromkeys(("source_id", "kind", "of", "domain"), pl.String)
    failures = pl.read_parquet(folder / "failures.parquet")
    faults = [(record.source_id, record.fault.status, record.fault.reason) for record in records if record.fault]
    assert failures.rows() == faults
    assert summary.faults == len(faults)
    assert failures.schema == {"source_id": pl.String, "status": pl.Int32, "reason": pl.String}
    assert summary.content == content_of(records)


def test_bounds_of_groups_and_files(tmp_path: Path) -> None:
    records = [RawRecord(str(n), "x", bytes(100)) for n in range(50)]
    folder = folder_of(tmp_path)
    write_raw(iter(records), folder, ABOUT, sizes=Sizes(group_records=4, group_bytes=250, file_bytes=1000))
    files = sorted(folder.glob("records-*.parquet"))
    assert [path.name for path in files] == [f"records-{n:05d}.parquet" for n in range(5)]
    for path in files:
        metadata = pq.read_metadata(path)
        assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [2] * 5


def test_a_polars_scan_reads_the_same(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    write_raw(iter(RECORDS), folder, ABOUT)
    assert pl.read_parquet(folder / "records-*.parquet").rows() == [row_of(record) for record in RECORDS]


def test_same_source_same_bytes(tmp_path: Path) -> None:
    folders = [folder_of(tmp_path, name) for name in ("one", "two")]
    for folder in folders:
        write_raw(iter(RECORDS), folder, ABOUT)
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"records-00000.parquet", "planted.parquet", "failures.parquet", "source.json", "SHA256SUMS"}


def test_source_json(tmp_path: Path) -> None:
    def source() -> Generator[RawRecord, None, dict[str, object]]:
        yield from RECORDS
        yield RawRecord("gone", "cat", b"", fault=Fault("no such file", 404))
        return {"passed_over": 7, "checksum": "sha256:00"}

    folder = folder_of(tmp_path)
    summary = write_raw(source(), folder, ABOUT)
    content = content_of([*RECORDS, RawRecord("gone", "cat", b"")])
    assert summary == RawSummary(4, 9, 7, 2, 1, content, 1)
    facts = json.loads((folder / "source.json").read_text())
    assert "hush" not in facts["locator"]
    assert "whisper" not in facts["locator"]
    assert facts == {
        "kind": "archive",
        "locator": shown(ABOUT["locator"]),
        "content": content,
        "faults": 1,
        "records": 4,
        "bytes": 9,
        "passed_over": 7,
        "checksum": "sha256:00",
    }


def test_content_tells_order_labels_and_borders_apart(tmp_path: Path) -> None:
    one, two = RawRecord("a", "bc", b"x"), RawRecord("b", "c", b"y")
    variants = [[one, two], [two, one], [one._replace(label="b"), two], [one._replace(data=b""), two], [one]]
    variants.append([RawRecord("ab", "c", b"x"), two])
    variants += [[one._replace(group="g"), two], [one, two._replace(group="g")], [one._replace(group=""), two]]
    found = {write_raw(iter(v), folder_of(tmp_path, str(n)), ABOUT).content for n, v in enumerate(variants)}
    assert len(found) == len(variants)


def test_records_from_before_there_were_groups_have_none(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    write_raw(iter(RECORDS), folder, ABOUT)
    path = folder / "records-00000.parquet"
    pl.read_parquet(path).drop("group").write_parquet(path)
    (frame,) = read_raw(folder)
    assert list(frame.iter_rows()) == [row_of(record) for record in RECORDS]


def test_seen_knows_every_name() -> None:
    seen = Seen()
    names = [f"class/{n}.png" for n in range(20_000)]
    assert all(seen.add(name) for name in names)
    assert not any(seen.add(name) for name in names)
    assert len(seen) == len(names)


def test_no_record(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"https://host/x\.zip.*: the source holds no record"):
        write_raw(iter([]), folder_of(tmp_path), ABOUT)


@pytest.mark.parametrize("apart", [1, 3000])
def test_two_records_with_one_name(tmp_path: Path, apart: int) -> None:
    records = [RawRecord(str(n % apart), "x", b"") for n in range(apart + 1)]
    with pytest.raises(ValueError, match="two records with the source_id '0'"):
        write_raw(iter(records), folder_of(tmp_path), ABOUT)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_disk_full_passes_and_leaves_nothing(tmp_path: Path) -> None:
    records = [RawRecord(str(n), "x", bytes(1 << 16)) for n in range(64)]
    target = tmp_path / "raw" / "set"

    def write() -> None:
        with atomic_folder(target) as folder:
            (folder / "records-00000.parquet").symlink_to("/dev/full")
            write_raw(iter(records), folder, ABOUT)

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
    assert list(target.parent.iterdir()) == []


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def source() -> Iterator[RawRecord]:
        yield RECORDS[0]
        raise ValueError("x.zip: damaged")

    target = tmp_path / "raw"
    with pytest.raises(ValueError, match=r"x\.zip: damaged"), atomic_folder(target) as folder:
        write_raw(source(), folder, ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_reading_what_is_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no raw records here; run `dvc repro`"):
        count_raw(tmp_path)
    write_raw(iter(RECORDS), tmp_path, ABOUT)
    path = tmp_path / "records-00000.parquet"
    whole = path.read_bytes()
    for cut in (0, 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        for read in (count_raw, lambda folder: list(read_raw(folder))):
            with pytest.raises(ValueError, match=r"records-00000\.parquet: not readable as Parquet") as caught:
                read(tmp_path)
            assert "\n" not in str(caught.value)
