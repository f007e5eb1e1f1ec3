"""A small curated domain with something of everything that the review page shows, and labels that try to break out of it."""

import io
import shutil
from pathlib import Path

import numpy as np
from made_domains import picture, write_card
from PIL import Image

from pipelines.cards import load_card
from pipelines.curate import curate
from pipelines.curation import Curation
from pipelines.embed import embed
from pipelines.files import atomic_folder
from pipelines.layout import Layout
from pipelines.raw import write_raw
from pipelines.sources import RawRecord

NASTY = "</script><b>\"'\\: é\u2028 日本 {x} #"  # a label
SETTINGS = Curation(min_per_class=4)
LABELS = ["plain", "no", NASTY]


def records() -> list[RawRecord]:
    """Three classes of eight pictures; two copies, a pair under two labels, a rare class, a file that is no picture."""
    found = [
        RawRecord(f"{number}/{image}.png", label, picture(number, image))
        for number, label in enumerate(LABELS)
        for image in range(8)
    ]
    found.append(RawRecord("copy.png", "plain", picture(0, 0)))
    found.append(RawRecord("copy.jpg", "plain", _jpeg(picture(0, 0))))
    found.append(RawRecord("conflict.png", "no", picture(0, 1)))
    found += [RawRecord(f"rare/{image}.png", "rare & <few>", picture(7, image)) for image in range(2)]
    found.append(RawRecord("broken.png", "plain", b"no picture"))
    return found


def _jpeg(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def noise(side: int, seed: int) -> bytes:
    """A picture that no coding makes smaller."""
    buffer = io.BytesIO()
    pixels_HWC = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels_HWC).save(buffer, "PNG")
    return buffer.getvalue()


def make_domain(root: Path, encoder_file: Path, found: list[RawRecord] | None = None, name: str = "pebbles") -> Layout:
    """Raw records, embeddings and the curated domain under `root`."""
    layout = Layout(root)
    write_card(root, name, title="Pebbles & <shells>")
    layout.encoder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(encoder_file, layout.encoder)
    with atomic_folder(layout.raw(name)) as target:
        write_raw(iter(found or records()), target, {"kind": "archive", "locator": f"{name}.zip", "checksum": ""})
    with atomic_folder(layout.embeddings(name)) as target:
        embed(name, layout, target, SETTINGS.max_pixels)
    curate_again(layout, name)
    return layout


def curate_again(layout: Layout, name: str = "pebbles") -> None:
    """Curate, as the stage does, without Prefect."""
    with atomic_folder(layout.features(name)) as features, atomic_folder(layout.domain(name)) as target:
        curate(load_card(layout.card(name)), layout, target, features, SETTINGS)
