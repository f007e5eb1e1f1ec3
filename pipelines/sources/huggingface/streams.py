"""Image folders, tar shards, JSON and CSV through the streaming readers of package `datasets`, and the pictures that they name.

The readers of shards are given pictures as plain bytes: the Image feature of `datasets` drops the bytes of a row whose path
happens to exist on this machine.
"""

import glob
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.sources.huggingface.columns import Columns
from pipelines.sources.huggingface.library import library
from pipelines.sources.huggingface.plan import METADATA, REMOTE, File, Plan
from pipelines.sources.members import Bounds
from pipelines.transfer import Place

LIMIT = Bounds().picture_bytes
PEEK = 64  # rows from which the columns of JSON and CSV are told


def streamed_features(plan: Plan, place: Place) -> Any:
    """The features as `datasets` finds them: of all file names of an image folder, else of the first rows of the first file."""
    datasets = library()
    files = plan.files() if plan.module == "imagefolder" else plan.files()[:1]
    builder = _builder(plan, files, None, place)
    stream = builder.as_streaming_dataset(split="train")
    if builder.info.features is not None:
        return builder.info.features
    import pyarrow as pa

    batch: dict[str, list[Any]] = next(iter(stream.iter(batch_size=PEEK)), {})
    return datasets.Features.from_arrow_schema(pa.table(batch).schema)


def examples(plan: Plan, file: File, columns: Columns, features: Any, place: Place) -> Iterator[tuple[Any, Any, Any]]:
    """Picture (bytes or path), label and group of each row of a file."""
    given = None if plan.module in ("json", "csv") else _plain(features, library().Value("binary"))
    for row in _builder(plan, [file], given, place).as_streaming_dataset(split="train"):
        yield row.get(columns.image), row.get(columns.label), row.get(columns.group)


def folder_examples(plan: Plan, split: str, columns: Columns, features: Any, place: Place) -> Iterator[tuple[str, Any, Any]]:
    """Address, label and group of each picture of an image folder."""
    datasets = library()
    plain = _plain(features, datasets.Image(decode=False))  # to be found by the reader; its values are paths alone
    # the reader of zip archives gives the archive's own folder as label; the picture's is meant
    by_folder = hasattr(features[columns.label], "names") and not any(Path(f.name).name in METADATA for f in plan.files())
    if by_folder:
        plain[columns.label] = datasets.Value("string")
    for row in _builder(plan, plan.splits[split], plain, place).as_streaming_dataset(split="train"):
        address = (row[columns.image] or {}).get("path") or ""
        label = address.partition("::")[0].split("/")[-2] if by_folder else row[columns.label]
        yield address, label, row.get(columns.group)


def open_below(address: str, root: str) -> tuple[bytes, str | None]:
    """The picture at an address below `root` (a folder here or at the hub; the address may lead into a zip), or why not.

    Raises ValueError if the picture is larger than the limit for pictures.
    """
    container = address.rpartition("::")[2]
    if root.startswith(REMOTE):
        inside = container.startswith(f"{root}/") and ".." not in container.split("/")
        path = None
    else:
        path = (Path(root) / container).resolve()
        inside = path.is_relative_to(Path(root).resolve())
    if not inside:
        return b"", "names a picture outside its data set"
    try:
        if "::" in address or path is None:
            from datasets.utils.file_utils import xopen

            handle = xopen(address, "rb")
        else:
            handle = path.open("rb")
        with handle:
            data: bytes = handle.read(LIMIT + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, KeyError):
        return b"", "names a picture that is not there"
    if len(data) > LIMIT:
        raise ValueError(f"{address}: a picture of more than {LIMIT} bytes; refusing")
    return data, None if data else "an empty file"


def _builder(plan: Plan, files: list[File], features: Any, place: Place) -> Any:
    place.downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reading-", dir=place.downloads) as cache:  # nothing is kept there but locks
        return library().load_dataset_builder(
            plan.module,
            data_files={"train": [_escaped(file.at) for file in files]},
            features=features,
            cache_dir=cache,
            **(plan.params or {}),
        )


def _escaped(address: str) -> str:
    """The address as a pattern that fits it alone."""
    scheme = REMOTE if address.startswith(REMOTE) else ""
    return scheme + glob.escape(address.removeprefix(scheme))


def _plain(features: Any, instead: Any) -> Any:
    """The features with this one instead of each Image."""
    given = {name: instead if type(feature).__name__ == "Image" else feature for name, feature in features.items()}
    return library().Features(given)
