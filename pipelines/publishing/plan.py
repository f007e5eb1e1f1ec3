"""What a publication would hold: curated domains that pass every check and may be passed on, and the documents above them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.cards import Card, load_card
from pipelines.check import check_domain
from pipelines.files import json_text, read_json
from pipelines.layout import Layout
from pipelines.licences import allowed, canonical, identifiers, terms, unlisted
from pipelines.params import Params
from pipelines.publishing.croissant import NAME as CROISSANT
from pipelines.publishing.croissant import TITLE, collection_croissant
from pipelines.publishing.described import Described, File, describe
from pipelines.publishing.hub_card import collection_card
from pipelines.sums import SUMS, sums_text

README, LICENCES = "README.md", "LICENSE.md"


@dataclass(frozen=True)
class Place:
    """How readers name what is published, and its addresses where it has some."""

    name: str  # what `load_dataset` takes
    page: str = ""
    base: str = ""  # of the files


@dataclass(frozen=True)
class Plan:
    """Files by their path in the publication: those to be copied, with where they lie, and the texts to be written."""

    domains: Sequence[Described]
    copies: dict[str, tuple[Path, File]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)

    def sizes(self) -> dict[str, int]:
        """Bytes of every file."""
        copied = {path: file.size for path, (_, file) in self.copies.items()}
        return dict(sorted((copied | {path: len(text) for path, text in self.texts.items()}).items()))


def choose(names: Sequence[str], params: Params, layout: Layout, accepted: Sequence[str]) -> list[Card]:
    """The cards of these domains, or of all that are listed.

    `accepted` are licences that the publisher read. Raises ValueError (one line, each domain by name) for a domain that is not
    listed, or whose licence is not known to let it be passed on.
    """
    for name in names:
        if name not in params.domains:
            raise ValueError(f"{layout.params}: domains: {name!r} is not listed; listed are {', '.join(params.domains)}")
    cards = [load_card(layout.card(name)) for name in dict.fromkeys(names or params.domains)]
    accepted = [_canonical(licence) for licence in accepted]
    carried = {licence for card in cards for licence in (card.licence, *identifiers(card.licence))}
    for licence in accepted:
        if licence not in carried:
            raise ValueError(f"--accept-licence {licence}: none of these domains has it")
    refused = [f"{card.id} ({why})" for card in cards if (why := licence_fault(card.licence, params, accepted))]
    if refused:
        raise ValueError(
            f"not to be passed on: {'; '.join(refused)}; leave them out with --domains, or say --accept-licence ID where "
            "you have read that licence and it allows this"
        )
    return cards


def _canonical(licence: str) -> str:
    try:
        return canonical(licence)
    except ValueError as error:
        raise ValueError(f"--accept-licence: {error}") from None


def licence_fault(licence: str, params: Params, accepted: Sequence[str]) -> str:
    """Why pictures under this licence may not be passed on; empty where they may."""
    if params.allow_licences != "all" and not allowed(licence, params.allow_licences):
        return f"{licence} is not in allow_licences"
    return f"licence {licence}" if unlisted(licence, accepted) else ""


def make_plan(cards: Sequence[Card], params: Params, layout: Layout, place: Place) -> Plan:
    """Check the domains and lay out their publication. Raises ValueError (one line) if any is not as it should be."""
    for card in cards:
        problems = check_domain(card.id, layout) or stale(card, params, layout)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise ValueError(f"domain {card.id}: {problems[0]}{more}; nothing is published until `dvc repro` has mended it")
    domains = [describe(layout.domain(card.id), card) for card in cards]
    copies = {
        f"{domain.card.id}/{name}": (layout.domain(domain.card.id) / name, file)
        for domain in domains
        for name, file in domain.files.items()
    }
    title = domains[0].card.title if len(domains) == 1 else TITLE
    texts = {
        README: collection_card(domains, title, place.name).encode(),
        LICENCES: licence_table(domains).encode(),
        CROISSANT: json_text(collection_croissant(domains, title, place.page, place.base)).encode(),
    }
    digests = {path: file.sha256 for path, (_, file) in copies.items()}
    digests |= {path: hashlib.sha256(text).hexdigest() for path, text in texts.items()}
    return Plan(domains, copies, texts | {SUMS: sums_text(digests).encode()})


def stale(card: Card, params: Params, layout: Layout) -> list[str]:
    """What a domain was curated from that is no longer so, in words, beside what `check_domain` finds."""
    made = read_json(layout.domain(card.id) / "provenance.json")
    settings = params.curation.with_changes(card.curation).model_dump(mode="json")
    raw = layout.raw(card.id) / "source.json"
    found = []
    if made["card"] != card.model_dump(mode="json"):
        found.append(f"{layout.card(card.id)} was changed since it was curated")
    if made["curation"] != settings:
        found.append(f"curation in {layout.params} was changed since it was curated")
    if raw.exists() and made["source"] != read_json(raw):
        found.append(f"{layout.raw(card.id)} holds other records than it was curated from")
    return found


def licence_table(domains: Sequence[Described]) -> str:
    """LICENSE.md: which licence each domain carries, and who is to be named."""
    parts = ["# Licences", "Each folder's pictures are under the licence of their source:"]
    for domain in domains:
        card = domain.card
        noted = f" ({'; '.join(terms(card.licence))})" if terms(card.licence) else ""
        lines = [f"- `{card.id}/`: {card.licence}{noted}", f"  {card.title}. {card.citation.strip()}".rstrip()]
        parts.append("\n".join([*lines, *([f"  <{card.homepage}>"] if card.homepage else [])]))
    return "\n\n".join(parts) + "\n"
