"""Planted dirt: which clean records are copied, spoilt or stored oddly, drawn from the seed before any picture is.

The plan is a list of entries; `realise` turns one into a raw record. Each original is used once, and copies are numbered on in
their class, so a name gives nothing away. The first picture of every class is never touched: other domains leak those.
"""

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from pipelines.sources import Planted, RawRecord
from pipelines.sources.generated import spoil
from pipelines.sources.generated.domain import Domain, Pixels, encode, extension, picture, source_id

AMOUNTS = {"exact_copy": 6, "near_resized": 4, "near_mirrored": 4, "near_reencoded": 4, "conflict_copy": 4, "odd_mode": 8}
FILES_UNREADABLE = 5
RARE_IMAGES = 3
LEAKS = 6
PLAN_TAG, SPOIL_TAG = 90_001, 90_002
COPIES = ("exact_copy", "near_resized", "near_mirrored", "near_reencoded", "conflict_copy")
KINDS = (*COPIES, "odd_mode", "unreadable", "rare_class", "leak")


class Entry(NamedTuple):
    """One record to be: the picture (class, index) shown, under which class it is filed and as which number."""

    kind: str  # clean or one of KINDS
    shown: tuple[int, int]
    filed: tuple[int, int]
    turn: int = 0  # the how-manieth of its kind; picks among its ways


def plan(domain: Domain, seed: int, classes: int, images: int, leaks_from: Domain | None) -> list[Entry]:
    """Every record of the domain, clean and planted, in the order in which they come.

    At most half of the records that may be touched are, so small domains get less dirt; of each kind in turn.
    """
    rng = np.random.default_rng([seed, domain.tag, PLAN_TAG])
    originals = [(c, i) for c in range(classes) for i in range(1, images)]
    rng.shuffle(originals)
    rounds = zip_longest(*([kind] * amount for kind, amount in AMOUNTS.items()))
    kinds = [kind for turn in rounds for kind in turn if kind]
    uses = dict(zip(originals[: max(1, len(originals) // 2)], kinds, strict=False))

    entries = [Entry("clean", (c, i), (c, i)) for c in range(classes) for i in range(images) if uses.get((c, i)) != "odd_mode"]
    spare = [images] * classes  # the next free number of each class
    turns = dict.fromkeys(KINDS, 0)

    def add(kind: str, shown: tuple[int, int], label: int) -> None:
        entries.append(Entry(kind, shown, (label, spare[label]), turns[kind]))
        spare[label] += 1
        turns[kind] += 1

    for (c, i), kind in uses.items():
        if kind == "odd_mode":
            entries.append(Entry(kind, (c, i), (c, i), turns[kind]))
            turns[kind] += 1
        else:
            add(kind, (c, i), _other(rng, c, classes) if kind == "conflict_copy" else c)
    for _ in range(FILES_UNREADABLE):
        label = int(rng.integers(classes))
        add("unreadable", (label, spare[label]), label)
    rare = len(domain.classes) - 1
    entries += [Entry("rare_class", (rare, i), (rare, i), i) for i in range(RARE_IMAGES)]
    if leaks_from is not None:
        for c in islice(rng.permutation(len(leaks_from.classes) - 1).tolist(), LEAKS):
            add("leak", (c, 0), int(rng.integers(classes)))
    return [entries[place] for place in rng.permutation(len(entries))]


def _other(rng: Generator, position: int, classes: int) -> int:
    return int((position + rng.integers(1, classes)) % classes)


def realise(domain: Domain, seed: int, entries: list[Entry], leaks_from: Domain | None) -> Iterator[RawRecord]:
    """The raw records of a plan, one by one."""
    for entry in entries:
        source = leaks_from if entry.kind == "leak" and leaks_from is not None else domain
        pixels = picture(source, seed, *entry.shown)
        rng = np.random.default_rng([seed, domain.tag, SPOIL_TAG, *entry.filed])
        data, ending = _file(domain, source, entry, pixels, rng)
        label = domain.classes[entry.filed[0]]
        yield RawRecord(f"{label}/{entry.filed[1]:04d}.{ending}", label, data, _truth(domain, source, entry))


def _file(domain: Domain, source: Domain, entry: Entry, pixels: Pixels, rng: Generator) -> tuple[bytes, str]:
    encoding = source.encoding
    match entry.kind:
        case "near_resized":
            return spoil.resized(pixels, encoding, rng)
        case "near_mirrored":
            return spoil.mirrored(pixels, encoding)
        case "near_reencoded":
            return spoil.reencoded(pixels, encoding, rng)
        case "odd_mode":
            modes = spoil.odd_modes(domain)
            return spoil.in_mode(pixels, modes[entry.turn % len(modes)], rng)
        case "unreadable":
            way = spoil.UNREADABLE[entry.turn % len(spoil.UNREADABLE)]
            return spoil.unreadable(pixels, encoding, way, rng), extension(encoding)
        case "conflict_copy" if entry.turn % 2:
            return spoil.reencoded(pixels, encoding, rng)
        case "leak" if entry.turn % 2:
            return spoil.resized(pixels, encoding, rng) if entry.turn % 4 == 1 else spoil.reencoded(pixels, encoding, rng)
    return encode(pixels, encoding), extension(encoding)


def _truth(domain: Domain, source: Domain, entry: Entry) -> Planted | None:
    if entry.kind == "clean":
        return None
    if entry.kind in COPIES:
        return Planted(entry.kind, source_id(domain, *entry.shown))
    if entry.kind == "leak":
        return Planted(entry.kind, source_id(source, *entry.shown), domain_name(source))
    return Planted(entry.kind)


def domain_name(domain: Domain) -> str:
    """The name of a generator, as cards spell it: its module's."""
    return domain.draw.__module__.rpartition(".")[2]
