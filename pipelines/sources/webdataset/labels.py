"""Which member of a WebDataset sample is its picture and which says its class: from the card, else from the first shard.

A label is written `cls`, `txt` or any other suffix (its text), or `json:FIELD` (a field of the member `json`; `a.b` goes one
deeper); the layout `folders` takes the folder of the key.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.cards import Source
from pipelines.sources.members import Refused
from pipelines.sources.usual_names import LABELS, usual
from pipelines.sources.webdataset.samples import Split, is_picture_suffix, members, read, summarise

FOLDERS = "/"  # stands for the layout `folders`; no suffix holds one
HEAD = 1000  # members that a guess looks at
KEYS = {"first_dot": False, "last_dot": True}


class Reading(NamedTuple):
    """How samples are read: where keys end, the picture's suffix (None: whichever member is one), and where the label is."""

    split: Split
    image: str | None
    label: str
    group: str | None = None  # json:FIELD or a suffix

    def wants(self, suffix: str) -> bool:
        """Whether a member with this suffix is read."""
        return (
            self.wants_label(suffix)
            or self.wants_group(suffix)
            or (is_picture_suffix(suffix) if self.image is None else suffix == self.image)
        )

    def wants_label(self, suffix: str) -> bool:
        """Whether a member with this suffix says the class."""
        return suffix == self.label.partition(":")[0]

    def wants_group(self, suffix: str) -> bool:
        """Whether a member with this suffix says the group."""
        return self.group is not None and suffix == self.group.partition(":")[0]

    def picture_of(self, sample: dict[str, bytes], where: str) -> bytes | None:
        """The sample's picture; None where it has none. Raises ValueError if there are several and none was named."""
        if self.image is not None:
            return sample.get(self.image)
        found = [suffix for suffix in sample if is_picture_suffix(suffix) and not self.wants_label(suffix)]
        if len(found) > 1:
            raise Refused(f"{where} holds several pictures ({', '.join(found[:5])}); name one in source.label.image_column")
        return sample[found[0]] if found else None

    def label_of(self, key: str, sample: dict[str, bytes], where: str) -> str | None:
        """The sample's class in words; None where it has none. Raises ValueError if it is not readable or no single value."""
        if self.label == FOLDERS:
            return key.rpartition("/")[0].rpartition("/")[2] or None
        return _said(self.label, sample, where, "name the label's member in source.label.column")

    def group_of(self, sample: dict[str, bytes], where: str) -> str | None:
        """The sample's group in words; None where it has none. Raises ValueError as `label_of`."""
        if self.group is None:
            return None
        return _said(self.group, sample, where, "name the group's member in source.label.group_column")


def _said(place: str, sample: dict[str, bytes], where: str, advice: str) -> str | None:
    """What the member or the field of `json` at this place says."""
    suffix, _, column = place.partition(":")
    data = sample.get(suffix)
    if data is None:
        return None
    if column:
        return text_of(field(fields(data, where), column), f"{where}: {column} of its {suffix}")
    try:
        return data.decode("utf-8-sig").strip() or None
    except UnicodeDecodeError:
        raise Refused(f"{where}: its {suffix} is no UTF-8 text; {advice}") from None


def reading_of(source: Source, shard: Path) -> tuple[Reading, list[str]]:
    """How to read the samples of a source whose first shard this is, and what was guessed, in words.

    Raises ValueError (one line) if nothing in the first samples says the class or which of several pictures is meant.
    """
    said: list[str] = []
    names = [name for name, _ in islice(members(shard), HEAD)]
    given = source.options.get("key")
    split = Split(KEYS[given]) if given else _split(names, said)
    samples = [suffixes for _, suffixes in groups(names, split)]
    if len(names) == HEAD:
        samples = samples[:-1] or samples  # the last may be cut
    label = FOLDERS if source.label.layout == "folders" else source.label.column
    image = source.label.image_column.lower() if source.label.image_column else _image(samples, label, shard, said)
    label = _lower(label) if label else _label(shard, split, names, said)
    group = source.label.group_column
    return Reading(split, image, label, _lower(group) if group else None), said


def groups(names: Sequence[str], split: Split) -> Iterator[tuple[str, list[str]]]:
    """Key and suffixes of the samples that these members make."""
    pairs = ((key, suffix) for key, suffix in (split(name) for name in names) if key is not None and suffix is not None)
    for key, found in groupby(pairs, key=lambda pair: pair[0]):
        yield key, [suffix for _, suffix in found]


def fields(data: bytes, where: str) -> dict[str, Any]:
    """A JSON object. Raises ValueError if it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(f"{where}: its json is not valid JSON") from None
    if not isinstance(found, dict):
        raise Refused(f"{where}: its json is no object with fields")
    return found


def field(found: dict[str, Any], name: str) -> Any:
    """The field of that name, else the one that its parts between dots lead to; None where there is none."""
    if name in found:
        return found[name]
    outer, dot, inner = name.partition(".")
    below = found.get(outer) if dot else None
    return field(below, inner) if isinstance(below, dict) else None


def text_of(value: Any, where: str) -> str | None:
    """A value in words; None for null, NaN and nothing but spaces. Raises ValueError if it is a list, an object or binary."""
    if isinstance(value, list | dict | bytes):
        kind = {list: "a list", dict: "an object"}.get(type(value), "binary")
        raise Refused(f"{where} is {kind}, expected one value")
    if value is None or value != value:
        return None
    return (json.dumps(value) if isinstance(value, bool) else str(value)).strip() or None


def _lower(label: str) -> str:
    suffix, colon, column = label.partition(":")
    return f"{suffix.lower()}{colon}{column}"


def _split(names: list[str], said: list[str]) -> Split:
    """At the first dot, unless that throws the pictures of many samples together and the last dot tells them apart."""
    many = any(sum(map(is_picture_suffix, found)) > 1 for _, found in groups(names, Split(False)))
    if many and all(sum(map(is_picture_suffix, found)) == 1 for _, found in list(groups(names, Split(True)))[:-1]):
        said.append(
            "keys end at the last dot of a name: up to the first dot, samples would share a key (options.key: last_dot)"
        )
        return Split(True)
    return Split(False)


def _image(samples: list[list[str]], label: str | None, shard: Path, said: list[str]) -> str | None:
    """The suffix to take where samples hold several pictures; None where each holds one at most."""
    found = [[suffix for suffix in suffixes if is_picture_suffix(suffix) and suffix != label] for suffixes in samples]
    kinds = sorted({suffix for suffixes in found for suffix in suffixes})
    if not kinds:
        raise Refused(f"{shard}: no picture in its first samples; name the suffix of the pictures in source.label.image_column")
    if all(len(suffixes) < 2 for suffixes in found):
        said.append(f"the picture is the member .{' or .'.join(kinds)}")
        return None
    everywhere = [
        suffix for suffix in ("jpg", "jpeg", "png", "webp", *kinds) if all(suffix in suffixes for suffixes in found if suffixes)
    ]
    if not everywhere:
        raise Refused(f"{shard}: samples hold several pictures ({', '.join(kinds)}); name one in source.label.image_column")
    said.append(f"samples hold several pictures ({', '.join(kinds)}); .{everywhere[0]} is taken")
    return everywhere[0]


def _label(shard: Path, split: Split, names: list[str], said: list[str]) -> str:
    """Where the label is: a name in `json` before a number, then `cls`, `txt`, the folder of the key."""
    there = {suffix for _, found in groups(names, split) for suffix in found}
    look_at = {"cls", "json"} & there or {"txt"} & there
    summarise(shard, split, look_at.__contains__)  # is all of it safe and small?
    samples = list(islice(read(shard, split, look_at.__contains__), HEAD // 2)) if look_at else []
    objects = [fields(sample["json"], f"{shard}: sample {key!r}") for key, sample in samples if "json" in sample]
    column = _column([sample.get("cls") for _, sample in samples], objects)
    if column is not None:
        said.append(
            f"the label is the field {column} of .json" + (", the name of the number in .cls" if "cls" in there else "")
        )
        return f"json:{column}"
    if "cls" in there:
        said.append("the label is the member .cls")
        return "cls"
    if "txt" in there:
        texts = [sample["txt"] for _, sample in samples if "txt" in sample]
        captions = len(texts) > 20 and len(set(texts)) > len(texts) / 2
        said.append("the label is the member .txt" + ("; most of them differ, as captions do" if captions else ""))
        return "txt"
    if any("/" in key for key, _ in groups(names, split)):
        said.append("the label is the folder of the sample's key")
        return FOLDERS
    raise Refused(f"{shard}: nothing in its first samples says the class; name cls, txt or json:FIELD in source.label.column")


def _column(numbers: list[bytes | None], objects: list[dict[str, Any]]) -> str | None:
    """The usual field of `json` that holds the label; beside `cls`, one that names its numbers one to one, or none."""
    usable = (
        [name for name in usual(objects[0], LABELS) if all(isinstance(found.get(name), str | int) for found in objects)]
        if objects
        else []
    )
    worded = [name for name in usable if all(isinstance(found[name], str) for found in objects)]
    if all(number is None for number in numbers):
        return next(iter(worded + usable), None)
    if len(objects) < len(numbers) or not all(number is not None and number.strip().isdigit() for number in numbers):
        return None
    for name in worded:
        pairs = {(number, found[name]) for number, found in zip(numbers, objects, strict=True)}
        if len(pairs) == len({number for number, _ in pairs}) == len({word for _, word in pairs}):
            return name
    return None
