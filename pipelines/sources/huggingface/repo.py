"""A data set of the Hugging Face hub: its id, the commit that is read, its files by split, and what its card says.

What the hub said of a commit is kept beside the files, so that another run needs no hub. No Python of a data set is run.
"""

import re
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple
from urllib.parse import quote

from pipelines.cards import Source
from pipelines.files import read_json, write_json
from pipelines.sources import Look
from pipelines.sources.huggingface.ask import COMMIT, ask, ask_commit
from pipelines.sources.huggingface.columns import choose
from pipelines.sources.huggingface.files import Blob, bring
from pipelines.sources.huggingface.plan import REMOTE, SUFFIXES, File, Plan, pick_splits
from pipelines.sources.huggingface.rows import features_of
from pipelines.transfer import Pin, Place
from pipelines.transfer.retry import persist

ID = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
ADDRESS = re.compile(r"(?:hf://datasets/|https://(?:huggingface\.co|hf\.co)/datasets/)(?P<id>[^?#@]+?)/?")


class Repo(NamedTuple):
    """A data set at the hub, or what is kept of it: `folder` below the downloads, `asked` the revision of the card."""

    id: str
    folder: Path
    asked: str | None

    @property
    def pin(self) -> str:
        """The key under which its commit is pinned."""
        return f"hub:{self.id}@{self.asked}" if self.asked else f"hub:{self.id}"


def repo_id(locator: str, folder: Path | None) -> str | None:
    """The id of a data set of the hub, None for anything else; what exists below `folder` is no id."""
    found = ADDRESS.fullmatch(locator)
    if found is not None:
        return found["id"] if ID.fullmatch(found["id"]) else None
    if folder is not None and (folder / locator).exists():
        return None
    return locator if ID.fullmatch(locator) and Path(locator).suffix.lower() not in SUFFIXES else None


def hub_plan(name: str, source: Source, place: Place) -> tuple[Plan, str]:
    """Plan and commit; the files are brought here unless they are to be streamed.

    Raises ValueError (one line) for what is not there, refused or needs a script; TransferError where another attempt may help.
    """
    repo = _repo(name, source, place)
    streaming = bool(source.options.get("streaming"))
    if streaming and place.rules.offline:
        raise ValueError(f"{repo.pin}: source.options.streaming needs the hub, but offline is asked for")
    commit = _commit(repo, place)
    said = _said(repo, commit, source.options.get("config"), place)
    chosen = _chosen(said, source, repo)
    if streaming:
        return _at(said, chosen, repo, _address(said, commit)), commit
    wanted = {file.name for files in chosen.values() for file in files}
    blobs = [Blob(path, size, digest) for path, size, digest in said["blobs"] if path in wanted]
    return _at(said, chosen, repo, str(bring(said["id"], repo.folder, commit, blobs, place))), commit


def hub_look(name: str, source: Source, place: Place) -> Look:
    """What the hub says of a data set: no picture is read. Raises as `hub_plan`."""
    repo = _repo(name, source, place)
    commit = _commit(repo, place)
    said = _said(repo, commit, source.options.get("config"), place)
    chosen = _chosen(said, source, repo)
    plan = _at(said, chosen, repo, _address(said, commit))
    features = features_of(plan, place)
    columns = choose(features, source.label, plan.where)
    label = source.label.model_copy(update={"image_column": columns.image, "column": columns.spec})
    splits = list(chosen) if len(chosen) > 1 else next(iter(chosen))
    options = {**source.options, "config": said["config"], "split": splits}
    names = getattr(columns.feature(features), "names", None)
    every = [split for split, _ in said["splits"]]
    lines = [
        f"config {said['config']!r}, splits {', '.join(chosen)} of {', '.join(every)}, stored as {said['module']}",
        f"pictures in column {columns.image!r}, classes in column {columns.spec!r}" + (f": {len(names)}" if names else ""),
        f"commit {commit}",
    ]
    counts = [said["records"].get(split) for split in chosen]
    wanted = {file.name for file in plan.files()}
    return Look(
        source.model_copy(update={"label": label, "options": options}),
        lines,
        records=None if None in counts else sum(counts),
        bytes=sum(size for path, size, _ in said["blobs"] if path in wanted),
        **said["card"],
    )


def _repo(name: str, source: Source, place: Place) -> Repo:
    if source.checksum is not None:
        raise ValueError("source.checksum: a data set of the hub is pinned by its commit; leave it out")
    if "format" in source.options:
        raise ValueError("source.options.format: for files alone; the hub says how a data set is stored")
    folder = place.downloads / "huggingface" / f"dataset--{name.replace('/', '--')}"
    return Repo(name, folder, source.options.get("revision"))


def _chosen(said: dict[str, Any], source: Source, repo: Repo) -> dict[str, list[File]]:
    """The splits that the card wants, with the files' paths in the repository."""
    found = {split: [File(path, path) for path in paths] for split, paths in said["splits"]}
    return pick_splits(found, source.options.get("split"), repo.pin)


def _address(said: dict[str, Any], commit: str) -> str:
    return f"{REMOTE}datasets/{said['id']}@{commit}"


def _at(said: dict[str, Any], chosen: dict[str, list[File]], repo: Repo, top: str) -> Plan:
    """The plan with each file where it lies."""
    splits = {split: [File(file.name, f"{top}/{file.name}") for file in files] for split, files in chosen.items()}
    root = top if said["module"] == "imagefolder" else ""
    return Plan(f"hub:{repo.id}", said["module"], splits, root, said["features"], said["params"], prefixed=True)


def _commit(repo: Repo, place: Place) -> str:
    """The commit to read: the pinned one, else what the hub (offline: the last run) says of the card's revision."""
    pinned = place.pinned.get(repo.pin)
    kept = repo.folder / "commits.json"
    known: dict[str, str] = read_json(kept) if kept.exists() else {}
    if pinned is not None and not (place.rules.update and not place.rules.offline):
        commit = pinned.sha256
        if not COMMIT.fullmatch(commit):
            raise ValueError(f"{repo.pin}: pinned to {commit!r}; expected a commit of 40 digits")
    elif place.rules.offline:
        if (repo.asked or "main") not in known:
            raise ValueError(f"{repo.pin}: not here, and offline is asked for; run once without it")
        commit = known[repo.asked or "main"]
    else:
        commit = persist(lambda: ask_commit(repo.id, repo.asked, repo.pin), place, Event(), lambda: 0, repo.pin)
        repo.folder.mkdir(parents=True, exist_ok=True)
        write_json(kept, known | {repo.asked or "main": commit})
    place.came[repo.pin] = Pin(0, commit)
    return commit


def _said(repo: Repo, commit: str, config: str | None, place: Place) -> dict[str, Any]:
    """What the hub says of a config at a commit: kept, or asked."""
    path = repo.folder / "said" / f"{commit}-{quote(config or '', safe='')}.json"
    if not path.exists():
        if place.rules.offline:
            which = f"config {config}" if config else "the default config"
            raise ValueError(f"{repo.pin}: {which} is not here, but offline is asked for; run once without it")
        said = persist(lambda: ask(repo.id, commit, config, repo.asked, repo.pin, place), place, Event(), lambda: 0, repo.pin)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, said)
    content: dict[str, Any] = read_json(path)
    return content
