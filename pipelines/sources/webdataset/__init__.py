"""Source kind `webdataset`: tar shards of samples, `<key>.jpg` beside `<key>.cls`, `<key>.txt` or `<key>.json`.

The locator names one shard, a brace pattern or a local glob. Shards are brought here whole, their headers are looked through,
and package webdataset reads them without decoding anything. Order: shards as the pattern has them, samples as packed. source_id
is `<shard>/<key>`; where a shard holds a key again it gets `#2`, `#3` and so on. `options.key` says where in a file's name the
key ends: at the `first_dot`, as webdataset has it, or at the `last_dot`.
"""

from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.cards import Source
from pipelines.files import joint_checksum
from pipelines.sources import Fault, Look, RawRecord
from pipelines.sources.members import clean_text
from pipelines.sources.reading import SourceIds
from pipelines.sources.webdataset.labels import FOLDERS, KEYS, Reading, reading_of
from pipelines.sources.webdataset.samples import Summary, read, samples, summarise
from pipelines.sources.webdataset.shards import check_shards, find, shard_names
from pipelines.transfer import Place
from pipelines.transfer.fetch import fetch, fetch_all
from pipelines.transfer.locators import shown


class Shard(NamedTuple):
    """One shard: its name in source_ids, its locator, its file here."""

    name: str
    locator: str
    path: Path


def check(source: Source) -> None:
    """Raise ValueError if the card asks for what shards cannot do."""
    check_shards(source.locator)
    others = sorted(set(map(str, source.options)) - {"key"})
    if others:
        raise ValueError(f"source.options: webdataset takes key alone, found {', '.join(others)}")
    if source.options.get("key", "first_dot") not in KEYS:
        raise ValueError(f"source.options.key: expected {' or '.join(KEYS)}, found {source.options['key']!r}")
    label = source.label
    if label.table is not None or label.layout not in (None, "folders"):
        raise ValueError("source.label: webdataset takes image_column, column, group_column and the layout folders alone")
    if label.layout == "folders" and label.column is not None:
        raise ValueError("source.label: the layout folders and a column exclude one another")
    for name, value in (("column", label.column), ("group_column", label.group_column)):
        if value is not None and value.partition(":")[1] and not value.lower().startswith("json:"):
            raise ValueError(f"source.label.{name}: expected cls, txt, another suffix or json:FIELD, found {value!r}")


def records(source: Source, place: Place) -> Generator[RawRecord, None, dict[str, object]]:
    """Yield the samples lazily; return `checksum` and `passed_over`, the samples without a class and what belongs to no sample.

    A sample with a class but without a picture becomes a record with a fault. The checksum of several shards is the SHA-256 of
    their lines `<sha256>  <name>`. Raises ValueError (one line: shard, sample, what to do) for what is missing, cut, unsafe or
    ambiguous; TransferError as `transfer.fetch`.
    """
    shards = _shards(source, place)
    checksum = _checksum(source, shards, place)
    reading, _ = reading_of(source, shards[0].path)
    passed_over = given = 0
    for shard in shards:
        summary = summarise(shard.path, reading.split, reading.wants)
        passed_over += summary.loose + summary.samples - summary.wanted
        for record in _of_shard(shard, reading, summary):
            given += record is not None
            passed_over += record is None
            if record is not None:
                yield record
    if not given:
        raise ValueError(f"{shown(source.locator)}: no sample with a class; check source.label of the card")
    return {"checksum": checksum, "passed_over": passed_over}


def look(source: Source, place: Place) -> Look:
    """Look at the first shard: its headers and the labels of its first samples, or of all where there is no other shard."""
    locators = find(source.locator, place)
    first = Shard(shard_names(locators)[0], locators[0], fetch(locators[0], place))
    reading, said = reading_of(source, first.path)
    summary = summarise(first.path, reading.split, reading.wants)
    folders = reading.label == FOLDERS
    label = source.label.model_copy(
        update={
            "image_column": reading.image,
            "column": None if folders else reading.label,
            "layout": "folders" if folders else None,
        }
    )
    options = source.options | ({"key": "last_dot"} if reading.split.last_dot else {})
    settled = source.model_copy(update={"label": label, "options": options})
    if len(locators) > 1:
        said.append(f"{len(locators)} shards; {first.name}, the first, holds {summary.samples} samples")
        return Look(settled, said)
    classes = Counter(found for found in _labels(first, reading) if found is not None)
    return Look(settled, said, dict(sorted(classes.items())), classes.total(), summary.bytes)


def _shards(source: Source, place: Place) -> list[Shard]:
    locators = find(source.locator, place)
    paths = fetch_all(locators, place) if len(locators) > 1 else [fetch(locators[0], place, source.checksum)]
    return [Shard(*each) for each in zip(shard_names(locators), locators, paths, strict=True)]


def _checksum(source: Source, shards: list[Shard], place: Place) -> str:
    """`sha256:` of what came. Raises ValueError if the card says another."""
    found = joint_checksum([(shard.name, place.came[shown(shard.locator)].sha256) for shard in shards])
    if source.checksum not in (None, found):
        raise ValueError(
            f"{shown(source.locator)}: expected {source.checksum}, found {found}; if the source was changed on purpose, write "
            f"the new checksum into the card, else get the shards again (delete them if they are downloads)"
        )
    return found


def _of_shard(shard: Shard, reading: Reading, summary: Summary) -> Iterator[RawRecord | None]:
    """The record of each sample; None for one without a class."""
    names = SourceIds()
    count = 0
    for key, sample in read(shard.path, reading.split, reading.wants):
        count += 1
        where = f"{shard.path}: sample {key!r}"
        source_id = names.give(f"{shard.name}/{clean_text(key)}")
        label = reading.label_of(key, sample, where)
        if label is None:
            yield None
            continue
        picture = reading.picture_of(sample, where)
        fault = Fault(f"the sample holds no member {reading.image or 'that is a picture'}") if picture is None else None
        yield RawRecord(source_id, label, picture or b"", fault=fault, group=reading.group_of(sample, where))
    if count != summary.wanted:
        raise ValueError(f"{shard.path}: gave {count} of the {summary.wanted} samples that its headers name; get it again")


def _labels(shard: Shard, reading: Reading) -> Iterator[str | None]:
    if reading.label == FOLDERS:
        wanted = (key for key, sizes in samples(shard.path, reading.split) if any(map(reading.wants, sizes)))
        yield from (reading.label_of(key, {}, str(shard.path)) for key in wanted)
        return
    for key, sample in read(shard.path, reading.split, reading.wants_label):
        yield reading.label_of(key, sample, f"{shard.path}: sample {key!r}")
