"""A small project whose domains are curated, without a server: for tests of what reads or passes on curated domains."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

from made_domains import picture, write_card, write_params
from PIL import Image

from pipelines.cards import load_card
from pipelines.collect import collect
from pipelines.curate import curate
from pipelines.embed import embed
from pipelines.encode import encode
from pipelines.encoding import choose
from pipelines.files import atomic_folder
from pipelines.layout import Layout
from pipelines.params import load_params
from pipelines.raw import write_raw
from pipelines.sources import RawRecord

CLASSES = ("été", "a | b", "0", "naïve: yes", "日本", "five")


def curated_project(root: Path, encoder_file: Path) -> Layout:
    """`pebbles` (CC0, all PNG) and `leaves` (CC-BY-NC, JPEG and PNG, class names of every sort), curated and collected."""
    root.mkdir(exist_ok=True)
    write_card(root, "pebbles", citation="Somebody, Pebbles, 2020.", homepage="https://example.org/pebbles", published="2020")
    write_card(root, "leaves", title="Leaves: «été»", licence="CC-BY-NC-4.0", domain="plants")
    curation = {"min_per_class": 5, "max_pixels": 64_000_000}  # DVC wants the latter to stand in the file
    write_params(root, {"pebbles": "train", "leaves": "held_out"}, curation=curation)
    layout = Layout(root)
    layout.encoder.parent.mkdir(parents=True)
    shutil.copy(encoder_file, layout.encoder)
    make_domain(layout, "pebbles", [f"class{number}" for number in range(6)], jpegs=False, offset=0)
    make_domain(layout, "leaves", CLASSES, jpegs=True, offset=10)
    collect(load_params(layout.params), layout)
    return layout


def make_domain(layout: Layout, name: str, classes: tuple[str, ...] | list[str], *, jpegs: bool, offset: int) -> None:
    """Raw records, embeddings, the curated domain, its features and what training reads."""
    params = load_params(layout.params)
    with atomic_folder(layout.raw(name)) as target:
        write_raw(_records(classes, jpegs, offset), target, {"kind": "archive", "locator": f"{name}.zip", "checksum": ""})
    with atomic_folder(layout.embeddings(name)) as target:
        embed(name, layout, target, params.curation.max_pixels)
    with atomic_folder(layout.features(name)) as features, atomic_folder(layout.domain(name)) as target:
        curate(load_card(layout.card(name)), layout, target, features, params.curation)
    encoder = choose(params.encoding.encoder, layout, offline=True)
    with atomic_folder(layout.encoded(name)) as target:
        encode(name, layout, target, encoder, params.encoding.views, params.curation.max_pixels)


def _records(classes: tuple[str, ...] | list[str], jpegs: bool, offset: int) -> Iterator[RawRecord]:
    for number, label in enumerate(classes):
        for image in range(14):
            data = picture(offset + number, image)
            lossy = jpegs and image % 3 == 0
            yield RawRecord(f"{label}/{image:03d}.{'jpg' if lossy else 'png'}", label, _as_jpeg(data) if lossy else data)


def _as_jpeg(data: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).save(out, "JPEG", quality=90)
    return out.getvalue()
