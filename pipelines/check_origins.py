"""Verify what a domain is curated from: its raw records, their features and decisions by hand."""

from pipelines.cards import Card
from pipelines.features import ABOUT, FILE, KEYS, digest, open_features
from pipelines.files import read_json
from pipelines.layout import Layout
from pipelines.overrides import load_overrides
from pipelines.pins import load_lock


def check_lock(card: Card, layout: Layout) -> list[str]:
    """Whether the raw records are those that the domain's lock pins, where both are here."""
    about = layout.raw(card.id) / "source.json"
    lock = load_lock(layout.lock(card.id), card.source)
    if lock is None or not about.exists() or read_json(about).get("content") == lock.content:
        return []
    return [f"{layout.raw(card.id)}: other records than {layout.lock(card.id)} pins"]


def check_embeddings(name: str, layout: Layout) -> list[str]:
    """Whether the features of the raw records are whole, each of one record, and of the records that are here."""
    folder, raw = layout.embeddings(name), layout.raw(name)
    if not (folder / ABOUT).exists() and not (raw / "source.json").exists():
        return []  # only the curated domain was brought here
    features = open_features(folder)
    about = read_json(folder / ABOUT)
    problems = []
    if (raw / "source.json").exists() and read_json(raw / "source.json").get("content") != about["content"]:
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
