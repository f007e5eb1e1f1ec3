"""A card as text, in the form of the cards that are written by hand."""

import textwrap
from typing import Any

import yaml

from pipelines.cards import Card
from pipelines.settings import validate

WIDTH = 119
FOLDED = ("description", "citation")  # prose: white space in it is not kept


def card_text(card: Card) -> str:
    """YAML that `load_card` reads as this card, but for white space in the prose; what is unset is left out."""
    values = card.model_dump(exclude_none=True, exclude_defaults=True)
    order = ("id", "title", "domain", "description", "licence", "citation", "homepage", "counts", "source", "curation")
    text = "".join(_field(name, values[name]) for name in order if name in values)
    read = validate(Card, yaml.safe_load(text), card.id)
    assert read == card.model_copy(update={name: " ".join(getattr(card, name).split()) for name in FOLDED}), text
    return text


def _field(name: str, value: Any) -> str:
    if name in FOLDED:
        value = " ".join(value.split())
        folded = f"{name}: >-\n{_wrapped(value)}\n"
        # what YAML cannot hold as plain lines is quoted
        return folded if value.isprintable() and yaml.safe_load(folded) == {name: value} else _plain(name, value)
    return _plain(name, value)


def _wrapped(text: str) -> str:
    indent = "  "
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _plain(name: str, value: Any) -> str:
    for as_it_is in (True, False):  # PyYAML loses some separators that it does not escape
        text = yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=as_it_is, width=1_000_000)
        if yaml.safe_load(text) == {name: value}:
            break
    return text
