"""Domains that need no network: drawn from a seed (digits come with scikit-learn), with planted dirt of known truth.

A card names a generator as its locator and may set these options:
seed, images_per_class, classes (the first so many), dirt (false for clean records only) and leak_from (a generator whose
pictures are planted under wrong names; its own card must have the same seed and all classes, so that the copies match).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pipelines.cards import Source
from pipelines.sources import Look, RawRecord, refuse_group_column
from pipelines.sources.generated import dirt
from pipelines.sources.generated.domain import Domain
from pipelines.transfer import Place

GENERATORS = ("digits", "glyphs", "shapes", "textures", "fractals", "cells", "strokes", "flags", "curves")
MOST_SEED = 2**31 - 1
DEFAULT_IMAGES = 40


@dataclass(frozen=True)
class Options:
    """What a card asks of its generator."""

    seed: int
    images: int  # a class
    classes: int
    dirt: bool
    leak_from: str | None


def generator(name: str) -> Domain:
    """The generator of this name, which must be one of GENERATORS."""
    assert name in GENERATORS, name
    domain = import_module(f"{__name__}.{name}").DOMAIN
    assert isinstance(domain, Domain)
    return domain


def check(source: Source) -> None:
    """Raise ValueError (one line: option, what was expected, what was found) if the card asks for what no generator does."""
    _read(source)
    refuse_group_column(source, "a generator has no columns")


def records(source: Source, place: Place) -> Iterator[RawRecord]:
    """The domain's records, clean and planted, in an order that depends on the source alone. Reads nothing from `place`."""
    options = _read(source)
    domain = generator(source.locator)
    if not options.dirt:
        entries = [dirt.Entry("clean", (c, i), (c, i)) for c in range(options.classes) for i in range(options.images)]
        return dirt.realise(domain, options.seed, entries, None)
    leaks_from = generator(options.leak_from) if options.leak_from else None
    entries = dirt.plan(domain, options.seed, options.classes, options.images, leaks_from)
    return dirt.realise(domain, options.seed, entries, leaks_from)


def look(source: Source, place: Place) -> Look:
    """How many pictures the generator would draw; their bytes are known only once they are drawn."""
    options = _read(source)
    said = [f"generator {source.locator}, seed {options.seed}, {options.images} pictures in each of {options.classes} classes"]
    return Look(source, said, None, None)


def _read(source: Source) -> Options:
    if source.locator not in GENERATORS:
        raise ValueError(f"source.locator: expected one of {', '.join(GENERATORS)}, found {source.locator!r}")
    known = ("seed", "images_per_class", "classes", "dirt", "leak_from")
    for name in source.options:
        if name not in known:
            raise ValueError(f"source.options.{name}: unknown option; known here: {', '.join(known)}")
    domain = generator(source.locator)
    most_classes = len(domain.classes) - 1
    images = _whole(source.options, "images_per_class", min(DEFAULT_IMAGES, domain.most_images), 2, domain.most_images)
    classes = _whole(source.options, "classes", most_classes, 2, most_classes)
    seed = _whole(source.options, "seed", 0, 0, MOST_SEED)
    with_dirt = source.options.get("dirt", True)
    if not isinstance(with_dirt, bool):
        raise ValueError(f"source.options.dirt: expected true or false, found {with_dirt!r}")
    leak_from = source.options.get("leak_from")
    others = [name for name in GENERATORS if name != source.locator]
    if leak_from is not None and leak_from not in others:
        raise ValueError(f"source.options.leak_from: expected one of {', '.join(others)}, found {leak_from!r}")
    return Options(seed, images, classes, with_dirt, leak_from)


def _whole(options: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"source.options.{name}: expected a whole number from {low} to {high}, found {value!r}")
    return value
