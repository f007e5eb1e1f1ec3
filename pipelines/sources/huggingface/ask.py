"""What the hub is asked: the commit of a revision, and at a commit the files by split, their digests, and the card."""

import dataclasses
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from pipelines.secrets import clean, redact
from pipelines.sources.huggingface.library import hub_errors, library
from pipelines.sources.huggingface.plan import REMOTE
from pipelines.transfer import Place

COMMIT = re.compile(r"[0-9a-f]{40}")
WITH_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
CONVERTED = "refs/convert/parquet"  # the branch on which the hub keeps its conversion
MODULES = ("parquet", "arrow", "imagefolder", "webdataset")
AT_ONCE = 500  # paths in one question
TIMEOUT = 60  # s
OF_ITS_OWN = ("name", "version", "data_dir", "data_files", "description", "features")  # of a config, beside its parameters
_moved = Lock()


def ask_commit(name: str, revision: str | None, where: str) -> str:
    """The commit of a revision. Raises ValueError, listing those that there are, if there is none; else as `hub_errors`."""
    library()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    with hub_errors(where):
        try:
            found = str(HfApi().dataset_info(name, revision=revision, timeout=TIMEOUT).sha)
        except RevisionNotFoundError:
            refs = HfApi().list_repo_refs(name, repo_type="dataset")
            names = ", ".join(ref.name for ref in [*refs.branches, *refs.tags])
            raise ValueError(f"{where}: source.options.revision: no such revision; there are {names or 'none'}") from None
    if not COMMIT.fullmatch(found):
        raise ValueError(f"{where}: the hub names no commit of 40 digits, found {found!r}")
    return found


def ask(name: str, commit: str, config: str | None, asked: str | None, where: str, place: Place) -> dict[str, Any]:
    """What the hub says of a config at a commit, as JSON: id, config, module, params, features, splits, records, blobs, card.

    `asked` is the card's revision: the hub's own conversion to Parquet holds no card, but a folder a config.
    Raises ValueError (one line) if there is no such config (listing those that there are) or its files are of no use here.
    """
    about = _about(name, commit, where)
    name = str(about.id)  # with its owner, which old ids lack
    folder = config if asked == CONVERTED else None
    builder = _builder(name, commit, None if folder else config, folder, where, place)
    module = builder.name
    if module not in MODULES:
        raise ValueError(f"{where}: stored as {module}, which holds no pictures; expected {', '.join(MODULES)}")
    prefix = f"{REMOTE}datasets/{name}@{commit}/"
    found = builder.config.data_files.items()
    splits = [(str(split), [_path(file, prefix, where) for file in files]) for split, files in found]
    paths = sorted({path for _, every in splits for path in every})
    folders = sorted({path.partition("/")[0] for path in paths})
    if asked == CONVERTED and len(folders) > 1:
        raise ValueError(f"{where}: source.options.config: name one of {', '.join(folders)}")
    info = builder.info
    return {
        "id": name,
        "config": folder or builder.config.name,
        "module": module,
        "params": _params(builder.config, where),
        "features": None if info.features is None else info.features.to_dict(),
        "splits": splits,  # pairs: the order of a JSON object is lost
        "records": {str(split): found.num_examples or None for split, found in (info.splits or {}).items()},
        "blobs": _blobs(name, commit, paths, where),
        "card": _card(about, info),
    }


def _builder(name: str, commit: str, config: str | None, folder: str | None, where: str, place: Place) -> Any:
    datasets = library()
    with hub_errors(where), _cache_of_its_own(place) as cache:
        try:
            return datasets.load_dataset_builder(
                f"{REMOTE}datasets/{name}",
                config,
                data_dir=folder,
                revision=commit,
                cache_dir=cache,
                download_config=datasets.DownloadConfig(cache_dir=cache, disable_tqdm=True),
            )
        except ValueError as error:  # of configs; the library's words list those that there are
            raise ValueError(f"{where}: source.options.config: {clean(error)[:500]}") from None


@contextmanager
def _cache_of_its_own(place: Place) -> Iterator[str]:
    """A folder for what the library downloads to find the files out, gone afterwards: it would go to the user's home."""
    from huggingface_hub import constants

    top = place.downloads / "huggingface"
    top.mkdir(parents=True, exist_ok=True)
    with _moved, tempfile.TemporaryDirectory(prefix="asked-", dir=top) as folder:
        before, constants.HF_HUB_CACHE = constants.HF_HUB_CACHE, str(Path(folder) / "hub")
        try:
            yield folder
        finally:
            constants.HF_HUB_CACHE = before


def _path(address: str, prefix: str, where: str) -> str:
    path = address.removeprefix(prefix)
    parts = PurePosixPath(path).parts
    if not address.startswith(prefix) or not parts or ".." in parts or parts[0] == "/" or "\0" in path:
        raise ValueError(f"{where}: names a file outside the data set ({redact(address)!r}); refusing")
    return path


def _params(config: Any, where: str) -> dict[str, Any]:
    """The parameters that the data set's card gives its module."""
    found = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in OF_ITS_OWN or value is None or value == field.default:
            continue
        if not isinstance(value, (bool, int, float, str, list)):
            raise ValueError(f"{where}: its card sets {field.name} in a way that is not understood here")
        found[field.name] = value
    return found


def _blobs(name: str, commit: str, paths: list[str], where: str) -> list[tuple[str, int, str]]:
    """Path, bytes and digest of each file."""
    from huggingface_hub import HfApi, RepoFile

    found: list[tuple[str, int, str]] = []
    for start in range(0, len(paths), AT_ONCE):
        with hub_errors(where):
            answers = HfApi().get_paths_info(name, paths[start : start + AT_ONCE], revision=commit, repo_type="dataset")
        found += [(a.path, a.size, a.lfs.sha256 if a.lfs else a.blob_id) for a in answers if isinstance(a, RepoFile)]
    if sorted(path for path, _, _ in found) != paths or not all(DIGEST.fullmatch(digest) for _, _, digest in found):
        raise ValueError(f"{where}: the hub does not know all files that it lists at commit {commit}")
    return sorted(found)


def _about(name: str, commit: str, where: str) -> Any:
    library()
    from huggingface_hub import HfApi

    with hub_errors(where):
        about = HfApi().dataset_info(name, revision=commit, timeout=TIMEOUT)
    if not WITH_OWNER.fullmatch(about.id):
        raise ValueError(f"{where}: expected an id of the form owner/name, found {about.id[:200]!r}")
    return about


def _card(found: Any, info: Any) -> dict[str, str | None]:
    """What the data set says of itself."""
    from huggingface_hub import constants

    data: Any = found.card_data
    card = data.to_dict() if data is not None else {}
    licence = card.get("license")
    if isinstance(licence, list):
        licence = licence[0] if len(licence) == 1 else ", ".join(map(str, licence))
    return {
        "title": _text(card.get("pretty_name")),
        "description": _text(info.description) or _text(found.description),
        "licence": _text(licence) or _text(card.get("license_name")) or _text(info.license),
        "citation": _text(info.citation) or _text(found.citation),
        "homepage": _text(info.homepage) or f"{constants.ENDPOINT}/datasets/{found.id}",
    }


def _text(value: object) -> str | None:
    return str(value).strip() or None if isinstance(value, (str, list)) and value else None
