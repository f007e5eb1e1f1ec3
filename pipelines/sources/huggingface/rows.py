"""The rows of a Hugging Face data set, one after another, whatever its format.

Parquet and Arrow files are read in small batches by Arrow itself (package `datasets` would hold a row group several times
over); the other formats by `streams.py`.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.huggingface.columns import Columns
from pipelines.sources.huggingface.library import damage, library
from pipelines.sources.huggingface.plan import REMOTE, File, Plan
from pipelines.sources.huggingface.streams import examples, folder_examples, open_below, streamed_features
from pipelines.transfer import Place

BATCH = 32  # rows in memory at a time, fewer where these are
BATCH_BYTES = 32 << 20  # on average
BUFFER = 1 << 20  # bytes read ahead of each column of a Parquet file
REMOTE_BUFFER = 8 << 20  # the same where each read is a request
NO_BYTES = "the row holds no picture"


class Row(NamedTuple):
    """One row: a name of its own, its picture (empty with the reason for it), the path beside it, its label and its group."""

    name: str
    data: bytes
    fault: str | None
    path: str | None
    label: Any
    group: Any = None


def features_of(plan: Plan, place: Place) -> Any:
    """The features: those that the plan brings, else those of the first file. Raises ValueError if another file has others."""
    datasets = library()
    if plan.features is not None:
        with damage(plan.where):
            return datasets.Features.from_dict(plan.features)
    if plan.module not in ("parquet", "arrow"):
        with damage(plan.where):
            return streamed_features(plan, place)
    files = plan.files()
    if files[0].at.startswith(REMOTE):
        files = files[:1]  # a request each
    first: Any = None
    for file in files:
        with damage(file.at), opened(file, plan.module == "arrow") as handle:
            schema = pq.read_schema(handle) if plan.module == "parquet" else _ipc(handle)[0]
            features = datasets.Features.from_arrow_schema(schema)
        if first is not None and features != first:
            raise ValueError(f"{file.at}: has other columns than {files[0].name}: {', '.join(features)}")
        first = features
    return first


def rows(plan: Plan, split: str, columns: Columns, features: Any, place: Place) -> Iterator[Row]:
    """The rows of one split in order. Raises ValueError (one line) for damage and for a picture that is too large."""
    if plan.module == "imagefolder":
        files = File(split, plan.root)
        for number, (address, label, group) in enumerate(_each(folder_examples(plan, split, columns, features, place), files)):
            with damage(address):
                data, fault = open_below(address, plan.root)
            inner, _, container = address.rpartition("::")
            name = "/".join(part for part in (container.removeprefix(plan.root), inner.removeprefix("zip:/")) if part)
            yield Row(
                name.lstrip("/").replace("//", "/") or f"#{number}",
                data,
                fault,
                None,
                label,
                _within(group, columns.group_field),
            )
        return
    for file in plan.splits[split]:
        for number, (picture, label, group) in enumerate(_file_rows(plan, file, columns, features, place)):
            held, path = _picture(picture)
            data, fault = (held, None) if held else (b"", NO_BYTES)
            if not data and path and plan.root:
                data, fault = open_below(path, plan.root)
            said = _within(label, columns.field), _within(group, columns.group_field)
            yield Row(f"{file.name}#{number}", data, fault, path, *said)


def labels(plan: Plan, split: str, columns: Columns, features: Any, place: Place) -> Iterator[Any]:
    """The labels of one split as stored; of Parquet and Arrow files that column alone is read, of a folder no picture."""
    if plan.module == "imagefolder":
        yield from (
            value for _, value, _ in _each(folder_examples(plan, split, columns, features, place), File(split, plan.root))
        )
        return
    alone = columns._replace(image=columns.label, group=None) if plan.module in ("parquet", "arrow") else columns
    for file in plan.splits[split]:
        yield from (_within(value, columns.field) for _, value, _ in _file_rows(plan, file, alone, features, place))


def picture_bytes(plan: Plan, columns: Columns) -> int | None:
    """Bytes of the pictures, as the footers of Parquet files or the folder say; None where only reading them would tell."""
    if plan.module == "imagefolder":
        return sum(Path(file.at).stat().st_size for file in plan.files())
    if plan.module != "parquet":
        return None
    total = 0
    for file in plan.files():
        with damage(file.at), pq.ParquetFile(file.at) as parquet:
            total += _stored_bytes(parquet, columns.image)
    return total


def opened(file: File, mapped: bool = False) -> Any:
    """The file, at the hub or on this machine; there as Arrow's own, which keeps memory lower than Python's."""
    if file.at.startswith(REMOTE):
        from huggingface_hub import HfFileSystem

        return HfFileSystem().open(file.at, "rb")
    return pa.memory_map(file.at) if mapped else pa.OSFile(file.at)


def paths_are_names(plan: Plan, image: str) -> bool:
    """Whether every row's picture has a path and no two are equal; reads that column alone, and no file of the hub."""
    if plan.module != "parquet" or any(file.at.startswith(REMOTE) for file in plan.files()):
        return False
    seen: Counter[str] = Counter()
    total = 0
    for file in plan.files():
        with damage(file.at), pq.ParquetFile(file.at) as parquet:
            leaves = {parquet.schema.column(position).path for position in range(len(parquet.schema))}
            if f"{image}.path" not in leaves:
                return False
            for batch in parquet.iter_batches(batch_size=10_000, columns=[f"{image}.path"]):
                total += batch.num_rows
                seen.update(value for value in batch.column(0).field("path").to_pylist() if value)
    return len(seen) == total


def _file_rows(plan: Plan, file: File, columns: Columns, features: Any, place: Place) -> Iterator[tuple[Any, Any, Any]]:
    """Picture, label and group of each row of a file."""
    readers = {"parquet": _parquet_rows, "arrow": _arrow_rows}
    if plan.module not in readers:
        yield from _each(examples(plan, file, columns, features, place), file)
        return
    with damage(file.at):
        handle = opened(file, plan.module == "arrow")
    with handle:
        yield from _each(readers[plan.module](handle, columns), file)


def _each(source: Iterator[tuple[Any, Any, Any]], file: File) -> Iterator[tuple[Any, Any, Any]]:
    """What the source yields; its errors are damage, those of whoever consumes it are not."""
    while True:
        with damage(file.at):
            item = next(source, None)
        if item is None:
            return
        yield item


def _parquet_rows(handle: Any, columns: Columns) -> Iterator[tuple[Any, Any, Any]]:
    buffer = BUFFER if isinstance(handle, pa.NativeFile) else REMOTE_BUFFER
    with pq.ParquetFile(handle, buffer_size=buffer, pre_buffer=False) as parquet:
        wanted = sorted({columns.image, columns.label} | ({columns.group} if columns.group else set()))
        for batch in parquet.iter_batches(_batch(parquet, columns.image), columns=wanted, use_threads=False):
            yield from _pairs(batch, columns)


def _batch(parquet: pq.ParquetFile, image: str) -> int:
    """Rows to read at a time, of the size of a picture that the footer tells."""
    rows: int = BATCH_BYTES * parquet.metadata.num_rows // max(1, _stored_bytes(parquet, image))
    return max(1, min(BATCH, rows))


def _stored_bytes(parquet: pq.ParquetFile, image: str) -> int:
    """Bytes of the pictures before the file's own compression."""
    groups = (parquet.metadata.row_group(number) for number in range(parquet.metadata.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in (image, f"{image}.bytes"))


def _arrow_rows(handle: Any, columns: Columns) -> Iterator[tuple[Any, Any, Any]]:
    _, batches = _ipc(handle)
    for batch in batches:
        batch.validate(full=True)
        yield from _pairs(batch, columns)


def _ipc(handle: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema and batches of an Arrow stream or file."""
    try:
        stream = pa.ipc.open_stream(handle)
        return stream.schema, iter(stream)
    except pa.ArrowInvalid:
        handle.seek(0)
        file = pa.ipc.open_file(handle)
        return file.schema, (file.get_batch(number) for number in range(file.num_record_batches))


def _pairs(batch: pa.RecordBatch, columns: Columns) -> Iterator[tuple[Any, Any, Any]]:
    labels = batch.column(columns.label).to_pylist()
    groups = batch.column(columns.group).to_pylist() if columns.group else [None] * len(labels)
    pictures = batch.column(columns.image)
    for row, (label, group) in enumerate(zip(labels, groups, strict=True)):
        yield pictures[row].as_py(), label, group


def _within(label: Any, field: str | None) -> Any:
    return label.get(field) if field is not None and isinstance(label, dict) else label


def _picture(value: Any) -> tuple[bytes | None, str | None]:
    """Bytes and path of a picture: of a struct of both, of bytes, or of text that names its file."""
    if isinstance(value, dict):
        return value.get("bytes"), value.get("path")
    return (None, value) if isinstance(value, str) else (value, None)
