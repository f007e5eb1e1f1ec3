"""Verify what a domain is curated from: its raw records, their features and decisions by hand."""

from collections.abc import Callable
from pathlib import Path

from pipelines.cards import Card
from pipelines.damage import look_again
from pipelines.features import ABOUT, FILE, KEYS, digest, open_features
from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.overrides import load_overrides
from pipelines.pins import load_lock
from pipelines.sums import SUMS, check_sums

Read = Callable[[int], None]  # told the size of each file that was read


def check_files(folder: Path, layout: Layout, read: Read) -> list[str]:
    """Files of a folder that are not as its SHA256SUMS says; DVC is made to look at them again."""
    found = check_sums(folder, read)
    for path in [*found, folder / SUMS] if found else []:
        look_again(path, layout)
    return [f"{path}: {what}" for path, what in found.items()]


def check_raw(card: Card, layout: Layout, read: Read) -> list[str]:
    """Whether the raw records are as they were written, and those that the domain's lock pins, where they are here."""
    folder = layout.raw(card.id)
    if not folder.exists():
        return []  # only the curated domain was brought here
    problems = check_files(folder, layout, read)
    lock = load_lock(layout.lock(card.id), card.source)
    if not problems and lock is not None and read_json(folder / ABOUT)["content"] != lock.content:
        problems.append(f"{folder}: other records than {layout.lock(card.id)} pins")
    return problems


def check_embeddings(name: str, layout: Layout, read: Read) -> list[str]:
    """Whether the features of the raw records are whole, each of one record, and of the records that are here."""
    folder, raw = layout.embeddings(name), layout.raw(name)
    if not folder.exists() and not raw.exists():
        return []
    if not (folder / ABOUT).exists():
        return [f"{folder}: not embedded yet"]
    problems = check_files(folder, layout, read)
    if problems:
        return problems  # what follows would only repeat it
    features = open_features(folder)
    about = read_json(folder / ABOUT)
    if raw.exists() and read_json(raw / "source.json")["content"] != about["content"]:
        problems.append(f"{folder}: made from other records than those in {raw}")
    if digest(features.features_ND) != about["features_digest"]:
        problems.append(f"{folder / FILE}: differs from its digest")
    if not features.keys.is_unique().all():
        problems.append(f"{folder / KEYS}: keys are not unique")
    return problems


def check_overrides(name: str, layout: Layout) -> list[str]:
    """Whether a curated domain was curated under the decisions by hand that stand there now."""
    decided = load_overrides(layout.overrides(name)).model_dump(mode="json")
    if read_json(layout.domain(name) / "provenance.json").get("overrides") == decided:
        return []
    return [f"{layout.domain(name)}: curated under other decisions by hand than those of {layout.overrides(name)}"]
