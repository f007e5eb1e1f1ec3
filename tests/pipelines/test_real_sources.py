"""The eight real sets of presets/real.yaml through their cards: every picture arrives with its class."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pipelines.cards import load_card
from pipelines.params import load_params
from pipelines.raw import count_raw, read_raw, write_raw
from pipelines.sources import kind_of
from pipelines.transfer import Place

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
PARAMS = load_params(ROOT / "presets" / "real.yaml")


def test_roles() -> None:
    assert len(PARAMS.in_role("train")) >= 5
    assert len(PARAMS.in_role("held_out")) >= 2
    assert len(PARAMS.in_role("spare")) >= 1


@pytest.mark.parametrize("domain", PARAMS.domains)
def test_cards(domain: str) -> None:
    card = load_card(ROOT / "collections" / f"{domain}.yaml")
    kind_of(card, domain)
    assert card.licence in ("MIT", "Apache-2.0", "CC0-1.0", "CC-BY-NC-SA-4.0")
    assert card.citation
    assert card.homepage.startswith("https://")
    assert card.source.checksum


@pytest.mark.skipif(not DATA.is_dir(), reason="the real image sets are not on this machine")
@pytest.mark.parametrize("domain", PARAMS.domains)
def test_every_picture_arrives(domain: str, tmp_path: Path) -> None:
    card = load_card(ROOT / "collections" / f"{domain}.yaml")
    facts = json.loads((DATA / f"{domain}.source.json").read_text())
    folder = tmp_path / "raw"
    folder.mkdir()
    stream = kind_of(card, domain).records(card.source, Place(DATA, tmp_path / "downloads"))
    summary = write_raw(stream, folder, {"kind": card.source.kind, "locator": card.source.locator})
    assert summary.records == count_raw(folder) == facts["n_images"]
    labels: Counter[str] = Counter()
    for frame in read_raw(folder):
        labels.update(frame["label"])
        assert all(frame["data"])
    assert labels == facts["classes"]
    assert json.loads((folder / "source.json").read_text())["checksum"] == card.source.checksum
