"""The samples of one WebDataset shard: headers first, then the members that are wanted, read by package webdataset.

A sample is the members that follow one another under one key; the rest of the name is the suffix, in lower case. Members whose
name starts with a dot, has no suffix, or belongs to no sample (`__meta__`) are loose. Nothing is decoded or unpacked to disk.
"""

import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from pipelines.sources.members import Bounds, Refused, check_count, is_picture, one_line, safe_name
from pipelines.sources.tars import Forward, is_tar
from pipelines.sources.unpacking import open_packed, packing_of

BOUNDS = Bounds(members=2_000_000)
TEXT_BYTES = 64 << 10  # of a member that holds a label
JSON_BYTES = 16 << 20
PICTURES_BYTES = 256 << 20  # of one sample


class Member(NamedTuple):
    """One file of a shard, from its header."""

    name: str
    size: int


class Split(NamedTuple):
    """Where a member's name ends being the key: at the first dot of its file, as webdataset has it, or at the last."""

    last_dot: bool = False

    def __call__(self, name: str) -> tuple[str, str] | tuple[None, None]:
        """Key and suffix; (None, None) where the member is loose."""
        folder, slash, file = name.removeprefix("./").rpartition("/")
        stem, _, suffix = file.rpartition(".") if self.last_dot else file.partition(".")
        if not stem or stem.startswith(".") or not suffix or re.match(r"__[^/]*__(?:$|/)", name) or "__MACOSX" in folder:
            return None, None
        return f"{folder}{slash}{stem}", suffix.lower()


@dataclass
class Summary:
    """What the headers of a shard tell. `bytes` are of the wanted members that are pictures."""

    samples: int = 0
    wanted: int = 0  # samples with a wanted member
    loose: int = 0
    bytes: int = 0


def members(path: Path, bounds: Bounds = BOUNDS) -> Iterator[Member]:
    """Each file of a shard, from the headers alone.

    Raises ValueError (one line: shard, member) if it is no tar, cut, a bomb, or holds a link, a device or a name that
    would leave its folder.
    """
    with one_line(path), closing(_open(path, bounds)) as stream:
        archive = tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:")  # noqa: SIM115 (closing it would close the stream)
        count = 0
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps all that it saw
            name = safe_name(info.name, path)
            if info.isdir():
                continue
            if not info.isreg() or info.issparse():
                raise Refused(f"{path}: member {name!r} is a link, a device or sparse; refusing the shard")
            count += 1
            check_count(count, path, bounds)
            yield Member(info.name, info.size)
        if stream.last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end mark")
        while rest := stream.take(1 << 20):
            if rest.strip(b"\0"):
                raise Refused(
                    f"{path}: goes on behind its end mark, as tars joined by `cat` do; join them by `tar --concatenate`"
                )


def summarise(path: Path, split: Split, wants: Callable[[str], bool], bounds: Bounds = BOUNDS) -> Summary:
    """Look through all headers of a shard; `wants` tells the suffixes that will be read.

    Raises ValueError as `members`, and if a sample is too large, torn apart, or holds a member twice.
    """
    found = Summary()
    before: dict[str, frozenset[str]] = {}
    kinds: dict[frozenset[str], frozenset[str]] = {}  # samples are much alike: one set for all that are equal
    for key, sizes in samples(path, split, found, bounds):
        suffixes = frozenset(sizes)
        if suffixes.isdisjoint(before.get(key, suffixes)):
            raise Refused(f"{path}: the members of sample {key!r} do not follow one another; write the shard sorted by name")
        before[key] = kinds.setdefault(suffixes, suffixes)
        wanted = {suffix: size for suffix, size in sizes.items() if wants(suffix)}
        for suffix, size in wanted.items():
            if size > (limit := _limit(suffix, bounds)):
                raise Refused(f"{path}: sample {key!r}: {suffix} holds {size} bytes, more than the limit of {limit}; refusing")
        if sum(wanted.values()) > PICTURES_BYTES:
            raise Refused(f"{path}: sample {key!r} holds {len(wanted)} large members; name one in source.label.image_column")
        found.samples += 1
        found.wanted += bool(wanted)
        found.bytes += sum(size for suffix, size in wanted.items() if is_picture_suffix(suffix))
    return found


def samples(
    path: Path, split: Split, found: Summary | None = None, bounds: Bounds = BOUNDS
) -> Iterator[tuple[str, dict[str, int]]]:
    """Key and sizes by suffix of each sample, from the headers; counts loose members into `found`. Raises as `members`."""
    found = found or Summary()
    current: str | None = None
    sizes: dict[str, int] = {}
    for name, size in members(path, bounds):
        key, suffix = split(name)
        if key is None or suffix is None:
            found.loose += 1
            continue
        if key != current:
            if current is not None:
                yield current, sizes
            current, sizes = key, {}
        if suffix in sizes:
            raise Refused(f"{path}: sample {key!r} holds two members {suffix!r}; give each sample a key of its own")
        sizes[suffix] = size
    if current is not None:
        yield current, sizes


def read(
    path: Path, split: Split, wants: Callable[[str], bool], bounds: Bounds = BOUNDS
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and wanted members (by suffix) of each sample that has one, in the order of the shard, one in memory at a time.

    To be called once `summarise` has looked through the same shard. Raises ValueError (one line) for damage to content.
    """
    from webdataset import DataPipeline, reraise_exception  # brings torch: 2.6 s
    from webdataset.tariterators import group_by_keys, tar_file_expander

    def wanted(name: str) -> bool:
        suffix = split(name)[1]
        return suffix is not None and wants(suffix)

    # opened here: webdataset's own opener takes names for commands and URLs, and rewrites them as the environment says
    with closing(_open(path, bounds)) as stream, one_line(path):
        pipeline = DataPipeline(
            lambda: iter([{"url": path.name, "stream": Blocks(stream)}]),
            lambda source: tar_file_expander(source, handler=reraise_exception, select_files=wanted),
            lambda files: group_by_keys(files, keys=split, handler=reraise_exception),
        )
        for sample in cast(Iterator[dict[str, Any]], iter(pipeline)):
            yield sample["__key__"], {suffix: data for suffix, data in sample.items() if isinstance(data, bytes)}


class Blocks:
    """What webdataset may do with a shard: read on."""

    def __init__(self, stream: Forward) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        return self._stream.take(size)


def is_picture_suffix(suffix: str) -> bool:
    """Whether a member with this suffix (`jpg`, `left.png`) holds a picture."""
    return is_picture(f"x.{suffix}")


def _limit(suffix: str, bounds: Bounds) -> int:
    if is_picture_suffix(suffix):
        return bounds.picture_bytes
    return JSON_BYTES if suffix.endswith("json") else TEXT_BYTES


def _open(path: Path, bounds: Bounds) -> Forward:
    with path.open("rb") as handle:
        head = handle.read(512)
    packing = packing_of(head)
    if packing is not None:
        return Forward(open_packed(path, packing), path, bounds.unpacked(path.stat().st_size), bounds, can_seek=False)
    if not head or not is_tar(head):
        raise Refused(f"{path}: expected a tar shard, plain or packed; get it again or mend source.locator")
    return Forward(path.open("rb"), path, bounds.total_bytes, bounds, can_seek=True)
