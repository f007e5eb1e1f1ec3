"""Projects of one made domain for the benchmarks: card, params.yaml, raw records."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from pipelines.layout import Layout
from pipelines.raw import write_raw
from pipelines.sources import RawRecord

DOMAIN = "made"
CLASSES = 100


def records(pictures: Iterable[bytes]) -> Iterator[RawRecord]:
    """Raw records of pictures, one class after the other and again."""
    for number, data in enumerate(pictures):
        yield RawRecord(f"picture {number:07}", f"class {number % CLASSES:03}", data)


def write_project(root: Path, pictures: Iterable[bytes], cap: int = 1_000_000) -> Layout:
    """A project whose domain is downloaded but neither embedded nor curated; `cap`: images of a class that are kept."""
    layout = Layout(root)
    card = {
        "id": DOMAIN,
        "title": "Made",
        "domain": "benchmark",
        "description": "Made for a benchmark.",
        "licence": "CC0-1.0",
        "source": {"kind": "archive", "locator": "made.zip"},
    }
    params = {
        "domains": {DOMAIN: "train", "other": "held_out"},
        "runner": "processes",
        "curation": {"cap_per_class": cap},
    }
    layout.cards.mkdir(parents=True)
    layout.card(DOMAIN).write_text(yaml.safe_dump(card))
    layout.params.write_text(yaml.safe_dump(params))
    layout.raw(DOMAIN).mkdir(parents=True)
    write_raw(records(pictures), layout.raw(DOMAIN), {"kind": "archive", "locator": "made.zip"})
    return layout
