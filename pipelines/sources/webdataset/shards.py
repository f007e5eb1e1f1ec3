"""Which shards a locator names: one tar, a brace pattern (`train-{000000..000009}.tar`, `{train,test}.tar`) or a local glob."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.transfer import Place
from pipelines.transfer.locators import check_locator, scheme_of, shown

MAX_SHARDS = 100_000
GROUP = re.compile(r"(?<!\$)\{([^{}]*)\}")  # `${NAME}` stands for a secret
SPAN = re.compile(r"(\d{1,12})\.\.(\d{1,12})")


def check_shards(locator: str) -> None:
    """Raise ValueError if the locator is a command, a malformed pattern, or one of more than MAX_SHARDS shards."""
    for one in expand(locator):
        if re.match(r"\s*pipe:", one, re.IGNORECASE):
            raise ValueError("source.locator: a `pipe:` locator runs a command and is never read; name the shards themselves")
        check_locator(one)


def find(locator: str, place: Place) -> list[str]:
    """The locators of the shards, in the pattern's order, a glob's by name.

    Raises ValueError if none fits or one comes twice.
    """
    local = not scheme_of(locator)
    if local and (place.folder / locator).exists():
        return [locator]
    found = [shard for one in expand(locator) for shard in (_globbed(one, place) if local else [one])]
    twice = next((shard for shard, times in Counter(found).items() if times > 1), None)
    if twice is not None:
        raise ValueError(f"source.locator: {shown(locator)!r} names the shard {shown(twice)!r} twice")
    return found


def expand(locator: str) -> Iterator[str]:
    """The locators that a brace pattern stands for, the last group running fastest."""
    pieces = GROUP.split(locator)  # text, group, text, group, ..., text
    choices = [_choices(piece) if at % 2 else [piece] for at, piece in enumerate(pieces)]
    if any(sign in piece for piece in pieces[::2] for sign in re.sub(r"\$\{\w*\}", "", piece) if sign in "{}"):
        raise ValueError(f"source.locator: braces that are nested or do not pair, found {shown(locator)!r}")
    total = 1
    for choice in choices:
        total *= len(choice)
    if total > MAX_SHARDS:
        raise ValueError(f"source.locator: {shown(locator)!r} names {total} shards, more than {MAX_SHARDS}")
    return ("".join(parts) for parts in product(*choices))


def shard_names(locators: list[str]) -> list[str]:
    """A short name for each shard, no two equal: its file's without `.tar`, and its number where those are not enough."""
    names = [_stem(locator) for locator in locators]
    if len(set(names)) < len(names):
        return [f"{number:06d}-{name}" for number, name in enumerate(names)]
    return names


def _choices(group: str) -> list[str]:
    span = SPAN.fullmatch(group)
    if span is None:
        return group.split(",") if "," in group else [f"{{{group}}}"]  # as a shell leaves it
    low, high = int(span[1]), int(span[2])
    step = 1 if low <= high else -1
    if abs(high - low) >= MAX_SHARDS:
        raise ValueError(f"source.locator: {{{group}}} names {abs(high - low) + 1} shards, more than {MAX_SHARDS}")
    padded = any(len(end) > 1 and end.startswith("0") for end in span.groups())
    width = max(map(len, span.groups())) if padded else 0
    return [str(number).zfill(width) for number in range(low, high + step, step)]


def _globbed(locator: str, place: Place) -> list[str]:
    if not any(sign in locator for sign in "*?[") or (place.folder / locator).exists():
        return [locator]
    if Path(locator).is_absolute():
        raise ValueError(f"source.locator: a glob must be relative to sources_folder, found {locator!r}")
    if ".." in Path(locator).parts or "**" in locator:
        raise ValueError(
            f"source.locator: a glob stays below sources_folder and names its folders one by one, found {locator!r}"
        )
    found = sorted(path.relative_to(place.folder).as_posix() for path in place.folder.glob(locator) if path.is_file())
    if not found:
        raise ValueError(f"source.locator: no file fits {locator!r} in {place.folder}")
    return [f"./{name}" if scheme_of(name) else name for name in found]


def _stem(locator: str) -> str:
    path = urlsplit(shown(locator)).path if scheme_of(locator) else locator
    return re.sub(r"\.(?:tar(?:\.gz)?|tgz)$", "", path.rstrip("/").rpartition("/")[2], flags=re.IGNORECASE) or "shard"
