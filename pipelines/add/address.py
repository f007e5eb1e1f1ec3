"""What `add` is given as SOURCE: a path, a pattern, a URL, a data set of the hub or of OpenML, and how a card names it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from pipelines.sources.webdataset.shards import GROUP, SPAN, expand
from pipelines.transfer.locators import check_locator, scheme_of, shown

HUB_ID = r"(?P<id>[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)"
HUB = re.compile(rf"(?:hf:(?://datasets/)?|https?://(?:www\.)?huggingface\.co/datasets/){HUB_ID}(?:/tree/main|/viewer.*)?/?")
OPENML = re.compile(
    r"(?:openml:|https?://(?:www\.|new\.)?openml\.org/(?:d/|search\?(?:[^#]*&)?id=))(?P<id>\d+)(?:[&#].*)?", re.IGNORECASE
)
FILES = re.compile(r"\.(?:zip|tar|tgz|gz|bz2|xz|zst|parquet|arrow|csv|tsv|jsonl|ndjson|json|txt|jpe?g|png)$", re.IGNORECASE)
EXPECTED = (
    "a folder, an archive, a pattern of shards, a table, a URL, a hub id (user/name, hf:NAME) or an OpenML id (openml:44241)"
)


class Address(NamedTuple):
    """`locator` as a card has it; `path` is what it names on this machine, if it does: a file, a folder, a pattern's first."""

    form: Literal["path", "pattern", "url", "hub", "openml"]
    locator: str
    path: Path | None = None


def address_of(text: str, folder: Path, kind: str | None = None) -> Address:
    """What `text` names; `folder` is where cards' relative locators start, `kind` what the user says it is, if he does.

    A path starts at the working folder or, where nothing is there, at `folder`. Raises ValueError (one line) if it names
    nothing, holds a secret, or could be two things.
    """
    if not text.strip():
        raise ValueError(f"SOURCE: is empty; expected {EXPECTED}")
    hub, openml = HUB.fullmatch(text), OPENML.fullmatch(text)
    found = openml or hub
    if found:
        return Address("openml", found["id"]) if openml else _hub(found["id"], folder)
    path = _existing(Path(_of_file_url(text)).expanduser(), folder)
    if path is not None:
        if text.isdecimal() and kind in (None, "openml"):
            raise ValueError(f"{text}: is a path here and could be an id of OpenML; say ./{text} or openml:{text}")
        return Address("path", locator_of(path, folder), path)
    if scheme_of(text) and scheme_of(text) != "file":
        for one in expand(text):
            check_locator(one)
        return Address("pattern" if _is_pattern(text) else "url", text)
    if any(sign in text for sign in "*?[") or _is_pattern(text):
        return _pattern(Path(text).expanduser(), folder)
    if text.isdecimal():
        return Address("openml", text)
    if _may_be_hub(text, folder, kind):
        return _hub(text, folder)
    raise ValueError(f"{shown(text) or 'SOURCE'}: no such file or folder; expected {EXPECTED}")


def locator_of(path: Path, folder: Path) -> str:
    """How a card names a path: relative to `folder` where it lies below it, else absolute."""
    for here, top in ((_absolute(path), _absolute(folder)), (path.resolve(), folder.resolve())):
        if here.is_relative_to(top):
            inside = here.relative_to(top).as_posix()
            return f"./{inside}" if scheme_of(inside) else inside
    return str(_absolute(path))


def shards_locator(files: Sequence[Path], folder: Path) -> str:
    """One locator for several files: a span of numbers where they follow one another, else their names in braces."""
    names = [locator_of(path, folder) for path in files]
    if len(names) == 1:
        return names[0]
    start = re.sub(r"\d+$", "", os.path.commonprefix(names))  # noqa: RUF071 (characters are what is meant)
    rests = [name[len(start) :] for name in names]
    end = os.path.commonprefix([rest[::-1] for rest in rests])[::-1].lstrip("0123456789")  # noqa: RUF071
    middles = [rest[: len(rest) - len(end)] for rest in rests]
    for group in (f"{middles[0]}..{middles[-1]}", ",".join(middles)):
        made = f"{start}{{{group}}}{end}"
        if _stands_for(made, names):
            return made
    raise ValueError(f"{files[0].parent}: the shards' names hold braces or commas; give a pattern that fits them")


def _stands_for(pattern: str, names: list[str]) -> bool:
    try:
        return list(expand(pattern)) == names
    except ValueError:  # braces that do not pair
        return False


def _hub(name: str, folder: Path) -> Address:
    return Address("hub", f"hf://datasets/{name}" if _existing(Path(name), folder) else name)  # else it would mean that path


def _pattern(typed: Path, folder: Path) -> Address:
    """A local pattern: as the card can have it, which is below `folder` or written out."""
    for top in (Path(), folder):
        files = [path for one in expand(str(typed)) for path in _glob(top, one)]
        if not files:
            continue
        globs = any(sign in str(typed) for sign in "*?[")
        inside = locator_of(top / typed, folder)
        if globs and (Path(inside).is_absolute() or ".." in typed.parts or "**" in str(typed)):
            inside = shards_locator(files, folder)
        return Address("pattern", inside, files[0])
    raise ValueError(f"{typed}: no file fits this pattern")


def _glob(top: Path, pattern: str) -> list[Path]:
    whole = top / pattern
    if not any(sign in pattern for sign in "*?["):
        return [whole] if whole.is_file() else []
    anchor = Path(whole.anchor) if whole.is_absolute() else Path()
    return sorted(path for path in anchor.glob(str(whole.relative_to(anchor))) if path.is_file())


def _is_pattern(text: str) -> bool:
    return any("," in group or SPAN.fullmatch(group) for group in GROUP.findall(text))


def _existing(path: Path, folder: Path) -> Path | None:
    try:
        return next((here for here in (path, folder / path) if here.exists()), None)
    except (OSError, ValueError):  # a name that is too long or holds a NUL
        return None


def _may_be_hub(text: str, folder: Path, kind: str | None) -> bool:
    if not re.fullmatch(HUB_ID, text) or FILES.search(text):
        return False
    owner, slash, _ = text.partition("/")
    return kind == "huggingface" or (bool(slash) and _existing(Path(owner), folder) is None)


def _of_file_url(text: str) -> str:
    return unquote(urlsplit(text).path) if scheme_of(text) == "file" else text


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (`..` goes, links stay: a link is what its owner means)
