"""Source kind `parquet`: one or more Parquet files with a picture and a label column, as Hugging Face data sets are stored.

Read through package `datasets`, streaming, so that the pictures keep their own bytes and no second copy is made. Order: files
by name, rows as stored. source_id is the picture's path where all rows have one and no two are equal, else `<file>#<row>`.
"""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.cards import Label, Source
from pipelines.files import sha256_file
from pipelines.sources import RawRecord
from pipelines.sources.members import Bounds
from pipelines.transfer import Place
from pipelines.transfer.fetch import fetch, verify
from pipelines.transfer.locators import check_locator, is_remote

LABEL_NAMES = ("label", "labels", "class", "category")
LIMIT = Bounds().picture_bytes
BATCH = 64  # rows in memory beside the row group they come from


def check(source: Source) -> None:
    """Raise ValueError if the card asks for what this kind cannot do."""
    check_locator(source.locator)
    if source.options:
        raise ValueError(f"source.options: parquet takes none, found {', '.join(sorted(map(str, source.options)))}")
    if source.label.layout is not None:
        raise ValueError(f"source.label.layout: for archives only, found {source.label.layout!r}")


def records(source: Source, place: Place) -> Generator[RawRecord, None, dict[str, object]]:
    """Yield the rows lazily; return `checksum` and `passed_over`, the rows without a label.

    A row without bytes of its own becomes a record without bytes; a path in a row is a name and never opened. The checksum of
    several files is the SHA-256 of their lines `<sha256>  <name>`. Raises ValueError (one line: file, columns found) for
    columns that are missing or ambiguous and for damage; TransferError as `transfer.fetch`.
    """
    files = _files(source, place)
    checksum = source.checksum or _checksum(files)
    with _one_line(files[0][1]):
        features = _features(files)
        image, label = _columns(features, source.label, files[0][1])
        by_path = _paths_are_names(files, image)
    passed_over = 0
    for name, path in files:
        for row, (picture, value) in enumerate(_rows(path, image, label, place)):
            text = _label_text(features[label], value, f"{path}: row {row}")
            if text is None:
                passed_over += 1
                continue
            data = picture["bytes"] or b""
            if len(data) > Bounds().picture_bytes:
                raise ValueError(
                    f"{path}: row {row}: a picture of {len(data)} bytes, more than {Bounds().picture_bytes}; refusing"
                )
            yield RawRecord(picture["path"] if by_path else f"{name}#{row}", text, data)
    return {"checksum": checksum, "passed_over": passed_over}


def _files(source: Source, place: Place) -> list[tuple[str, Path]]:
    """Name (unique) and path of each file."""
    locator = source.locator
    pattern = not is_remote(locator) and any(sign in locator for sign in "*?[") and not (place.folder / locator).exists()
    if not pattern:
        path = fetch(locator, place, source.checksum)
        return [(path.name, path)]
    if locator.startswith("file:") or Path(locator).is_absolute():
        raise ValueError(f"source.locator: a pattern must be relative to sources_folder, found {locator!r}")
    found = sorted(path for path in place.folder.glob(locator) if path.is_file())
    if not found:
        raise ValueError(f"source.locator: no file fits {locator!r} in {place.folder}")
    if source.checksum and len(found) > 1 and _checksum([(path.name, path) for path in found]) != source.checksum:
        names = ", ".join(path.name for path in found[:3])
        raise ValueError(f"source.checksum: the {len(found)} files that fit {locator!r} ({names}, ...) are others")
    if source.checksum and len(found) == 1:
        verify(found[0], source.checksum)
    return [(path.relative_to(place.folder).as_posix(), path) for path in found]


def _checksum(files: list[tuple[str, Path]]) -> str:
    sums = [sha256_file(path) for _, path in files]
    if len(files) == 1:
        return f"sha256:{sums[0]}"
    lines = "".join(f"{digest}  {path.name}\n" for digest, (_, path) in zip(sums, files, strict=True))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _features(files: list[tuple[str, Path]]) -> Any:
    """The Hugging Face features of the first file. Raises ValueError if another file has other columns."""
    with quiet_datasets() as datasets:
        first, *others = [(path, datasets.Features.from_arrow_schema(pq.read_schema(path))) for _, path in files]
    for path, features in others:
        if features != first[1]:
            raise ValueError(f"{path}: has other columns than {first[0].name}: {_listed(features)}")
    return first[1]


def _columns(features: Any, label: Label, path: Path) -> tuple[str, str]:
    """Names of the image and the label column: of the card, else by type, else by name."""
    images = [name for name, feature in features.items() if _is_image(feature)]
    image = _pick("image_column", label.image_column, images, ("image", "img"), features, path)
    if not _is_image(features[image]):
        raise ValueError(f"{path}: column {image!r} holds no pictures; columns: {_listed(features)}")
    with quiet_datasets() as datasets:
        classes = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    named = [name for name in features if name in LABEL_NAMES and name != image]
    column = _pick("column", label.column, classes or named, LABEL_NAMES, features, path)
    if column == image or not _is_label(features[column]):
        raise ValueError(f"{path}: column {column!r} holds no labels; columns: {_listed(features)}")
    return image, column


def _pick(field: str, given: str | None, found: list[str], usual: tuple[str, ...], features: Any, path: Path) -> str:
    if given is not None:
        if given not in features:
            raise ValueError(f"{path}: source.label.{field}: no column {given!r}; columns: {_listed(features)}")
        return given
    choice = found if len(found) == 1 else [name for name in usual if name in found][:1]
    if not choice:
        raise ValueError(
            f"{path}: cannot tell the {field} apart; name it in source.label.{field}; columns: {_listed(features)}"
        )
    return choice[0]


def _is_image(feature: Any) -> bool:
    """An Image, or what one is stored as: a struct with bytes, or bytes."""
    if isinstance(feature, dict):
        return getattr(feature.get("bytes"), "dtype", "") in ("binary", "large_binary")
    return type(feature).__name__ == "Image" or getattr(feature, "dtype", "") in ("binary", "large_binary")


def _is_label(feature: Any) -> bool:
    kind = str(getattr(feature, "dtype", ""))
    return kind in ("string", "large_string", "bool") or kind.startswith(("int", "uint"))


def _listed(features: Any) -> str:
    return ", ".join(f"{name} ({getattr(feature, 'dtype', type(feature).__name__)})" for name, feature in features.items())


def _label_text(feature: Any, value: Any, where: str) -> str | None:
    """The class in words; None where the row has none (Hugging Face writes -1)."""
    names = getattr(feature, "names", None)
    if value is None or value == "" or (names is not None and value == -1):
        return None
    if names is None:
        return str(value)
    if not 0 <= value < len(names):
        raise ValueError(f"{where}: label {value}, but the column has {len(names)} classes")
    return str(names[value])


def _paths_are_names(files: list[tuple[str, Path]], image: str) -> bool:
    """Whether every row's picture has a path and no two are equal; reads that column alone."""
    seen: Counter[str] = Counter()
    rows = 0
    for _, path in files:
        with pq.ParquetFile(path) as file:
            leaves = {file.schema.column(position).path for position in range(len(file.schema))}
            if f"{image}.path" not in leaves:
                return False
            for batch in file.iter_batches(batch_size=10_000, columns=[f"{image}.path"]):
                rows += batch.num_rows
                seen.update(value for value in batch.column(0).field("path").to_pylist() if value)
    return len(seen) == rows


def _rows(path: Path, image: str, label: str, place: Place) -> Iterator[tuple[dict[str, Any], Any]]:
    """The picture as {bytes, path} and the label of each row."""
    with _one_line(path):
        with quiet_datasets() as datasets:
            stream = datasets.load_dataset(
                "parquet",
                data_files=[glob.escape(str(path))],
                split="train",
                streaming=True,
                columns=[image, label],
                batch_size=BATCH,
                cache_dir=str(place.downloads / "huggingface"),
            ).cast_column(image, datasets.Image(decode=False))
            batches = iter(stream.iter(batch_size=BATCH))
        while (batch := next(batches, None)) is not None:
            for picture, value in zip(batch[image], batch[label], strict=True):
                yield picture or {"bytes": None, "path": None}, value


@contextmanager
def quiet_datasets() -> Iterator[Any]:
    """Package `datasets` (1.7 s to import, so only here), without progress bars, told to stay off the network."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"  # read once, at import
    try:
        import datasets

        shown = datasets.is_progress_bar_enabled()
        datasets.disable_progress_bars()
        try:
            yield datasets
        finally:
            if shown:
                datasets.enable_progress_bars()
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn what damage makes Arrow raise into a ValueError of one line; trouble of the disk passes."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(path, error) from None
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ValueError:
    cause = " ".join(str(error).split())[:120] or type(error).__name__
    return ValueError(f"{path}: not readable as Parquet ({cause}); get it again (delete the file if it is a download)")
