"""The card that `add` writes: of what flags say, else the source, else the user's answers, else defaults."""

import argparse
from typing import Any

from pipelines.add.naming import licence_of_source, title_of
from pipelines.add.plan import Plan, licence_of_user
from pipelines.add.words import ask, say, sentence
from pipelines.cards import Card
from pipelines.licences import UNKNOWN
from pipelines.settings import validate
from pipelines.sources import Look

LONGEST_DESCRIPTION = 600  # characters of what a source says of itself


def make_card(arguments: argparse.Namespace, plan: Plan, look: Look, asking: bool) -> Card:
    """The card, of what flags say, else the source, else the answers, else defaults. Raises ValueError if it is not valid."""
    title = arguments.title or look.title
    if title is None:
        title = title_of(plan.told)
        title = ask("title", title) if asking else title
    subject = arguments.subject or (ask("subject, in a word or two", UNKNOWN) if asking else UNKNOWN)
    values: dict[str, Any] = {
        "id": plan.domain,
        "title": _line(title),
        "domain": _line(subject),
        "description": arguments.description or _own_words(look) or sentence(look, plan.name),
        "licence": plan.licence or _licence(look, asking),
        "citation": arguments.citation or look.citation or "",
        "homepage": arguments.homepage or look.homepage or "",
        "source": look.source.model_dump(),
    }
    if look.classes and look.records:
        values["counts"] = {"classes": len(look.classes), "images": look.records}
    if arguments.min_per_class is not None:
        values["curation"] = {"min_per_class": arguments.min_per_class}
    return validate(Card, values, plan.name)


def _licence(look: Look, asking: bool) -> str:
    licence, doubt = licence_of_source(look.licence or "")
    if doubt:
        say(f"  licence: {licence}; {doubt}")
    if licence == UNKNOWN and asking:
        return ask("licence (SPDX, e.g. CC-BY-4.0)", UNKNOWN, licence_of_user)
    return licence


def _own_words(look: Look) -> str:
    text = _line(look.description or "")
    if len(text) <= LONGEST_DESCRIPTION:
        return text
    cut = text[:LONGEST_DESCRIPTION]
    end = max(cut.rfind(". ") + 1, cut.rfind(" ") if ". " not in cut else 0)
    return cut[: end or None].strip()


def _line(text: str) -> str:
    return " ".join(text.split())
