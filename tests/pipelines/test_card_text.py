"""Cards as text: what is written is read again, and looks as if it were written by hand."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.add.card_text import card_text
from pipelines.cards import Card, load_card

ROOT = Path(__file__).resolve().parents[2]
WORDS = st.text(min_size=1, max_size=60).filter(lambda text: text.strip())
PROSE = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


@st.composite
def cards(draw: st.DrawFn) -> Card:
    values: dict[str, Any] = {
        "id": "pebbles",
        "title": draw(WORDS),
        "domain": draw(WORDS),
        "description": draw(PROSE),
        "licence": draw(st.sampled_from(["unknown", "MIT", "CC-BY-4.0"])),
        "citation": draw(st.just("") | PROSE),
        "homepage": draw(st.just("") | WORDS),
        "source": {
            "kind": draw(WORDS),
            "locator": draw(WORDS),
            "label": draw(st.sampled_from([{}, {"layout": "folders"}, {"image_column": "null", "column": "1"}])),
            "options": draw(st.dictionaries(WORDS, st.booleans() | st.integers() | WORDS | st.lists(WORDS), max_size=3)),
        },
    }
    if draw(st.booleans()):
        values["counts"] = {"classes": draw(st.integers(1)), "images": draw(st.integers(1))}
    if draw(st.booleans()):
        values["curation"] = {"min_per_class": draw(st.integers(1, 100))}
    return Card.model_validate(values)


@given(cards())
def test_what_is_written_is_read_again(card: Card) -> None:
    read = Card.model_validate(yaml.safe_load(card_text(card)))
    prose = {name: " ".join(getattr(card, name).split()) for name in ("description", "citation")}
    assert read == card.model_copy(update=prose)


def test_it_looks_like_the_cards_of_the_project() -> None:
    for path in (ROOT / "collections").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        made = card_text(load_card(path))
        assert made.split() == text.split() or yaml.safe_load(made) == yaml.safe_load(text)
        assert [line.partition(":")[0] for line in made.splitlines() if line[0] != " "] == [
            line.partition(":")[0] for line in text.splitlines() if line[0] != " "
        ]
        assert max(map(len, made.splitlines())) <= 120 or max(map(len, text.split())) > 100
