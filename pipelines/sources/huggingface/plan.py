"""What to read of a Hugging Face data set and how: its files by split, and the module of package `datasets` that fits them.

Here: plans for what lies on this machine. `repo.py` makes those for the hub.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.cards import Source
from pipelines.sources.members import is_picture
from pipelines.transfer import Place
from pipelines.transfer.fetch import fetch
from pipelines.transfer.locators import scheme_of

SUFFIXES = {
    ".parquet": "parquet",
    ".geoparquet": "parquet",
    ".arrow": "arrow",
    ".tar": "webdataset",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
}
REMOTE = "hf://"  # how the address of a file at the hub starts
FORMATS = ("parquet", "arrow", "imagefolder", "webdataset", "json", "csv")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # which pictures of a folder belong to which class


class File(NamedTuple):
    """One file: its name as in a source_id, and where it is (a path, or an address at the hub)."""

    name: str
    at: str


class Plan(NamedTuple):
    """`splits` in the order of reading; no picture outside `root` is opened, and none that a row names if it is empty."""

    where: str  # how messages call the whole
    module: str  # one of FORMATS
    splits: dict[str, list[File]]
    root: str = ""
    features: dict[str, Any] | None = None  # `Features.to_dict()` where something beside the files says them
    params: dict[str, Any] | None = None  # of the module
    prefixed: bool = False  # source_id starts with the split

    def files(self) -> list[File]:
        """All files in order."""
        return [file for split in self.splits.values() for file in split]


def local_plan(source: Source, place: Place) -> tuple[Plan, list[str]]:
    """The plan of a file, a pattern or a folder of this machine, or of one http(s)/s3 file; and the locators of its files.

    Raises ValueError (one line) if nothing fits or the format is not known; TransferError as `transfer.fetch`.
    """
    files, root = local_files(source, place)
    given = source.options.get("format")
    if root is not None and (root / "dataset_dict.json").is_file():
        return _saved(root, source, place, _listed_splits(root / "dataset_dict.json"))
    if root is not None and (root / "state.json").is_file():
        return _saved(root, source, place, None)
    module = given or _guess(files, root)
    where = str(root or files[0].at)
    if module == "imagefolder":
        if root is None:
            raise ValueError(f"{where}: source.options.format: an imagefolder is a folder, found a file")
        wanted = [
            file
            for file in files
            if is_picture(file.name) or Path(file.name).name in METADATA or file.name.lower().endswith(".zip")
        ]
        return Plan(where, module, {"train": _some(wanted, where, module)}, str(root)), []
    if root is not None:
        files = [file for file in files if SUFFIXES.get(Path(file.name).suffix.lower()) == module]
    top = "" if module in ("parquet", "arrow", "webdataset") else str(root or Path(files[0].at).parent)
    plan = Plan(where, module, {"train": _some(files, where, module)}, top)
    alone = root is None and len(files) == 1 and Path(files[0].at) != place.folder / files[0].name
    return plan, [source.locator] if alone else _locators(plan, place)


def local_files(source: Source, place: Place) -> tuple[list[File], Path | None]:
    """The files that a locator names and, where it names a folder, that folder."""
    locator = source.locator
    here = (place.folder / locator).resolve()  # as `datasets` will call what is in it
    if not scheme_of(locator) and here.is_dir():
        return _below(here), here
    pattern = not scheme_of(locator) and any(sign in locator for sign in "*?[") and not here.exists()
    if not pattern:
        path = fetch(locator, place, source.checksum)
        return [File(path.name, str(path))], None
    if Path(locator).is_absolute():
        raise ValueError(f"source.locator: a pattern must be relative to sources_folder, found {locator!r}")
    found = sorted(path for path in place.folder.glob(locator) if path.is_file())
    if not found:
        raise ValueError(f"source.locator: no file fits {locator!r} in {place.folder}")
    if len(found) == 1:
        fetch(found[0].relative_to(place.folder).as_posix(), place, source.checksum)
    return [File(path.relative_to(place.folder).as_posix(), str(path)) for path in found], None


def _below(root: Path) -> list[File]:
    """The folder's files by name, without hidden ones; a link that leads out of it is not followed."""
    top = root.resolve()
    files = (path for path in root.rglob("*") if not path.name.startswith(".") and path.is_file())
    found = sorted(path for path in files if path.resolve().is_relative_to(top))
    return [File(path.relative_to(root).as_posix(), str(path)) for path in found]


def _guess(files: list[File], root: Path | None) -> str:
    names = [Path(file.name) for file in files]
    kinds = {SUFFIXES[name.suffix.lower()] for name in names if name.suffix.lower() in SUFFIXES and name.name not in METADATA}
    if root is not None and any(is_picture(file.name) for file in files):
        return "imagefolder"
    if not kinds and root is None and len(files) == 1:
        kinds = {_by_content(Path(files[0].at))}
    if len(kinds) != 1:
        raise ValueError(
            f"{root or files[0].at}: cannot tell the format ({', '.join(sorted(kinds)) or 'nothing known'}); "
            f"name one in source.options.format: {', '.join(FORMATS)}"
        )
    return kinds.pop()


def _by_content(path: Path) -> str:
    """The format of a file whose name does not say it; Parquet unless its first bytes say Arrow."""
    with path.open("rb") as handle:
        head = handle.read(6)
    return "arrow" if head == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff" else "parquet"


def _some(files: list[File], where: str, module: str) -> list[File]:
    if not files:
        raise ValueError(f"{where}: holds no file of format {module}")
    return files


def _saved(root: Path, source: Source, place: Place, splits: list[str] | None) -> tuple[Plan, list[str]]:
    """A folder that `save_to_disk` wrote: one data set, or one a split."""
    found = {name: _saved_files(root / name, f"{name}/") for name in splits} if splits else {"train": _saved_files(root, "")}
    plan = Plan(str(root), "arrow", pick_splits(found, source.options.get("split"), str(root)), prefixed=bool(splits))
    return plan, _locators(plan, place)


def _locators(plan: Plan, place: Place) -> list[str]:
    """The files as locators: from the sources' folder where they are in it."""
    tops = (place.folder, place.folder.resolve())
    paths = [Path(file.at) for file in plan.files()]
    inside = [next((path.relative_to(top) for top in tops if path.is_relative_to(top)), path) for path in paths]
    return [path.as_posix() for path in inside]


def _listed_splits(path: Path) -> list[str]:
    names = _json(path).get("splits")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and _plain(name) for name in names):
        raise ValueError(f"{path}: expected the names of splits, each that of a folder beside it")
    return names


def _saved_files(folder: Path, prefix: str) -> list[File]:
    entries = _json(folder / "state.json").get("_data_files")
    names = (
        [entry.get("filename") if isinstance(entry, dict) else None for entry in entries] if isinstance(entries, list) else []
    )
    if not names or not all(isinstance(name, str) and _plain(name) for name in names):
        raise ValueError(f"{folder / 'state.json'}: expected _data_files with the names of files beside it")
    missing = next((name for name in names if not (folder / str(name)).is_file()), None)
    if missing is not None:
        raise ValueError(f"{folder}: state.json names {missing}, which is not there")
    return [File(f"{prefix}{name}", str(folder / str(name))) for name in names]


def _plain(name: str) -> bool:
    """Whether it is the name of a file or folder, without a way out."""
    return bool(name) and name not in (".", "..") and "/" not in name and "\\" not in name


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: not there; expected a folder that save_to_disk wrote") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return content


def pick_splits(found: dict[str, list[File]], wanted: object, where: str) -> dict[str, list[File]]:
    """The splits that the card wants, all if it says nothing. Raises ValueError listing those that there are."""
    names = list(found) if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)  # type: ignore[call-overload]
    gone = next((name for name in names if name not in found), None)
    if gone is not None:
        raise ValueError(f"{where}: source.options.split: no split {gone!r}; there are {', '.join(found) or 'none'}")
    return {name: found[name] for name in names}
